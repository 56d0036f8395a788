"""Finding what sessions are started from, on several sites at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from callsheet.domain.toolkit_entities import Project, SiteConfiguration
from callsheet.runtimes.resolver import ToolkitRuntimeResolver
from callsheet.settings import ToolkitSettings
from tests.support.executor_bench import setup

MOTH = Project(97, "Moth", "moth")


class Hanging:
    """A site that says nothing until it is ``released``."""

    def __init__(self) -> None:
        self.asked, self.released = threading.Event(), threading.Event()

    def project(self, project: int | str) -> Project | None:
        self.asked.set()
        assert self.released.wait(30)
        return MOTH

    def configurations(self, project: int) -> Sequence[SiteConfiguration]:
        return ()


class Answering(Hanging):
    """One that answers at once."""

    def project(self, project: int | str) -> Project | None:
        return MOTH


def test_a_site_that_hangs_holds_up_no_other_site(tmp_path: Path) -> None:
    sites = {"hangs": Hanging(), "answers": Answering()}
    setups = {name: setup(site=name) for name in sites}
    finder = ToolkitRuntimeResolver(setups, ToolkitSettings(configs=tmp_path), tmp_path, tmp_path, sites.__getitem__)
    hangs = threading.Thread(target=finder.project, args=("hangs", "moth"))
    hangs.start()
    assert sites["hangs"].asked.wait(30)
    try:
        found: list[object] = []
        other = threading.Thread(target=lambda: found.append(finder.project("answers", "moth")), daemon=True)
        other.start()
        other.join(30)
        assert found == [MOTH]
    finally:
        sites["hangs"].released.set()
        hangs.join()
