"""What is decided after an attempt."""

from __future__ import annotations

from typing import Any

import pytest

from callsheet.domain.callback import RetryPolicy
from callsheet.domain.delivery import Delivery, Failure, Outcome, Report, State, Verdict
from callsheet.policy import retries
from tests.support.events import callback

POLICY = RetryPolicy(attempts=3, first=10.0, factor=2.0, longest=15.0, jitter=0.2, crashes=3)


def decide(verdict: Verdict, *, attempts: int = 0, crashes: int = 0, policy: RetryPolicy = POLICY, **more: object) -> Outcome:
    delivery = Delivery(1, callback().key, 7, "{}", attempts, crashes, recorded_at=0.0)
    report = Report(1, 1, verdict, 99.0, 100.0, Failure("E", "e"), after=more.pop("after", None))  # type: ignore[arg-type]  # a float
    on_dead = "hold" if more.get("on_dead") == "hold" else "continue"
    return retries.decide(report, delivery, policy, on_dead, chance=0.5)  # type: ignore[arg-type]  # one of the two


def test_success_is_done() -> None:
    assert (decide(Verdict.OK).state, decide(Verdict.OK).attempts) == (State.DONE, 1)


def test_skip_is_skipped() -> None:
    assert decide(Verdict.SKIP).state is State.SKIPPED


@pytest.mark.parametrize(("attempts", "due"), [(0, 110.0), (1, 115.0)])
def test_a_failure_is_tried_again_later_and_later(attempts: int, due: float) -> None:
    outcome = decide(Verdict.FAILED, attempts=attempts)
    assert (outcome.state, outcome.due, outcome.attempts) == (State.RETRYING, due, attempts + 1)


def test_the_last_attempt_decides() -> None:
    assert decide(Verdict.FAILED, attempts=2).state is State.DEAD
    assert decide(Verdict.TIMEOUT, attempts=2, on_dead="hold").state is State.HELD


def test_retry_says_itself_when() -> None:
    assert decide(Verdict.RETRY, after=3.0).due == 103.0


def test_giving_up_asks_for_no_further_try() -> None:
    assert decide(Verdict.GIVE_UP).state is State.DEAD


def test_age_ends_trying() -> None:
    assert decide(Verdict.FAILED, policy=RetryPolicy(max_age=60.0)).state is State.DEAD


def test_a_worker_that_dies_is_not_at_once_the_deliverys_fault() -> None:
    first = decide(Verdict.CRASHED, on_dead="hold")
    assert (first.state, first.due, first.attempts, first.crashes) == (State.RETRYING, 100.0, 0, 1)
    third = decide(Verdict.CRASHED, crashes=2, on_dead="hold")
    assert (third.state, third.attempts, third.crashes) == (State.HELD, 1, 3)


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_jitter_spreads_the_wait_and_no_more(chance: float) -> None:
    assert 8.0 <= retries.wait(POLICY, 1, chance) <= 12.0


def test_thousands_of_attempts_do_not_overflow() -> None:
    assert retries.wait(RetryPolicy(factor=10.0, longest=900.0, jitter=0), 5000, 0.5) == 900.0


def test_the_lane_goes_on_without_asking_only_if_a_failure_would_be_final_and_harmless() -> None:
    once, twice = RetryPolicy(attempts=1), RetryPolicy(attempts=2)
    assert retries.goes_on(callback(retry=once), 0)
    assert retries.goes_on(callback(retry=twice), 1)
    assert not retries.goes_on(callback(retry=twice), 0)
    assert not retries.goes_on(callback(retry=once, on_dead="hold"), 0)


def outage(*, attempts: int = 0, outages: int = 0, on_dead: str = "continue", ended: float = 100.0, **policy: Any) -> Outcome:
    """What is decided when the site did not answer, with one attempt allowed; the delivery was recorded at 0."""
    delivery = Delivery(1, callback().key, 7, "{}", attempts, 0, recorded_at=0.0, outages=outages)
    report = Report(1, 1, Verdict.FAILED, ended - 1.0, ended, Failure("E", "e", "traceback", "locals"), passing=True)
    allowed = RetryPolicy(**{"attempts": 1, "jitter": 0.0, "longest": 20.0, **policy})
    return retries.decide(report, delivery, allowed, "hold" if on_dead == "hold" else "continue", chance=0.5)


def test_a_pause_that_was_asked_for_is_kept_in_an_outage() -> None:
    report = Report(1, 1, Verdict.RETRY, 99.0, 100.0, Failure("Retry", "later"), after=7.0, passing=True)
    outcome = retries.decide(report, Delivery(1, callback().key, 7, "{}"), RetryPolicy(attempts=1), "continue", chance=0.5)
    assert (outcome.state, outcome.attempts, outcome.due) == (State.RETRYING, 0, 107.0)


@pytest.mark.parametrize("on_dead", ["continue", "hold"])
@pytest.mark.parametrize(("outages", "pause"), [(0, 1.0), (1, 2.0), (4, 16.0), (9, 20.0), (2800, 20.0)])
def test_a_site_that_does_not_answer_costs_no_attempt(on_dead: str, outages: int, pause: float) -> None:
    outcome = outage(outages=outages, on_dead=on_dead)

    assert (outcome.state, outcome.attempts, outcome.outages, outcome.due) == (State.RETRYING, 0, outages + 1, 100.0 + pause)


def test_the_return_of_a_site_is_noticed_soon_whatever_the_longest_pause() -> None:
    assert outage(outages=20, longest=900.0).due == 100.0 + retries.LONGEST_IN_OUTAGE


def test_patience_with_a_site_ends() -> None:
    assert outage(max_age=60.0).state is State.DEAD
    assert outage(max_age=60.0, on_dead="hold").state is State.HELD
    day = retries.A_DAY
    last, late = outage(outages=retries.PATIENCE - 1, ended=day), outage(outages=retries.PATIENCE, ended=day)
    assert outage(outages=retries.PATIENCE, ended=day - 1).state is State.RETRYING, "however short the pauses are"
    assert (last.state, last.attempts) == (State.RETRYING, 0)
    assert (late.state, late.attempts, late.outages) == (State.DEAD, 1, retries.PATIENCE + 1)


def test_a_long_outage_is_put_on_record_at_length_but_once() -> None:
    assert outage().failure == Failure("E", "e", "traceback", "locals")
    assert outage(outages=1).failure == Failure("E", "e")
