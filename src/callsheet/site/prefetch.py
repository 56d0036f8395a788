"""Several pages in flight when a site's log is far ahead of us.

A reader that is behind waits for the site most of the time. Once a page came back full and the reader goes on behind it, the ids
that follow are cut into ranges, and a few of these are asked for at once, each over a connection of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from callsheet.domain.reading import Fingerprint, Gap
from callsheet.ports import EventLog, Page
from callsheet.site.range_prefetch import RangePrefetch, Scope
from callsheet.site.reader_pool import ReaderPool

IDLE = 10.0
"""Seconds after which a stretch that nobody reads on is dropped: a plugin is full, a filter has changed."""

LATELY = 2.0
"""Seconds for which the newest id is known without asking; it only says how far one may ask ahead."""


class Prefetch:
    """Implements ports.EventLog over ``1 + depth`` logs made by ``connect``. Not for several threads at once.

    Several places of the log may be read by turns: each has a stretch of its own, and all share the depth.
    """

    def __init__(self, connect: Callable[[], EventLog], depth: int = 8) -> None:
        self._direct = connect()
        self._depth = depth
        self._readers = ReaderPool(connect, depth)
        self._stretches: dict[tuple[int, Scope], RangePrefetch] = {}
        self._newest = 0
        self._newest_at = float("-inf")

    def newest_id(self) -> int:
        """See ports.EventLog."""
        self._newest = self._direct.newest_id()
        self._newest_at = time.monotonic()
        return self._newest

    def fingerprints(self, ids: Sequence[int]) -> dict[int, Fingerprint]:
        """See ports.EventLog."""
        return self._direct.fingerprints(ids)

    def settled_id(self, after: int, before: float) -> int:
        """See ports.EventLog."""
        return self._direct.settled_id(after, before)

    def read(
        self,
        after: int,
        limit: int,
        *,
        until: int | None = None,
        missing: Sequence[Gap] = (),
        types: frozenset[str] | None = None,
    ) -> Page:
        """See ports.EventLog. Answers from what was asked for ahead where that fits, else asks now."""
        self._drop_idle()
        scope = Scope(limit, until, types)
        stretch = self._stretches.pop((after, scope), None)
        try:
            if stretch is not None and not missing:
                ahead = stretch.take(after, max(1, self._depth // (len(self._stretches) + 1)))
                if ahead is not None:
                    self._keep(stretch, scope, after, ahead)
                    return ahead
                stretch = None
            page = self._direct.read(after, limit, until=until, missing=missing, types=types)
        except BaseException:
            if stretch is not None:
                stretch.forget()
            raise
        if page.full:
            stretch = stretch or RangePrefetch(self._readers, scope, self._newest_lately, after, page)
        if stretch is not None:
            self._keep(stretch, scope, after, page)
        return page

    def close(self) -> None:
        """See ports.EventLog."""
        for stretch in self._stretches.values():
            stretch.forget()
        self._stretches.clear()
        self._readers.close()
        self._direct.close()

    def _keep(self, stretch: RangePrefetch, scope: Scope, after: int, page: Page) -> None:
        """Hold the stretch ready for who reads on behind that page."""
        if page.full and len(self._stretches) < self._depth:
            place = max(after, page.events[-1].id) if page.events else after
            self._stretches[place, scope] = stretch
        else:
            stretch.forget()

    def _drop_idle(self) -> None:
        oldest = time.monotonic() - IDLE
        for key, stretch in list(self._stretches.items()):
            if stretch.used_at < oldest:
                stretch.forget()
                del self._stretches[key]

    def _newest_lately(self) -> int:
        return self._newest if time.monotonic() - self._newest_at < LATELY else self.newest_id()
