"""Prefetch shows what plain reading shows, whatever the log is like, with few requests at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsheet.domain.event import Event
from callsheet.domain.reading import Gap
from callsheet.errors import SiteError
from callsheet.ports import EventLog, Page
from callsheet.sandbox import Fault, Sandbox
from callsheet.site import prefetch, range_prefetch, reader_pool
from callsheet.site.event_log import SiteEventLog
from callsheet.site.prefetch import Prefetch
from tests.support.events import event
from tests.support.memory_log import MemoryLog
from tests.support.waiting import until

SITE = "studio"
RARE = frozenset({"Rare"})


def read_all(log: EventLog, after: int, limit: int, until: int | None = None, types: frozenset[str] | None = None) -> list[int]:
    """Page by page to the end, as the intake reads: what ``full`` promises is relied on."""
    found: list[int] = []
    while True:
        try:
            page = log.read(found[-1] if found else after, limit, until=until, types=types)
        except SiteError:
            continue
        found += [one.id for one in page.events]
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


def rare(chance: int, seed: int = 0) -> Callable[[int], Event]:
    """Events of which one in ``chance`` is of the rare type, in clusters here and none there."""

    def make(number: int) -> Event:
        cluster = random.Random(seed * 1_000_003 + number // 20).randrange(1, 2 * chance)
        dice = random.Random(seed * 7_000_003 + number)
        return event(number, "Rare" if dice.randrange(cluster) == 0 else "Common")

    return make


LOGS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 60)), max_size=12).map(laid_out)


@settings(max_examples=150, deadline=None)
@given(ids=LOGS, limit=st.integers(1, 9), after=st.integers(0, 200), until=st.none() | st.integers(0, 400), depth=st.integers(1, 9))
def test_it_shows_what_plain_reading_shows(ids: list[int], limit: int, after: int, until: int | None, depth: int) -> None:
    plain = MemoryLog(ids)
    log = Prefetch(lambda: MemoryLog(ids), depth)
    try:
        assert read_all(log, after, limit, until) == read_all(plain, after, limit, until)
    finally:
        log.close()


@settings(max_examples=150, deadline=None)
@given(
    ids=LOGS,
    limit=st.integers(1, 9),
    until=st.none() | st.integers(0, 400),
    make=st.builds(rare, st.integers(1, 40), st.integers(0, 5)),
    fails_at=st.sets(st.integers(1, 20)),
)
def test_with_types_it_shows_those_events_alone_and_all_of_them(
    ids: list[int], limit: int, until: int | None, make: Callable[[int], Event], fails_at: set[int]
) -> None:
    shared = MemoryLog(ids, make)
    shared.fails_at = fails_at
    log = Prefetch(lambda: shared)
    try:
        wanted = [one for one in ids if shared.make(one).type == "Rare" and (until is None or one <= until)]
        assert read_all(log, 0, limit, until, RARE) == wanted
    finally:
        log.close()


@settings(max_examples=60, deadline=None)
@given(ids=LOGS, limit=st.integers(1, 9), fails_at=st.sets(st.integers(1, 20)))
def test_pages_that_could_not_be_had_are_read_again(ids: list[int], limit: int, fails_at: set[int]) -> None:
    shared = MemoryLog(ids)
    shared.fails_at = fails_at
    log = Prefetch(lambda: shared)
    try:
        assert read_all(log, 0, limit) == sorted(ids)
    finally:
        log.close()


@settings(max_examples=80, deadline=None)
@given(ids=LOGS, hidden=st.sets(st.integers(1, 200), max_size=6), turns=st.lists(st.integers(0, 2), min_size=400, max_size=400))
def test_several_readers_by_turns_and_missing_ids_in_between_disturb_nobody(
    ids: list[int], hidden: set[int], turns: list[int]
) -> None:
    # Given three who read the same log: one to the end, one up to an id, one of one type
    shared = MemoryLog([one for one in ids if one not in hidden], rare(3))
    scopes: list[dict[str, Any]] = [{}, {"until": 150}, {"until": 300, "types": RARE}]
    places, found = [0, 0, 0], [[], [], []]  # type: tuple[list[int], list[list[int]]]
    late: set[int] = set()
    log = Prefetch(lambda: shared, 6)
    try:
        # When they read by turns, and the first asks for ids that are missing now and then
        for turn, who in enumerate(turns):
            missing = [Gap(one, one, 1e9) for one in sorted(hidden) if one <= places[0]] if who == 0 and turn % 3 == 0 else []
            page = log.read(places[who], 5, missing=missing, **scopes[who])
            late |= {one.id for one in page.events if one.id <= places[who]}
            found[who] += [one.id for one in page.events if one.id > places[who]]
            places[who] = found[who][-1] if found[who] else 0
        # Then each gets what is there for it
        for who, scope in enumerate(scopes):
            found[who] += read_all(log, places[who], 5, **scope)
    finally:
        log.close()
    assert not late, "nothing that was missing has shown"
    assert found[0] == shared.ids
    assert found[1] == [one for one in shared.ids if one <= 150]
    assert found[2] == [one for one in shared.ids if one <= 300 and shared.make(one).type == "Rare"]


def test_a_page_never_claims_that_nothing_follows_where_something_does() -> None:
    # A full page, then holes: each of the ranges that are asked for ahead is empty.
    ids = [*range(1, 11), *range(1_001, 1_011)]
    log = Prefetch(lambda: MemoryLog(ids))
    first = log.read(0, 10)
    second = log.read(10, 10)
    assert (len(first.events), len(second.events)) == (10, 10)
    log.close()


def test_a_hole_is_jumped_and_not_walked_through() -> None:
    shared = MemoryLog([*range(1, 101), *range(200_001, 200_101)])
    log = Prefetch(lambda: shared)
    assert read_all(log, 0, 10) == shared.ids
    assert shared.reads < 60
    log.close()


def test_rare_events_cost_few_requests() -> None:
    # Given 40 pages of wanted events in a log of 4,000
    shared = MemoryLog(range(1, 40_001), lambda number: event(number, "Rare" if number % 100 == 0 else "Common"))
    log = Prefetch(lambda: shared)
    assert len(read_all(log, 0, 10, 40_000, RARE)) == 400
    assert shared.reads < 60, "by ranges as short as a page it would take 4,000"
    log.close()


def test_asking_for_missing_ids_does_not_throw_away_what_was_asked_for_ahead() -> None:
    shared = MemoryLog([one for one in range(1, 1_001) if one != 7])
    log = Prefetch(lambda: shared, 4)
    place, pages = log.read(0, 10).events[-1].id, 1
    while place < 900:
        missing = [Gap(7, 7, 1e9)] if pages % 2 == 0 else []
        page = log.read(place, 10, missing=missing)
        place, pages = page.events[-1].id, pages + 1
    # One request for each page, one for every second of them that was asked for twice, and what is in flight
    assert shared.reads <= pages * 1.5 + 4
    log.close()


def test_late_events_and_gaps_over_the_wire() -> None:
    """The same over HTTP: a random log with holes and withheld events, some of which show while it is read."""
    chance = random.Random(65)
    with Sandbox(show=False) as sandbox:
        log = Prefetch(lambda: SiteEventLog(SITE, sandbox.url, sandbox.script, sandbox.key))
        plain = SiteEventLog(SITE, sandbox.url, sandbox.script, sandbox.key)
        for _ in range(15):
            sandbox.add_events(chance.randrange(1, 40), chance.choice(["Rare", "Common"]))
            if chance.random() < 0.5:
                sandbox.skip_event_id(chance.randrange(1, 90))
            if chance.random() < 0.5:
                sandbox.withhold(next=chance.randrange(1, 6))
        hidden = sandbox.withheld()
        limit = 13
        assert read_all(log, 0, limit) == read_all(plain, 0, limit)
        newest = plain.newest_id()
        assert read_all(log, 0, limit, newest, RARE) == [
            one["id"] for one in sandbox.events() if one["event_type"] == "Rare" and one["id"] <= newest
        ]
        # Some show, below where the reading stands: asked for as missing, both tell the same.
        for one in chance.sample(hidden, len(hidden) // 2):
            sandbox.release(one)
        gaps = [Gap(one, one, 1e9) for one in hidden]
        at = sandbox.events()[-1]["id"] - 20
        assert log.read(at, limit, missing=gaps) == plain.read(at, limit, missing=gaps)
        assert read_all(log, at, limit) == read_all(plain, at, limit)
        log.close()
        plain.close()


@pytest.mark.parametrize("fault", ["status", "drop", "garble", "truncate"])
def test_an_error_in_one_of_several_pages_in_flight_loses_and_reorders_nothing(fault: str) -> None:
    with Sandbox(show=False) as sandbox:
        events = sandbox.add_events(300)
        for skip in (2, 5, 11):
            sandbox.faults.add(Fault(fault, method="read", count=1, skip=skip))
        sandbox.faults.slow(0.02, method="read")
        log = Prefetch(lambda: SiteEventLog(SITE, sandbox.url, sandbox.script, sandbox.key))
        assert read_all(log, 0, 10) == list(events)
        log.close()


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_as_many_pages_are_in_flight_as_wished_and_never_more(depth: int) -> None:
    # Given a site in no hurry, whose requests are counted as long as they last
    with Sandbox(show=False) as sandbox:
        events = sandbox.add_events(800)
        sandbox.faults.slow(0.03, method="read")
        flights = Flights()
        log = Prefetch(lambda: CountedLog(flights, sandbox), depth)

        assert read_all(log, 0, 20) == list(events)

        assert flights.most == depth
        log.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which pages grow old, which stands still until told."""
    clock = Clock()
    for module in (prefetch, range_prefetch, reader_pool):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class Clock:
    now = 1000.0


