"""The end of the executor: what comes after it, and workers that do not go."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

from callsheet.errors import ToolkitError
from callsheet.executors.local import LocalExecutor
from callsheet.executors.opening import Opening
from callsheet.projects import Project
from tests.agent.stage import SITE, setup


class SlowShare:
    """Finds no project's Toolkit, and takes until ``answer`` is set for it."""

    def __init__(self) -> None:
        self.asked, self.answer = threading.Event(), threading.Event()

    def find(self, site: str, project: int) -> Opening:
        self._wait()
        raise ToolkitError("site", f"Toolkit of project {project}: none.", "Nothing.")

    def project(self, site: str, name: str) -> Project:
        self._wait()
        raise ToolkitError("site", f"There is no project {name}.", "Nothing.")

    def changed(self, site: str, opening: Opening) -> str | None:
        return None

    def _wait(self) -> None:
        self.asked.set()
        assert self.answer.wait(30)


def test_a_toolkit_search_that_ends_after_the_close_writes_into_nobodys_file(tmp_path: Path) -> None:
    # Given a search that hangs while the executor ends
    share = SlowShare()
    executor = LocalExecutor({SITE: setup()}, tmp_path / "state", finder=lambda _: share)
    executor.warm(SITE, 97)
    executor.warm(SITE, "moth")
    assert share.asked.wait(30)
    executor.close(0)
    searches = [one for one in threading.enumerate() if one.name == "callsheet-toolkit"]

    # When it ends once its descriptors' numbers belong to others
    with ExitStack() as stack:
        files = [stack.enter_context((tmp_path / f"file{number}").open("w")) for number in range(64)]
        share.answer.set()
        for search in searches:
            search.join(30)

        # Then nothing was written to them
        assert [file.name for file in files if Path(file.name).stat().st_size] == []
