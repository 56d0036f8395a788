"""The Ledger port on lanes that must be quiet before they are handed out, and on tries that an outage cut short."""

from __future__ import annotations

from callsheet.domain.delivery import DeliveryQuery, Failure, Outcome, State
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.reading import Intake
from tests.contracts.ledger import PLUGIN, Desk, delivery, event_ids
from tests.support.events import SITE

LANE = "settle:react:Task:14"
QUIET = 2.0


def add(desk: Desk, *numbers: int) -> None:
    desk.record(*(delivery(number, lane=LANE)._replace(settle=QUIET) for number in numbers))


def test_a_lane_is_handed_out_whole_once_it_was_quiet(desk: Desk) -> None:
    add(desk, 1, 2)
    desk.now += 1.5
    add(desk, 3)
    desk.now += 1.5
    assert desk.claim() == []
    assert desk.next_due() == desk.now + 0.5
    desk.now += 0.5
    assert event_ids(desk.claim_one()) == [1, 2, 3]


def test_a_burst_without_end_is_handed_out_in_time(desk: Desk) -> None:
    began = desk.now
    number = 0
    while not (runs := desk.claim()):
        number += 1
        add(desk, number)
        desk.now += 1.0
        assert desk.now < began + 60
    assert desk.now == began + 10 * QUIET
    assert event_ids(runs[0]) == list(range(1, number + 1))


def test_other_lanes_do_not_wait(desk: Desk) -> None:
    add(desk, 1)
    desk.record_events(2)
    assert desk.run_all() == [2]


def test_a_daemon_that_comes_back_waits_as_long_and_what_ran_is_handed_out_with_what_came_since(desk: Desk) -> None:
    add(desk, 1, 2)
    desk.reopen()
    desk.ledger.recover("owner", desk.now)
    assert desk.claim() == []
    desk.now += QUIET
    assert event_ids(desk.claim_one()) == [1, 2]
    add(desk, 3)
    desk.reopen()
    assert desk.ledger.recover("owner", desk.now) == 2
    assert event_ids(desk.claim_one()) == [1, 2, 3]


def test_what_comes_while_it_is_handed_out_waits_for_quiet_of_its_own(desk: Desk) -> None:
    add(desk, 1)
    desk.now += QUIET
    run = desk.claim_one()
    desk.now += 1
    add(desk, 2)
    desk.settle_done(run)
    assert desk.claim() == []
    assert desk.next_due() == desk.now + QUIET
    desk.now += QUIET
    assert event_ids(desk.claim_one()) == [2]


def test_a_burst_that_failed_is_handed_out_again_with_what_came_meanwhile(desk: Desk) -> None:
    add(desk, 1, 2)
    desk.now += QUIET
    due = desk.now + 5
    desk.settle(desk.claim_one(), State.RETRYING, State.RETRYING, due=due)
    desk.now = due - 0.5
    add(desk, 3)
    assert desk.claim() == []
    desk.now = due
    assert event_ids(desk.claim_one()) == [1, 2, 3]


def test_a_reload_and_an_operator_make_it_wait_no_longer(desk: Desk) -> None:
    add(desk, 1)
    desk.describe("react")
    assert desk.claim() == []
    desk.operate(Verb.SKIP, event_id=1)
    desk.operate(Verb.RETRY, event_id=1)
    assert event_ids(desk.claim_one()) == [1]


def test_a_long_burst_is_one_run(desk: Desk) -> None:
    add(desk, *range(1, 31))
    desk.record_events(*range(101, 131))
    desk.now += QUIET
    desk.free = {PLUGIN: 2}
    found = {run.lane: event_ids(run) for run in desk.claim(10)}
    assert found == {LANE: list(range(1, 31)), "lane": list(range(101, 111))}


def test_outages_are_counted_until_a_retry_begins_afresh(desk: Desk) -> None:
    desk.record_events(1)
    (handed,) = (run := desk.claim_one()).deliveries
    assert handed.outages == 0
    outcome = Outcome(handed.id, State.RETRYING, 0, 0, desk.now, desk.now, due=desk.now, outages=3)
    desk.ledger.settle([outcome], [run.id], desk.now)
    (handed,) = (run := desk.claim_one()).deliveries
    assert (handed.outages, handed.attempts) == (3, 0)
    desk.settle(run, State.DEAD)
    desk.operate(Verb.RETRY, event_id=1)
    assert desk.claim_one().deliveries[0].outages == 0


def test_a_replayed_delivery_begins_afresh_whatever_was_counted_of_it(desk: Desk) -> None:
    desk.record_events(1)
    (handed,) = (run := desk.claim_one()).deliveries
    outcome = Outcome(handed.id, State.DEAD, 4, 2, desk.now, desk.now, outages=3, failure=Failure("ValueError", "no"))
    desk.ledger.settle([outcome], [run.id], desk.now)
    query = DeliveryQuery(site=SITE, plugin="plugin")
    desk.ledger.operate(Operation(Verb.REPLAY, "ada@stage", "", query, ((1, 1),)), desk.now)
    (replay,) = desk.ledger.site(SITE).replays
    desk.ledger.record(Intake(SITE, (delivery(1),), replay=replay), desk.now)
    (handed,) = desk.claim_one().deliveries
    assert (handed.attempts, handed.crashes, handed.outages) == (0, 0, 0)
