"""Several pages in flight when a site's log is far ahead of us.

A reader that is behind waits for the site most of the time. Once a page came back full, the ids up to the newest are cut into
ranges of one page each, and a few of these ranges are asked for at once, each over a connection of its own. Ranges of ids, not
page numbers: an event that shows late moves the pages behind it, but no range.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import local

from callsheet.model import Gap
from callsheet.ports import EventLog, Page


@dataclass(frozen=True, slots=True)
class _Range:
    """Ids behind ``after`` up to ``until`` that have been asked for."""

    after: int
    until: int
    page: Future[Page]


class ReadAhead:
    """Implements ports.EventLog over ``depth`` logs made by ``connect``. One reader at a time."""

    def __init__(self, connect: Callable[[], EventLog], depth: int = 3) -> None:
        self._direct = connect()
        self._depth = depth
        self._connect = connect
        self._own = local()
        self._threads = ThreadPoolExecutor(depth, thread_name_prefix="read-ahead")
        self._asked: deque[_Range] = deque()
        self._until: int | None = None
        self._next = 0
        self._end = 0
        self._expected = -1

    def newest_id(self) -> int:
        """See ports.EventLog."""
        return self._direct.newest_id()

    def read(self, after: int, limit: int, *, until: int | None = None, missing: Sequence[Gap] = ()) -> Page:
        """See ports.EventLog. Answers from what was asked for ahead where that fits, else asks now."""
        if missing or until != self._until or after != self._expected:
            self._forget()
        if self._asked:
            return self._take(limit)
        page = self._direct.read(after, limit, until=until, missing=missing)
        if page.full and not missing:
            self._until = until
            self._next = self._expected = page.events[-1].id
            self._end = until if until is not None else self._direct.newest_id()
            self._fill(limit)
        return page

    def close(self) -> None:
        """See ports.EventLog."""
        self._forget()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._direct.close()

    def _take(self, limit: int) -> Page:
        first = self._asked[0]
        try:
            page = first.page.result()
        except BaseException:
            self._forget()
            raise
        self._asked.popleft()
        if page.events:
            self._expected = page.events[-1].id
        self._fill(limit)
        # Whether the log ends here is for the plain read behind the last range to say.
        return replace(page, full=True)

    def _fill(self, limit: int) -> None:
        # A last range shorter than a page is left to the plain read, which also finds what was written meanwhile.
        while len(self._asked) < self._depth and self._next + limit <= self._end:
            until = self._next + limit
            self._asked.append(_Range(self._next, until, self._threads.submit(self._read, self._next, until, limit)))
            self._next = until

    def _read(self, after: int, until: int, limit: int) -> Page:
        if not hasattr(self._own, "log"):
            self._own.log = self._connect()
        log: EventLog = self._own.log
        return log.read(after, limit, until=until)

    def _forget(self) -> None:
        for asked in self._asked:
            asked.page.cancel()
        self._asked.clear()
        self._expected = -1
