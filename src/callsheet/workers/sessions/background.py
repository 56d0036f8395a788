"""Finds out, in threads of its own, what sessions are to be started from and whether that has changed: both may take a while."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock, Thread
from typing import TypeVar

from callsheet.domain.toolkit_entities import Project
from callsheet.errors import CallsheetError, SiteError, ToolkitError, of_system
from callsheet.runtimes.session_spec import RuntimeResolver, SessionSpec

T = TypeVar("T")


class Search:
    """Asks a Finder. What it found is given to callbacks, in its threads, under the executor's lock.

    A thread for each question: one about a share that hangs, or a prepare that downloads for minutes, must neither hold up the
    others nor the daemon's end.
    """

    def __init__(self, finder: RuntimeResolver, lock: RLock, wake: Callable[[], None]) -> None:
        """``wake`` has ``tick`` called soon, by the thread that starts workers."""
        self._finder = finder
        self._lock = lock
        self._wake = wake
        self._closed = False

    def name(self, site: str, name: str, found: Callable[[Project | ToolkitError], None]) -> None:
        """Which project is called so."""
        self._ask(lambda: self._finder.project(site, name), name, found)

    def find(self, site: str, project: int, found: Callable[[SessionSpec | ToolkitError], None]) -> None:
        """What a project's sessions are started from, or why it has none."""
        self._ask(lambda: self._finder.find(site, project), project, found)

    def look(self, site: str, opening: SessionSpec, looked: Callable[[str | None], None]) -> None:
        """What has changed since; None if nothing has, and if that can't be told now."""

        def work() -> None:
            try:
                changed = self._finder.changed(site, opening)
            except (CallsheetError, OSError):
                changed = None
            self._deliver(looked, changed)

        self._begin(work)

    def doubt(self, opening: SessionSpec, trouble: ToolkitError, found: Callable[[ToolkitError], None]) -> None:
        """Whether trouble that looks lasting is so."""

        def work() -> None:
            try:
                answer = self._finder.reconsidered(opening, trouble)
            except Exception:  # noqa: BLE001 - then it stands, and the deliveries that wait must hear of it
                answer = trouble
            self._deliver(found, answer)

        self._begin(work)

    def close(self) -> None:
        """Begin nothing more."""
        self._closed = True

    def _ask(self, question: Callable[[], T], project: int | str, found: Callable[[T | ToolkitError], None]) -> None:
        def work() -> None:
            try:
                answer: T | ToolkitError = question()
            except Exception as error:  # noqa: BLE001 - whatever it is, the deliveries that wait must hear of it
                answer = _as_trouble(error, project)
            self._deliver(found, answer)

        self._begin(work)

    def _deliver(self, take: Callable[[T], None], answer: T) -> None:
        with self._lock:
            take(answer)
            self._wake()

    def _begin(self, work: Callable[[], None]) -> None:
        if not self._closed:
            Thread(target=work, name="callsheet-toolkit", daemon=True).start()


def _as_trouble(error: Exception, project: int | str) -> ToolkitError:
    if isinstance(error, ToolkitError):
        return error
    if isinstance(error, SiteError):
        problem = f"Toolkit of project {project}: the site was asked for its configuration, and did not say: {error}"
        return ToolkitError("site", problem, "It is tried again.", passing=True)
    machine = of_system(error)
    if machine is not None:
        return ToolkitError("files", f"Toolkit of project {project} can't be opened: {machine}", "It is tried again.", passing=True)
    problem = f"Toolkit of project {project}: {type(error).__name__}: {error}."
    return ToolkitError("unexpected", problem, "If this stays, report it.", passing=True)