@pytest.mark.parametrize(("waits", "shows"), [(0.0, False), (10.0, True)])
def test_an_answer_that_waited_for_long_is_asked_for_anew(clock: Clock, *, waits: float, shows: bool) -> None:
    # Given pages that were asked for ahead, and have come
    shared = MemoryLog([one for one in range(1, 200) if one != 28])
    log = Prefetch(lambda: shared)
    found = [one.id for one in log.read(0, 10).events]
    found += [one.id for one in log.read(10, 10).events]
    until(lambda: answered(log))
    # When an event shows in one of them, which is taken only after a while
    shared.ids = list(range(1, 200))
    clock.now += waits
    # Then it is seen
    found += read_all(log, found[-1], 10)
    assert found == [one for one in shared.ids if shows or one != 28]
    log.close()


def test_what_nobody_reads_on_is_dropped_with_what_was_asked_for(clock: Clock) -> None:
    # Given a reader of one type that stopped in the middle, for whom pages were asked for ahead, and have come
    shared = MemoryLog(range(1, 200), lambda number: event(number, "Rare"))
    shared.ids.remove(15)
    log = Prefetch(lambda: shared)
    assert [one.id for one in log.read(0, 5, types=RARE).events] == [1, 2, 3, 4, 5]
    assert [one.id for one in log.read(5, 5, types=RARE).events] == [6, 7, 8, 9, 10]
    until(lambda: answered(log))
    # When it comes back much later, when another one has read, and an event has shown in what was asked for
    shared.ids = list(range(1, 200))
    clock.now += 60.0
    log.read(150, 5)
    # Then it gets what is there now
    assert [one.id for one in log.read(10, 5, types=RARE).events] == [11, 12, 13, 14, 15]
    log.close()


def answered(log: Prefetch) -> bool:
    """Whether all that was asked for ahead has come."""
    return all(asked.answer.done() for one in log._stretches.values() for asked in one._asked)


class Flights:
    """How many requests last, and how many did at once at most."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()


class CountedLog(SiteEventLog):
    """A log whose reads are counted for as long as they last."""

    def __init__(self, flights: Flights, sandbox: Sandbox) -> None:
        super().__init__(SITE, sandbox.url, sandbox.script, sandbox.key)
        self._flights = flights

    def read(self, after: int, limit: int, **more: Any) -> Page:
        with self._flights.lock:
            self._flights.now += 1
            self._flights.most = max(self._flights.most, self._flights.now)
        try:
            return super().read(after, limit, **more)
        finally:
            with self._flights.lock:
                self._flights.now -= 1
