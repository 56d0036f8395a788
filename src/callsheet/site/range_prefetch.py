"""A part of a log that is read from end to end: ranges of ids, some of which are asked for before they are wanted.

Ranges of ids, not page numbers: an event that shows late moves the pages behind it, but no range.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from callsheet.ports import EventLog, Page
from callsheet.site.reader_pool import Answer, ReaderPool

FRESH = 2.0
"""Seconds for which an answer may wait to be taken. Events may show late in an older one's range, and how old the event behind a
missing id is decides whether that id is waited for."""

FIRST_WIDTH = 4
"""Ranges asked for at once at first. More only where the site is slower than we are: what waits here takes memory."""

WIDER = 4
"""By what a range of a sparse stretch is longer than the last one at most: one odd answer must not make it the whole log."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a log is read: page by page of ``limit`` events, up to ``until``, of these ``types`` (None: to the end, of all)."""

    limit: int
    until: int | None = None
    types: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class _Range:
    """Ids behind ``after`` up to ``until`` that have been asked for."""

    after: int
    until: int
    answer: Future[Answer]


class RangePrefetch:
    """The part of a log behind a page that came back full. Asks for nothing before its first ``take``."""

    def __init__(self, readers: ReaderPool, scope: Scope, newest: Callable[[], int], after: int, page: Page) -> None:
        """``page`` was read behind ``after``. ``newest``: asks for the log's newest id, once, where the scope has no end."""
        self._readers = readers
        self._scope = scope
        self._newest = newest
        self._asked: deque[_Range] = deque()
        self._next = max(after, page.events[-1].id)
        self._end = scope.until
        # Without a filter a range has one page at most, if it has as many ids; with one, as many ids as the last page took.
        self._span = scope.limit if scope.types is None else max(scope.limit, self._next - after)
        self._width = FIRST_WIDTH
        self.used_at = time.monotonic()

    def take(self, after: int, depth: int) -> Page | None:
        """The next events, all behind ``after``; None, and nothing asked for any more, where a plain read must answer.

        ``depth``: how many ranges may be asked for at once.
        """
        self._fill(depth)
        while self._asked:
            asked = self._asked.popleft()
            if not asked.answer.done() and self._width < depth:  # the site is what we wait for
                self._width *= 2
            answer = asked.answer.result()
            self.used_at = time.monotonic()
            found = answer.page.events
            if self._scope.types is None and (not found or self.used_at - answer.at > FRESH):
                # An empty range may begin a hole of 200,000 ids; a plain read jumps it.
                break
            if answer.page.full and found[-1].id < asked.until:  # the rest of it comes before all others
                self._asked.appendleft(self._ask(found[-1].id, asked.until))
            self._measure(asked, len(found))
            self._fill(depth)
            events = tuple(event for event in found if event.id > after)
            # Whether a log without an end goes on is for the plain read behind the last range to say.
            more = self._end != self._scope.until or bool(self._asked) or self._next < (self._end or 0)
            if events or not more:
                return Page(events, full=more, at=answer.page.at, odd=answer.page.odd)
        self.forget()
        return None

    def forget(self) -> None:
        """Ask for nothing more."""
        for asked in self._asked:
            asked.answer.cancel()
        self._asked.clear()

    def _fill(self, depth: int) -> None:
        if self._end is None:
            self._end = self._newest()
        # Without a filter, a last range shorter than a page is left to the plain read, which also finds what was written meanwhile.
        least = 1 if self._scope.types is not None else self._span
        while len(self._asked) < min(self._width, depth) and self._next + least <= self._end:
            until = min(self._next + self._span, self._end)
            self._asked.append(self._ask(self._next, until))
            self._next = until

    def _ask(self, after: int, until: int) -> _Range:
        return _Range(after, until, self._readers.ask(partial(_read, after, until, self._scope)))

    def _measure(self, asked: _Range, found: int) -> None:
        """Let further ranges be as long as would have made a page of this one."""
        if self._scope.types is None:
            return
        ids = asked.until - asked.after
        fitting = ids * self._scope.limit // (found + 1)
        self._span = max(self._scope.limit, min(fitting, self._span * WIDER))


def _read(after: int, until: int, scope: Scope, log: EventLog) -> Page:
    return log.read(after, scope.limit, until=until, types=scope.types)
