"""What was odd at the last look at the plugin folders: told once for as long as it lasts, and kept for `status`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from callsheet import telemetry
from callsheet.discovery import Discovery
from callsheet.domain.overview import Condition

FOLDER, FILE = "plugin-folder", "plugin-file"


class LookFindings:
    """Told of every look at a site's folders."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._now = clock
        self._known: dict[str, dict[str, Condition]] = {}

    def note(self, site: str, found: Discovery, unloadable: Iterable[tuple[str, str]]) -> None:
        """What that look found. ``unloadable``: path and reason of files that can't be loaded, beside those that were left out."""
        odd = [(FILE, str(path), reason) for path, reason in (*unloadable, *found.left_out)]
        for folder in found.missing:
            what = "does not answer" if folder in found.hanging else "is not there"
            odd.append((FOLDER, str(folder), f"the folder {what}; plugins loaded from it go on, new ones wait for it"))
        before = self._known.get(site, {})
        now = {}
        for kind, path, reason in odd:
            text = f"{path}: {reason}"
            if text not in before:
                self._tell(site, path, text)
            now[text] = before.get(text) or Condition(kind, f"{text}.", self._now(), site=site, place=path)
        self._known[site] = now

    def conditions(self) -> list[Condition]:
        """All of it, of all sites."""
        return [condition for known in list(self._known.values()) for condition in known.values()]

    def _tell(self, site: str, path: str, problem: str) -> None:
        telemetry.emit(
            "plugin.broken",
            site=site,
            plugin=Path(path).stem,
            path=path,
            where="find",
            problem=problem,
            level="WARNING",
            logger="engine",
            passing=False,
        )
