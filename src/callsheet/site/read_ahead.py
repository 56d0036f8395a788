"""Several pages in flight when a site's log is far ahead of us.

A reader that is behind waits for the site most of the time. Once a page came back full, the ids up to the newest are cut into
ranges of one page each, and a few of these ranges are asked for at once, each over a connection of its own. Ranges of ids, not
page numbers: an event that shows late moves the pages behind it, but no range.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial

from callsheet.model import Gap
from callsheet.ports import EventLog, Page
from callsheet.site.readers import Answer, Readers

FRESH = 2.0
"""Seconds for which an answer may wait to be taken. Events may show late in an older one's range, and how old the event behind a
missing id is decides whether that id is waited for."""


@dataclass(frozen=True, slots=True)
class _Range:
    """Ids behind ``after`` up to ``until`` that have been asked for."""

    after: int
    until: int
    answer: Future[Answer]


class ReadAhead:
    """Implements ports.EventLog over ``1 + depth`` logs made by ``connect``. One reader at a time."""

    def __init__(self, connect: Callable[[], EventLog], depth: int = 3) -> None:
        self._direct = connect()
        self._depth = depth
        self._readers = Readers(connect, depth)
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
        ahead = self._take(limit)
        if ahead is not None:
            return ahead
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
        self._readers.close()
        self._direct.close()

    def _take(self, limit: int) -> Page | None:
        """The next range's events; None, and nothing asked for any more, where a plain read must answer."""
        if not self._asked:
            return None
        try:
            answer = self._asked[0].answer.result()
        except BaseException:
            self._forget()
            raise
        if not answer.page.events or time.monotonic() - answer.at > FRESH:
            # An empty range may begin a hole of 200,000 ids; a plain read jumps it.
            self._forget()
            return None
        self._asked.popleft()
        self._expected = answer.page.events[-1].id
        self._fill(limit)
        # Whether the log ends here is for the plain read behind the last range to say.
        return replace(answer.page, full=True)

    def _fill(self, limit: int) -> None:
        # A last range shorter than a page is left to the plain read, which also finds what was written meanwhile.
        while len(self._asked) < self._depth and self._next + limit <= self._end:
            until = self._next + limit
            answer = self._readers.ask(partial(_read, self._next, until, limit))
            self._asked.append(_Range(self._next, until, answer))
            self._next = until

    def _forget(self) -> None:
        for asked in self._asked:
            asked.answer.cancel()
        self._asked.clear()
        self._expected = -1


def _read(after: int, until: int, limit: int, log: EventLog) -> Page:
    return log.read(after, limit, until=until)
