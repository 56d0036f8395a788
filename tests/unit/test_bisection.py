"""Of what is written together, only that which can't be kept is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callsheet import telemetry
from callsheet.domain.callback import Links, PluginKey
from callsheet.domain.delivery import DeliveryQuery, Failure, Outcome, Report, State, Verdict
from callsheet.domain.plugin import Manifest, PluginState
from callsheet.domain.reading import Intake
from callsheet.errors import StateError
from callsheet.services import bisection
from tests.contracts.ledger import Desk, delivery, file, open_desk
from tests.support.events import SITE, callback

HUGE = 2**70


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk("sqlite", tmp_path) as one:
        yield one


def claimed(desk: Desk, count: int) -> tuple[int, list[Outcome]]:
    """A run of so many deliveries, and an outcome of each: done."""
    desk.record_events(*range(1, count + 1))
    run = desk.claim_one()
    return run.id, [desk.outcome(one.id, State.DONE) for one in run.deliveries]


def settled(desk: Desk, run: int, outcomes: Sequence[Outcome]) -> dict[int, State]:
    bisection.settle(desk.ledger, list(outcomes), [run], desk.now)
    return desk.states()


ODD: dict[str, dict[str, Any]] = {
    "no time": {"started": math.nan},
    "huge": {"attempts": HUGE},
    "no number": {"crashes": object()},
    "no value": {"ended": []},
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("at", [0, 3, 6])
def test_one_outcome_that_can_not_be_kept_is_that_delivery_s_failure(desk: Desk, odd: str, at: int) -> None:
    run, outcomes = claimed(desk, 7)
    failed = desk.outcome(outcomes[at].delivery_id, State.RETRYING, due=desk.now)
    outcomes[at] = failed._replace(**ODD[odd])
    with telemetry.recording("outcome.refused") as recorder:
        states = settled(desk, run, outcomes)
    assert states == {number: State.DEAD if number == at + 1 else State.DONE for number in range(1, 8)}
    (row,) = desk.ledger.deliveries(DeliveryQuery(event_id=at + 1))
    assert row.failure is not None
    assert row.failure.kind == "BadReport"
    assert [one.facts["delivery_id"] for one in recorder.signals] == [row.id]


def test_what_is_done_stays_done_though_its_times_can_not_be_kept(desk: Desk) -> None:
    run, outcomes = claimed(desk, 3)
    outcomes[1] = outcomes[1]._replace(attempts=HUGE)
    assert set(settled(desk, run, outcomes).values()) == {State.DONE}
    desk.record_events(4)
    assert desk.run_all() == [4]  # the lane has been given back, and nothing is run again


def test_a_ledger_that_can_not_be_used_is_no_fault_of_the_outcomes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    run, outcomes = claimed(desk, 3)

    def full(*_: object) -> None:
        raise StateError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(desk.ledger, "settle", full)
        with pytest.raises(StateError):
            bisection.settle(desk.ledger, outcomes, [run], desk.now)
    assert len(outcomes) == 3
    assert set(settled(desk, run, outcomes).values()) == {State.DONE}


def test_a_disk_that_fills_up_in_between_loses_nothing_and_doubles_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    run, outcomes = claimed(desk, 4)
    outcomes = [desk.outcome(one.delivery_id, State.DEAD) for one in outcomes]
    outcomes[0] = outcomes[0]._replace(attempts=HUGE)
    write, calls = desk.ledger.settle, 0

    def fills_up(part: Sequence[Outcome], ended: Sequence[int], now: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 6:  # all, with their runs; all; the first two; the first; as it can be kept; the second
            raise StateError("the disk is full")
        write(part, ended, now)

    with monkeypatch.context() as patch:
        patch.setattr(desk.ledger, "settle", fills_up)
        with pytest.raises(StateError):
            bisection.settle(desk.ledger, outcomes, [run], desk.now)
    assert len(outcomes) == 3
    assert set(settled(desk, run, outcomes).values()) == {State.DEAD}
    assert [len(row.history) for row in desk.ledger.deliveries(DeliveryQuery(failures=True))] == [1, 1, 1, 1]


def test_an_event_that_can_not_be_kept_is_passed_by_and_its_page_recorded(desk: Desk) -> None:
    page = [delivery(number) for number in range(1, 10)]
    page[4] = page[4]._replace(ordinal=HUGE)
    with telemetry.recording("event.left_out") as recorder:
        assert bisection.record(desk.ledger, Intake(SITE, tuple(page), cursor=9), desk.now) == 8
    assert desk.ledger.site(SITE).cursor == 9
    assert desk.run_all() == [1, 2, 3, 4, 6, 7, 8, 9]
    assert [(one.facts["event_id"], one.facts["whom"]) for one in recorder.signals] == [(5, "callback plugin.react")]


def test_an_event_that_can_not_be_kept_for_one_plugin_reaches_the_others(desk: Desk) -> None:
    odd = delivery(1, plugin="odd", lane="x")._replace(ordinal=HUGE)
    assert bisection.record(desk.ledger, Intake(SITE, (odd, delivery(1), delivery(2)), cursor=2), desk.now) == 2
    assert desk.run_all() == [1, 2]


def test_a_manifest_that_can_not_be_kept_is_a_broken_plugin(desk: Desk) -> None:
    desk.enrol(file())
    links = Links(exact=frozenset({("Shot", 3), (5, 3)}))  # type: ignore[arg-type] # it is odd
    manifest = Manifest(PluginKey(SITE, "plugin"), 1, (replace(callback(), only={"entity": links}),))
    kept, described = bisection.describe(desk.ledger, file(), manifest, desk.now)
    assert kept.problem is not None
    assert (kept.callbacks, described.skipped) == ((), {})
    record = desk.plugin()
    assert (record.state, record.problem) == (PluginState.BROKEN, kept.problem)


def test_a_report_that_nothing_can_be_decided_of_is_dead_unless_it_is_done() -> None:
    report = Report(1, 5, Verdict.RETRY, 1.0, 2.0, Failure("a", "b"), after="5m")  # type: ignore[arg-type] # it is odd
    outcome = bisection.undecided(report, TypeError("no number"), 9.0)
    assert (outcome.delivery_id, outcome.state, outcome.ended, outcome.due) == (5, State.DEAD, 9.0, None)
    assert bisection.undecided(report._replace(verdict=Verdict.OK), TypeError("no number"), 9.0).state is State.DONE
