"""``toolkit check``: opens projects' Toolkit in workers of this process, and says what was verified, or what is wrong."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from callsheet import telemetry
from callsheet.cli.delivery_filters import is_id
from callsheet.composition import catalogue, finder, worker_setups
from callsheet.domain.toolkit_entities import Project
from callsheet.errors import ToolkitError
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.settings import Settings, ToolkitSettings
from callsheet.site.catalogue import ConfigurationCatalogue
from callsheet.telemetry import Signal
from callsheet.workers.local_executor import LocalExecutor
from callsheet.workers.sessions.session import SessionLimits

PREPARING = 960.0
"""Seconds that a distributed configuration may take to come, besides those that a session may take to open."""
LAST_WORDS = 10.0
"""Seconds for the last session to end."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A project, by ``name`` and id. ``facts``: those of ``session.opened``, or of ``session.failed`` where it did not."""

    site: str
    project: int | None
    name: str
    seconds: float
    well: bool
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A project to try; one that the site does not show is a name only."""

    site: str
    name: str
    project: Project | None


def wanted(settings: Settings, names: Sequence[tuple[str | None, str]]) -> Iterator[Wanted]:
    """Those of these names, each of one site or (None) of all; without names, all that seem to have a Toolkit. Raises SiteError."""
    for setup in worker_setups(settings).values():
        known = catalogue(setup)
        try:
            if names:
                yield from _named(known, setup, names)
            else:
                yield from (Wanted(setup.site, one.name, one) for one in _likely(known, settings.toolkit))
        finally:
            known.close()


def _named(known: ConfigurationCatalogue, setup: WorkerConfig, names: Sequence[tuple[str | None, str]]) -> Iterator[Wanted]:
    for site, name in names:
        if site in {None, setup.site}:
            yield Wanted(setup.site, name, known.project(int(name) if is_id(name) else name))


def _likely(known: ConfigurationCatalogue, toolkit: ToolkitSettings) -> Iterator[Project]:
    configured = known.configured()
    for one in known.projects():
        pinned = {str(one.id), one.name, one.folder} & toolkit.projects.keys()
        if configured & {one.id, None} or pinned or (toolkit.configs / one.folder / "config").is_dir():
            yield one


def tried(settings: Settings, projects: Sequence[Wanted]) -> Iterator[Tried]:
    """Open each in turn, and end it again. In homes of their own: a daemon that runs beside this is not disturbed."""
    with _executor(settings) as (executor, heard):
        for one in projects:
            if one.project is None:
                problem = f"Toolkit of project {one.name}: site {one.site} shows no such project."
                trouble = ToolkitError("no-project", problem, "See its name, and whether the script user may see it.")
                facts = {"kind": trouble.kind, "problem": trouble.problem, "cure": trouble.cure, "file": None}
                yield Tried(one.site, None, one.name, 0.0, well=False, facts=facts)
                continue
            began = time.monotonic()
            executor.warm(one.site, one.project.id)
            signal = _answer(heard, one.project, settings.toolkit.opening + PREPARING)
            executor.retire(one.site, one.project.id)
            seconds = time.monotonic() - began
            yield Tried(one.site, one.project.id, one.project.name, seconds, signal.name == "session.opened", dict(signal.facts))


def _answer(heard: SimpleQueue[Signal], project: Project, patience: float) -> Signal:
    deadline = time.monotonic() + patience
    while (left := deadline - time.monotonic()) > 0:
        try:
            signal = heard.get(timeout=left)
        except Empty:
            break
        if signal.facts["project"] == project.id:
            return signal
    problem = f"Toolkit of project {project}: nothing came of it within {patience:g} s."
    facts = {"kind": "slow", "problem": problem, "cure": "See whether its shares hang.", "file": None}
    return Signal("session.failed", facts)


@contextmanager
def _executor(settings: Settings) -> Iterator[tuple[LocalExecutor, SimpleQueue[Signal]]]:
    setups = worker_setups(settings)
    homes = f"homes-of-check-{os.getpid()}"
    heard: SimpleQueue[Signal] = SimpleQueue()
    telemetry.subscribe(heard.put, "session.opened", "session.failed")
    with tempfile.TemporaryDirectory(prefix="callsheet-check-") as folder:
        executor = LocalExecutor(
            setups,
            Path(folder),
            finder=lambda archive: finder(settings, setups, archive, homes),
            limits=SessionLimits(2, settings.toolkit.idle, settings.toolkit.memory),
        )
        try:
            yield executor, heard
        finally:
            executor.close(LAST_WORDS)
            telemetry.unsubscribe(heard.put)
            shutil.rmtree(settings.state / "toolkit" / homes, ignore_errors=True)
