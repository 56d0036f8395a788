"""ReadAhead shows what plain reading shows, whatever the log is like, with few requests at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsheet.errors import SiteError
from callsheet.model import Event, Gap
from callsheet.ports import EventLog, Page
from callsheet.sandbox import Sandbox
from callsheet.site.event_log import SiteEventLog
from callsheet.site.read_ahead import FRESH, ReadAhead

SITE = "studio"


class MemoryLog:
    """An event log in memory, which several readers share."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = sorted(ids)
        self.reads = 0
        self.at_once = 0
        self.most_at_once = 0
        self.fails_at: set[int] = set()
        self._lock = threading.Lock()

    def newest_id(self) -> int:
        return self.ids[-1] if self.ids else 0

    def read(self, after: int, limit: int, *, until: int | None = None, missing: Sequence[Gap] = ()) -> Page:
        with self._asked():
            if self.reads in self.fails_at:
                raise SiteError("the site was away for a moment")
            last = float("inf") if until is None else until
            found = [one for one in self.ids if after < one <= last or any(gap.first <= one <= gap.last for gap in missing)]
            events = tuple(Event(SITE, {"id": one}) for one in found[:limit])
            return Page(events, full=len(events) >= limit)

    def close(self) -> None:
        """Nothing to close."""

    @contextmanager
    def _asked(self) -> Any:
        with self._lock:
            self.reads += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            with self._lock:
                self.at_once -= 1


def read_all(log: EventLog, after: int, limit: int, until: int | None = None) -> list[int]:
    """Page by page to the end, as the intake reads: what ``full`` promises is relied on."""
    found: list[int] = []
    while True:
        try:
            page = log.read(found[-1] if found else after, limit, until=until)
        except SiteError:
            continue
        found += [event.id for event in page.events]
        if not page.full:
            return found


def laid_out(runs: Sequence[tuple[int, int]]) -> list[int]:
    """Ids of runs of neighbours, each of a length and with a hole behind it."""
    ids: list[int] = []
    at = 1
    for length, hole in runs:
        ids += range(at, at + length)
        at += length + hole
    return ids


LOGS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 60)), max_size=12).map(laid_out)


@settings(max_examples=150, deadline=None)
@given(ids=LOGS, limit=st.integers(1, 9), after=st.integers(0, 200), until=st.none() | st.integers(0, 400), depth=st.integers(1, 4))
def test_it_shows_what_plain_reading_shows(ids: list[int], limit: int, after: int, until: int | None, depth: int) -> None:
    plain = MemoryLog(ids)
    log = ReadAhead(lambda: MemoryLog(ids), depth)
    try:
        assert read_all(log, after, limit, until) == read_all(plain, after, limit, until)
    finally:
        log.close()


@settings(max_examples=60, deadline=None)
@given(ids=LOGS, limit=st.integers(1, 9), fails_at=st.sets(st.integers(1, 20)))
def test_pages_that_could_not_be_had_are_read_again(ids: list[int], limit: int, fails_at: set[int]) -> None:
    shared = MemoryLog(ids)
    shared.fails_at = fails_at
    log = ReadAhead(lambda: shared)
    try:
        assert read_all(log, 0, limit) == sorted(ids)
    finally:
        log.close()


def test_a_page_never_claims_that_nothing_follows_where_something_does() -> None:
    # A full page, then holes: each of the ranges that are asked for ahead is empty.
    ids = [*range(1, 11), *range(1_001, 1_011)]
    log = ReadAhead(lambda: MemoryLog(ids))
    first = log.read(0, 10)
    second = log.read(10, 10)
    assert (len(first.events), len(second.events)) == (10, 10)
    log.close()


def test_a_hole_is_jumped_and_not_walked_through() -> None:
    shared = MemoryLog([*range(1, 101), *range(200_001, 200_101)])
    log = ReadAhead(lambda: shared)
    assert read_all(log, 0, 10) == shared.ids
    assert shared.reads < 60
    log.close()


def test_late_events_and_gaps_over_the_wire() -> None:
    """The same over HTTP: a random log with holes and withheld events, some of which show while it is read."""
    chance = random.Random(65)
    with Sandbox(show=False) as sandbox:
        log = ReadAhead(lambda: SiteEventLog(SITE, sandbox.url, sandbox.script, sandbox.key))
        plain = SiteEventLog(SITE, sandbox.url, sandbox.script, sandbox.key)
        for _ in range(15):
            sandbox.add_events(chance.randrange(1, 40))
            if chance.random() < 0.5:
                sandbox.skip_event_id(chance.randrange(1, 90))
            if chance.random() < 0.5:
                sandbox.withhold(next=chance.randrange(1, 6))
        hidden = sandbox.withheld()
        limit = 13
        assert read_all(log, 0, limit) == read_all(plain, 0, limit)
        # Some show, below where the reading stands: asked for as missing, both tell the same.
        for one in chance.sample(hidden, len(hidden) // 2):
            sandbox.release(one)
        gaps = [Gap(one, one, 1e9) for one in hidden]
        at = sandbox.events()[-1]["id"] - 20
        assert log.read(at, limit, missing=gaps) == plain.read(at, limit, missing=gaps)
        assert read_all(log, at, limit) == read_all(plain, at, limit)
        log.close()
        plain.close()


def test_several_pages_are_in_flight_and_never_more_than_the_depth() -> None:
    # Given a site in no hurry, whose requests are counted as long as they last
    depth = 3
    with Sandbox(show=False) as sandbox:
        events = sandbox.add_events(400)
        sandbox.faults.slow(0.05, method="read")
        counted = Counted()
        log = ReadAhead(lambda: counted.log(SiteEventLog(SITE, sandbox.url, sandbox.script, sandbox.key)), depth)

        assert read_all(log, 0, 20) == list(events)

        assert counted.most == depth
        log.close()


def test_an_answer_that_waited_for_long_is_asked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given pages that were asked for ahead
    shared = MemoryLog([one for one in range(1, 200) if one != 55])
    log = ReadAhead(lambda: shared)
    found = [event.id for event in log.read(0, 10).events]
    while found[-1] < 40:
        found += [event.id for event in log.read(found[-1], 10).events]
    # When an event shows in one of them that is not taken for long
    shared.ids = list(range(1, 200))
    monkeypatch.setattr("callsheet.site.read_ahead.FRESH", -1.0)
    # Then it is seen
    found += read_all(log, found[-1], 10)
    assert found == shared.ids
    assert FRESH > 0
    log.close()


class Counted:
    """Logs whose reads are counted while they last."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def log(self, log: SiteEventLog) -> EventLog:
        return _CountedLog(log, self)

    @contextmanager
    def one(self) -> Any:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            yield
        finally:
            with self._lock:
                self.now -= 1


class _CountedLog:
    def __init__(self, log: SiteEventLog, counted: Counted) -> None:
        self._log = log
        self._counted = counted

    def newest_id(self) -> int:
        return self._log.newest_id()

    def read(self, after: int, limit: int, *, until: int | None = None, missing: Sequence[Gap] = ()) -> Page:
        with self._counted.one():
            return self._log.read(after, limit, until=until, missing=missing)

    def close(self) -> None:
        self._log.close()
