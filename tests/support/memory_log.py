"""An event log in memory, which several readers may share, and which says what was asked of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from callsheet.domain.event import Event
from callsheet.domain.reading import Fingerprint, Gap
from callsheet.errors import SiteError
from callsheet.policy.log_identity import fingerprint
from callsheet.ports import Page
from tests.support.events import event


class MemoryLog:
    """Implements ports.EventLog on a list of ids; ``make`` gives the event of an id."""

    def __init__(self, ids: Sequence[int] = (), make: Callable[[int], Event] = event) -> None:
        self.ids = list(ids)
        self.make = make
        self.reads = 0
        self.looks = 0
        """How often fingerprints were asked for."""
        self.fails_at: set[int] = set()
        """Which reads fail, counted from 1."""
        self.most_at_once = 0
        self.asked: list[frozenset[str] | None] = []
        """The types of each read."""
        self.site_time: float | None = None
        """What the site's clock says, in epoch seconds."""
        self._at_once = 0
        self._lock = threading.Lock()

    def newest_id(self) -> int:
        return max(self.ids, default=0)

    def fingerprints(self, ids: Sequence[int]) -> dict[int, Fingerprint]:
        self.looks += 1
        return {one: fingerprint(self.make(one)) for one in ids if one in self.ids}

    def settled_id(self, after: int, before: float) -> int:
        settled = after
        for number in sorted(one for one in self.ids if one > after):
            if datetime.fromisoformat(self.make(number).data["created_at"]).timestamp() > before:
                break
            settled = number
        return settled

    def read(
        self,
        after: int,
        limit: int,
        *,
        until: int | None = None,
        missing: Sequence[Gap] = (),
        types: frozenset[str] | None = None,
    ) -> Page:
        with self._reading(types) as number:
            if number in self.fails_at:
                raise SiteError("the site was away for a moment")
            last = float("inf") if until is None else until
            fresh = [one for one in self.ids if after < one <= last and (types is None or self.make(one).type in types)]
            late = [one for one in self.ids if any(gap.first <= one <= gap.last for gap in missing)]
            found = sorted({*fresh, *late})
            return Page(tuple(self.make(one) for one in found[:limit]), full=len(found) >= limit, at=self.site_time)

    def close(self) -> None:
        """Nothing to close."""

    @contextmanager
    def _reading(self, types: frozenset[str] | None) -> Iterator[int]:
        with self._lock:
            self.asked.append(types)
            self.reads += 1
            number = self.reads
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield number
        finally:
            with self._lock:
                self._at_once -= 1
