"""The Ledger port on the path of an event: record, claim, settle, recover."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import DeliveryQuery, Run, State
from callsheet.domain.operation import Verb
from callsheet.domain.reading import Gap, Intake
from tests.contracts.ledger import PLUGIN, Desk, delivery, event_ids, file, in_state
from tests.support.events import SITE

DONE, DEAD, SKIPPED, HELD, RETRYING, WAITING, RUNNING = (
    State.DONE,
    State.DEAD,
    State.SKIPPED,
    State.HELD,
    State.RETRYING,
    State.WAITING,
    State.RUNNING,
)


# -- record


def test_a_site_never_seen_has_never_been_read(desk: Desk) -> None:
    state = desk.ledger.site("unheard-of")
    assert (state.cursor, state.clock, state.gaps, dict(state.positions)) == (None, 0.0, (), {})


def test_a_page_moves_cursor_clock_and_gaps_and_keeps_them(desk: Desk) -> None:
    gaps = (Gap(3, 7, 310.0), Gap(9, 9, 320.0, "plugin"))
    desk.ledger.record(Intake(SITE, cursor=12, clock=10.5, gaps=gaps), desk.now)
    desk.reopen()
    state = desk.ledger.site(SITE)
    assert (state.cursor, state.clock, state.gaps) == (12, 10.5, gaps)


def test_what_a_page_does_not_name_stays_as_it_is(desk: Desk) -> None:
    gaps = (Gap(3, 7, 310.0),)
    desk.ledger.record(Intake(SITE, cursor=12, clock=10.5, gaps=gaps, positions={"plugin": 5}), desk.now)
    desk.ledger.record(Intake(SITE, cursor=13), desk.now)
    state = desk.ledger.site(SITE)
    assert (state.cursor, state.clock, state.gaps, dict(state.positions)) == (13, 10.5, gaps, {"plugin": 5})
    desk.ledger.record(Intake(SITE, gaps=(), positions={"plugin": None}), desk.now)
    state = desk.ledger.site(SITE)
    assert (state.cursor, state.gaps, dict(state.positions)) == (13, (), {"plugin": None})


def test_what_was_left_out_as_own_adds_up(desk: Desk) -> None:
    desk.describe("react")
    desk.describe("react", plugin="other")
    for own in ({"plugin": 2}, {"plugin": 3, "other": 1}, {}):
        desk.ledger.record(Intake(SITE, cursor=12, own=own), desk.now)
    desk.reopen()
    desk.describe("react")
    assert (desk.plugin().own, desk.plugin("other").own) == (5, 1)


def test_sites_are_apart_though_their_event_ids_are_the_same(desk: Desk) -> None:
    desk.record(delivery(1), cursor=1)
    desk.record(delivery(1, site="other"), cursor=5, site="other")
    assert (desk.ledger.site(SITE).cursor, desk.ledger.site("other").cursor) == (1, 5)
    assert [(row.site, row.event_id) for row in desk.rows()] == [("other", 1), (SITE, 1)]
    assert desk.ledger.deliveries(DeliveryQuery(site="other")) == desk.rows()[:1]


def test_deliveries_survive_with_their_event_as_the_site_sent_it(desk: Desk) -> None:
    new = delivery(7)
    assert desk.record(new) == 1
    desk.reopen()
    (handed,) = desk.claim_one().deliveries
    assert (handed.callback, handed.event_id, handed.payload) == (new.callback, 7, new.event.payload)
    assert (handed.attempts, handed.crashes, handed.recorded_at) == (0, 0, desk.now)


def test_a_delivery_is_unique_by_event_and_callback(desk: Desk) -> None:
    assert desk.record(delivery(1), delivery(2)) == 2
    assert desk.record(delivery(2), delivery(2, "other"), delivery(3)) == 2
    assert desk.plugin().waiting == 4
    assert desk.ledger.site(SITE).waiting == {"plugin": 4}


def test_recording_again_leaves_a_finished_delivery_finished(desk: Desk) -> None:
    desk.record_events(1)
    desk.settle_done(desk.claim_one())
    assert desk.record_events(1) == 0
    assert desk.states() == {1: DONE}
    assert desk.claim() == []
    assert desk.next_due() is None


def test_an_event_with_many_callbacks_is_one_lane_in_registration_order(desk: Desk) -> None:
    desk.record(delivery(2, "b", ordinal=1), delivery(2, "a", ordinal=0), delivery(1, "b", ordinal=1), delivery(1, "a", ordinal=0))
    run = desk.claim_one()
    assert [(one.event_id, one.callback.name) for one in run.deliveries] == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]


# -- claim


def test_a_lane_is_handed_out_once_until_its_run_has_ended(desk: Desk) -> None:
    desk.free = {PLUGIN: 5}
    desk.record_events(1, 2)
    run = desk.claim_one()
    assert desk.claim() == []
    desk.settle(run, DONE, DONE, ended=False)
    desk.record_events(3)
    assert desk.claim() == []
    desk.settle(run)
    assert event_ids(desk.claim_one()) == [3]


def test_a_run_is_as_long_as_asked_for(desk: Desk) -> None:
    desk.record_events(1, 2, 3, 4, 5)
    assert [event_ids(run) for run in _until_nothing(desk, most=2)] == [[1, 2], [3, 4], [5]]


def test_each_plugin_gets_as_many_lanes_as_it_has_slots_and_those_ready_longest_first(desk: Desk) -> None:
    other = PluginKey(SITE, "other")
    for number, lane in enumerate("abc", 1):
        desk.now += 1
        desk.record(delivery(number, lane=lane), delivery(number, lane=lane, plugin="other"))
    desk.free = {PLUGIN: 2, other: 1, PluginKey(SITE, "unheard-of"): 9}
    runs = desk.claim()
    assert sorted((run.plugin.name, run.lane) for run in runs) == [("other", "a"), ("plugin", "a"), ("plugin", "b")]
    desk.free = {other: 0}
    assert desk.claim() == []


def test_a_lane_that_has_run_goes_behind_those_that_wait(desk: Desk) -> None:
    desk.record(delivery(1, lane="a"), delivery(2, lane="a"), delivery(3, lane="b"))
    order = []
    while runs := desk.claim(most=1):
        order += event_ids(runs[0])
        desk.now += 1
        desk.settle_done(runs[0])
    assert order == [1, 3, 2]


def test_run_ids_are_never_used_again(desk: Desk) -> None:
    desk.record_events(1, 2, 3)
    first = desk.claim_one(most=1)
    desk.settle_done(first)
    second = desk.claim_one(most=1)
    desk.reopen()
    desk.ledger.recover("owner", desk.now)
    third = desk.claim_one(most=1)
    assert len({first.id, second.id, third.id}) == 3


def test_many_threads_never_get_the_same_lane(desk: Desk) -> None:
    lanes = 40
    desk.record(*(delivery(number, lane=f"lane {number % lanes}") for number in range(400)))
    ran: dict[str, list[int]] = {f"lane {number}": [] for number in range(lanes)}
    taken: set[str] = set()
    doubled: list[str] = []

    def work() -> None:
        while runs := desk.ledger.claim({PLUGIN: 3}, 4, "owner", desk.now)[0]:
            for run in runs:
                if run.lane in taken:
                    doubled.append(run.lane)
                taken.add(run.lane)
                ran[run.lane] += event_ids(run)
                taken.discard(run.lane)
                desk.settle_done(run)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert doubled == []
    assert {lane: numbers == sorted(numbers) for lane, numbers in ran.items()} == dict.fromkeys(ran, True)
    assert sum(len(numbers) for numbers in ran.values()) == 400


# -- late events


def test_a_late_event_goes_before_those_that_wait(desk: Desk) -> None:
    desk.record_events(3, 4)
    desk.record_events(2)
    assert event_ids(desk.claim_one()) == [2, 3, 4]


def test_a_late_event_waits_for_a_run_that_is_out_and_goes_before_what_is_behind_it(desk: Desk) -> None:
    desk.record_events(1, 3, 5, 7)
    run = desk.claim_one(most=3)
    desk.record_events(2, 6)
    assert in_state(desk.rows(), RUNNING) == [1, 3, 5]
    assert in_state(desk.rows(), WAITING) == [2, 6, 7]
    desk.settle_done(run)
    assert event_ids(desk.claim_one()) == [2, 6, 7]


def test_a_late_event_need_not_wait_for_a_retry_behind_it(desk: Desk) -> None:
    desk.record_events(5, 6)
    desk.settle(desk.claim_one(), RETRYING, due=desk.now + 60)
    desk.record_events(4)
    run = desk.claim_one()
    assert event_ids(run) == [4]
    desk.settle_done(run)
    assert desk.claim() == []
    assert desk.next_due() == desk.now + 60


def test_a_late_event_waits_where_its_lane_is_held(desk: Desk) -> None:
    desk.record_events(5, 6)
    desk.settle(desk.claim_one(), HELD)
    desk.record_events(4)
    assert desk.claim() == []
    desk.operate(Verb.RELEASE, plugin="plugin")
    assert event_ids(desk.claim_one()) == [4, 5, 6]


# -- settle


def test_a_finished_delivery_keeps_what_is_known_of_it(desk: Desk) -> None:
    desk.record_events(1)
    run = desk.claim_one()
    desk.now += 5
    desk.settle_done(run)
    desk.reopen()
    (row,) = desk.rows()
    assert (row.state, row.attempts, row.recorded_at, row.started_at, row.finished_at) == (DONE, 1, 1000.0, 1005.0, 1005.0)
    assert (row.site, row.plugin, row.callback, row.lane, row.event_type) == (
        SITE,
        "plugin",
        "react",
        "lane",
        "Shotgun_Task_Change",
    )
    assert row.failure is None


@pytest.mark.parametrize("state", [DONE, DEAD, SKIPPED])
def test_a_closed_delivery_frees_its_place(desk: Desk, state: State) -> None:
    desk.record_events(1, 2)
    desk.settle(desk.claim_one(most=1), state)
    assert desk.states() == {1: state, 2: WAITING}
    assert event_ids(desk.claim_one()) == [2]


def test_a_retry_keeps_its_place_and_those_behind_it_wait(desk: Desk) -> None:
    desk.record_events(1, 2, 3)
    desk.settle(desk.claim_one(), DONE, RETRYING, due=desk.now + 4)
    assert desk.states() == {1: DONE, 2: RETRYING, 3: WAITING}
    assert desk.claim() == []
    assert desk.next_due() == desk.now + 4
    desk.now += 4
    run = desk.claim_one()
    assert event_ids(run) == [2, 3]
    assert run.deliveries[0].attempts == 1
    assert desk.states() == {1: DONE, 2: RUNNING, 3: RUNNING}


def test_the_next_due_lane_is_told_while_others_run(desk: Desk) -> None:
    desk.record(delivery(1, lane="a"), delivery(2, lane="b"))
    desk.settle(desk.claim_one(), RETRYING, due=desk.now + 7)
    runs, due = desk.ledger.claim(desk.free, 1, "owner", desk.now)
    assert [event_ids(run) for run in runs] == [[2]]
    assert due == desk.now + 7


def test_a_held_delivery_holds_its_lane_and_no_other(desk: Desk) -> None:
    desk.record(delivery(1, lane="a"), delivery(2, lane="a"), delivery(3, lane="b"))
    desk.settle(desk.claim_one(), HELD)
    assert desk.run_all() == [3]
    desk.now += 1e9
    assert desk.claim() == []
    assert desk.next_due() is None
    assert (desk.plugin().waiting, desk.plugin().held) == (2, 1)


def test_what_was_not_reported_waits_again_uncounted(desk: Desk) -> None:
    desk.record_events(1, 2, 3)
    desk.settle(desk.claim_one(), DONE)
    assert desk.states() == {1: DONE, 2: WAITING, 3: WAITING}
    run = desk.claim_one()
    assert event_ids(run) == [2, 3]
    assert [one.attempts for one in run.deliveries] == [0, 0]


def test_what_is_settled_while_the_run_goes_on_is_no_longer_running(desk: Desk) -> None:
    desk.record_events(1, 2, 3)
    run = desk.claim_one()
    desk.settle(run, DONE, ended=False)
    assert desk.states() == {1: DONE, 2: RUNNING, 3: RUNNING}
    assert desk.ledger.overview().states[RUNNING] == 2


def test_settling_the_end_of_an_unknown_run_changes_nothing(desk: Desk) -> None:
    desk.record_events(1)
    run = desk.claim_one()
    desk.ledger.settle([], [run.id + 1000], desk.now)
    assert desk.claim() == []
    assert desk.states() == {1: RUNNING}


def test_settling_twice_is_settling_once(desk: Desk) -> None:
    """As a daemon does that met an error and does not know whether the first try was kept."""
    desk.record_events(1, 2)
    run = desk.claim_one()
    desk.settle(run, DONE, DEAD)
    desk.settle(run, DONE, DEAD)
    assert desk.states() == {1: DONE, 2: DEAD}
    assert desk.ledger.overview().states == {state: {DONE: 1, DEAD: 1}.get(state, 0) for state in State}


def test_failures_are_told_short_or_in_full(desk: Desk) -> None:
    desk.record_events(1)
    desk.settle(desk.claim_one(), DEAD)
    (short,) = desk.rows()
    (full,) = desk.ledger.deliveries(DeliveryQuery(failures=True))
    assert short.failure is not None
    assert full.failure is not None
    assert (short.failure.kind, short.failure.text, short.failure.traceback) == ("ValueError", f"no {short.id}", "")
    assert (full.failure.traceback, full.failure.locals) == ("Traceback…", "x = 1")


# -- recover


def test_lanes_of_an_earlier_daemon_are_given_back(desk: Desk) -> None:
    desk.record_events(1, 2, 3, 4)
    desk.settle(desk.claim_one(most=3), DONE, ended=False)
    desk.reopen()
    assert desk.claim() == []
    assert desk.ledger.recover("next owner", desk.now) == 2
    assert desk.states() == {1: DONE, 2: WAITING, 3: WAITING, 4: WAITING}
    assert event_ids(desk.claim_one()) == [2, 3, 4]


def test_recovering_respects_what_was_decided(desk: Desk) -> None:
    desk.record(*(delivery(number, lane=lane) for number, lane in ((1, "a"), (2, "a"), (3, "b"), (4, "b"))))
    desk.free = {PLUGIN: 2}
    one, two = desk.claim()
    desk.settle(one, HELD, ended=False)
    desk.settle(two, RETRYING, due=desk.now + 9, ended=False)
    desk.reopen()
    assert desk.ledger.recover("next owner", desk.now) == 2
    assert desk.claim() == []
    assert desk.next_due() == desk.now + 9


def test_a_clock_that_was_set_back_keeps_nobody_waiting_after_a_restart(desk: Desk) -> None:
    desk.record_events(1)
    desk.now -= 3600
    desk.reopen()
    desk.ledger.recover("owner", desk.now)
    assert event_ids(desk.claim_one()) == [1]


def test_a_clock_that_is_set_back_keeps_nobody_waiting_longer(desk: Desk) -> None:
    desk.record_events(1)
    desk.settle(desk.claim_one(), RETRYING, due=desk.now + 9)
    assert desk.claim() == []
    desk.record(delivery(2, lane="other"))
    desk.now -= 3600
    assert event_ids(desk.claim_one()) == [2], "what could be handed out can be"
    assert desk.next_due() == desk.now + 9, "and what is to be tried again waits as long as it should"
    desk.now += 9
    assert event_ids(desk.claim_one()) == [1]


def test_what_is_settled_after_the_clock_was_set_back_waits_as_long_as_it_should(desk: Desk) -> None:
    desk.record(delivery(1), delivery(2, lane="other"))
    desk.free = {PLUGIN: 2}
    one, two = desk.claim()
    desk.settle(one, RETRYING, due=desk.now + 30)
    desk.now -= 3600
    desk.settle(two, RETRYING, due=desk.now + 9)
    assert desk.claim() == []
    assert desk.next_due() == desk.now + 9
    desk.now += 9
    assert event_ids(desk.claim_one()) == [2]
    desk.now += 21
    assert event_ids(desk.claim_one()) == [1]


def test_a_clock_that_is_set_forward_and_back_changes_nothing(desk: Desk) -> None:
    desk.record_events(1)
    desk.settle(desk.claim_one(), RETRYING, due=desk.now + 4000)
    desk.now += 3600
    assert desk.claim() == []
    desk.now -= 3600
    assert desk.claim() == []
    assert desk.next_due() is not None


def test_positions_may_come_before_their_plugin(desk: Desk) -> None:
    desk.ledger.record(Intake(SITE, cursor=9, positions={"plugin": 4, "later": 6}), desk.now)
    desk.enrol(file(), file("later"))
    assert dict(desk.ledger.site(SITE).positions) == {"later": 6, "plugin": 4}
    assert desk.plugin("later").position == 6


def _until_nothing(desk: Desk, *, most: int) -> Iterator[Run]:
    while runs := desk.claim(most):
        for run in runs:
            yield run
            desk.settle_done(run)
