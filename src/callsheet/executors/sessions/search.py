"""Finds out, in threads of its own, what sessions are to be started from and whether that has changed: both may take a while."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from callsheet.errors import CallsheetError, SiteError, ToolkitError
from callsheet.executors.opening import Finder, Opening

AT_ONCE = 4


class Search:
    """Asks a Finder. What it found is given to callbacks, in its threads."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="callsheet-toolkit")

    def find(self, site: str, project: int | str, found: Callable[[Opening | ToolkitError], None]) -> None:
        """What a project's sessions are started from, or why it has none."""

        def work() -> None:
            try:
                answer: Opening | ToolkitError = self._finder.find(site, project)
            except Exception as error:  # noqa: BLE001 - whatever it is, the deliveries that wait must hear of it
                answer = _as_trouble(error, project)
            found(answer)

        self._threads.submit(work)

    def look(self, site: str, opening: Opening, looked: Callable[[str | None], None]) -> None:
        """What has changed since; None if nothing has, and if that can't be told now."""

        def work() -> None:
            try:
                changed = self._finder.changed(site, opening)
            except (CallsheetError, OSError):
                changed = None
            looked(changed)

        self._threads.submit(work)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _as_trouble(error: Exception, project: int | str) -> ToolkitError:
    if isinstance(error, ToolkitError):
        return error
    if isinstance(error, SiteError):
        problem = f"Toolkit of project {project}: the site was asked for its configuration, and did not say: {error}"
        return ToolkitError("site", problem, "It is tried again.", passing=True)
    problem = f"Toolkit of project {project}: {type(error).__name__}: {error}."
    return ToolkitError("unexpected", problem, "If this stays, report it.", passing=True)
