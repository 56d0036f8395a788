"""The gap policy: which ids are waited for, for how long, and what a late one means."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from callsheet.domain.event import Event
from callsheet.domain.reading import Gap
from callsheet.policy import gaps
from tests.support.events import CREATED_AT, event

CREATED = datetime.fromisoformat(CREATED_AT).timestamp()
WINDOW = 300.0


def admit(cursor: int, ids: list[int], known: tuple[Gap, ...] = (), **more: object) -> gaps.Admission:
    options: dict[str, object] = {"clock": 1000.0, "now": CREATED + 1, "window": WINDOW, **more}
    return gaps.admit(cursor, [event(number) for number in ids], known, **options)  # type: ignore[arg-type]  # keywords of the test


def ids(events: tuple[Event, ...]) -> list[int]:
    return [one.id for one in events]


def test_consecutive_events_are_taken_and_move_the_cursor() -> None:
    found = admit(10, [11, 12, 13])
    assert (ids(found.take), found.cursor, found.gaps) == ([11, 12, 13], 13, ())


def test_a_missing_id_opens_a_gap_and_holds_nothing_back() -> None:
    found = admit(10, [11, 13])
    assert ids(found.take) == [11, 13]
    assert found.opened == found.gaps == (Gap(12, 12, 1300.0),)


def test_a_jump_of_200_000_ids_is_one_gap() -> None:
    assert admit(10, [200_011]).gaps == (Gap(11, 200_010, 1300.0),)


def test_a_gap_before_an_old_event_is_not_waited_for() -> None:
    found = admit(10, [13], now=CREATED + WINDOW + 1)
    assert (found.gaps, found.ignored) == ((), (Gap(11, 12, 1300.0),))


def test_an_event_whose_time_cannot_be_read_counts_as_young() -> None:
    odd = event(13, created_at="yesterday")
    found = gaps.admit(10, [odd], (), clock=0, now=CREATED + 9999, window=WINDOW)
    assert found.opened == (Gap(11, 12, WINDOW),)


def test_a_late_event_is_taken_alone_and_splits_its_gap() -> None:
    found = admit(20, [13], (Gap(11, 15, 1100.0),))
    assert [(one.id, owner) for one, owner in found.late] == [(13, None)]
    assert (found.take, found.cursor) == ((), 20)
    assert found.gaps == (Gap(11, 12, 1100.0), Gap(14, 15, 1100.0))


def test_an_event_behind_the_cursor_that_no_gap_waits_for_is_dropped() -> None:
    found = admit(20, [13])
    assert (found.take, found.late) == ((), ())


def test_a_plugins_own_gap_is_filled_for_that_plugin() -> None:
    found = admit(20, [13], (Gap(13, 13, 1100.0, "imported"), Gap(12, 13, 1100.0)))
    assert sorted(str(owner) for _, owner in found.late) == ["None", "imported"]
    assert found.gaps == (Gap(12, 12, 1100.0),)


def test_a_gap_expires_by_the_clock_of_answered_time() -> None:
    kept, ended = gaps.expire((Gap(1, 1, 99.0), Gap(2, 2, 101.0)), 100.0, cursor=5)
    assert (kept, ended) == ((Gap(2, 2, 101.0),), (Gap(1, 1, 99.0),))


def test_strict_stops_before_a_gap_until_it_is_filled() -> None:
    first = admit(10, [11, 13, 14], strict=True)
    assert (ids(first.take), first.cursor, first.gaps) == ([11], 11, (Gap(12, 12, 1300.0),))

    waiting = admit(11, [13, 14], first.gaps, strict=True)
    assert (waiting.take, waiting.cursor, waiting.gaps) == ((), 11, first.gaps)

    filled = admit(11, [12, 13, 14], first.gaps, strict=True)
    assert (ids(filled.take), filled.cursor, filled.gaps) == ([12, 13, 14], 14, ())


def test_strict_goes_on_when_the_window_has_ended() -> None:
    known = (Gap(12, 12, 1300.0),)
    kept, ended = gaps.expire(known, 1300.0, cursor=11)
    assert (kept, ended) == (known, ()), "it is still needed to know that the hole may be passed"

    passed = admit(11, [13], known, strict=True, clock=1300.0)
    assert (ids(passed.take), passed.gaps) == ([13], ())
    assert [(gap.first, gap.last) for gap in passed.expired] == [(12, 12)]


@given(st.lists(st.integers(11, 60), unique=True), st.lists(st.integers(0, 3), min_size=60, max_size=60))
def test_in_whatever_order_ids_appear_each_is_taken_exactly_once(present: list[int], polls: list[int]) -> None:
    """Given ids that each appear at some poll, when all polls are read, then every one is taken once, fresh or late."""
    cursor, taken = 10, []
    known: tuple[Gap, ...] = ()
    for poll in range(4):
        visible = sorted(number for number in present if polls[number - 11] <= poll)
        asked = [one for one in visible if one > cursor or any(gap.first <= one <= gap.last for gap in known)]
        found = admit(cursor, asked, known)
        taken += ids(found.take) + [one.id for one, _ in found.late]
        cursor, known = found.cursor, found.gaps
    assert sorted(taken) == sorted(present)
