"""What becomes of a delivery after an attempt. Pure: time and chance are arguments."""

from __future__ import annotations

from dataclasses import replace

from callsheet.domain.callback import Callback, OnDead, RetryPolicy
from callsheet.domain.delivery import Delivery, Failure, Outcome, Report, State, Verdict

CRASH_PAUSE = 0.5
"""Seconds before a delivery whose worker died is tried again, times the crashes so far."""

PATIENCE = 2880
"""How many tries of a delivery may fail in a row, since the site does not answer or its Toolkit is away, without that using up its
attempts, be it of a callback that has one only: they fill a day. After that it fails like any other; but not within a day of its
being recorded, whatever pauses its policy asks for.
"""

A_DAY = 86400.0

SLOWER = 2.0
"""By what each pause of such a delivery is longer than the one before."""

LONGEST_IN_OUTAGE = 30.0
"""Seconds after which the site is asked again at the latest: its return is to be noticed soon."""


def decide(report: Report, delivery: Delivery, policy: RetryPolicy, on_dead: OnDead, *, chance: float) -> Outcome:
    """The outcome of ``report``. ``chance`` in [0, 1) spreads the wait; times count from the report's end."""
    crashed = report.verdict is Verdict.CRASHED
    crashes = delivery.crashes + crashed
    # A crash is first taken for the worker's bad luck (somebody killed it); only repeated ones are the delivery's own failure.
    excused = crashed and crashes < policy.crashes
    outages = delivery.outages + 1 if report.passing else 0
    outage = outages > 0 and (outages <= PATIENCE or report.ended < delivery.recorded_at + A_DAY)
    attempts = delivery.attempts + (not excused and not outage)
    state, due = State.DONE, None
    if report.verdict is Verdict.SKIP:
        state = State.SKIPPED
    elif excused:
        state, due = State.RETRYING, report.ended + CRASH_PAUSE * (crashes - 1)
    elif outage:
        pause = max(report.after or 0.0, _outage_pause(policy, outages, chance))
        due = _in_time(report.ended + pause, delivery, policy)
        state = State.RETRYING if due is not None else _final(on_dead)
    elif report.verdict is not Verdict.OK:
        due = _next_try(report, delivery, policy, attempts, chance)
        state = State.RETRYING if due is not None else _final(on_dead)
    return Outcome(
        delivery_id=delivery.id,
        state=state,
        attempts=attempts,
        crashes=crashes,
        started=report.started,
        ended=report.ended,
        due=due,
        failure=report.failure if outages <= 1 else _again(report.failure),
        outages=outages,
        mark=report.mark,
    )


def unkept(outcome: Outcome, now: float, why: str) -> Outcome:
    """What is kept of an outcome that can't be: what is done stays done, what was to be tried again is dead. It ended ``now``."""
    over = outcome.state in (State.DONE, State.SKIPPED)
    return Outcome(
        outcome.delivery_id,
        outcome.state if over or outcome.state is State.HELD else State.DEAD,
        attempts=1,
        crashes=0,
        started=now,
        ended=now,
        failure=None if over else Failure("BadReport", f"What came of this delivery can't be kept: {why}."),
    )


def goes_on(callback: Callback, attempts: int) -> bool:
    """Whether the lane goes on at once even if the next attempt fails, so that the worker need not ask."""
    return callback.on_dead == "continue" and attempts + 1 >= callback.retry.attempts


def wait(policy: RetryPolicy, attempts: int, chance: float) -> float:
    """Seconds to wait after ``attempts`` failed tries."""
    try:
        grown = policy.first * policy.factor ** (attempts - 1)
    except OverflowError:  # after some hundred attempts; `longest` cuts it anyway
        grown = policy.longest
    return min(grown, policy.longest) * (1 + policy.jitter * (2 * chance - 1))


def _next_try(report: Report, delivery: Delivery, policy: RetryPolicy, attempts: int, chance: float) -> float | None:
    if report.verdict in (Verdict.GIVE_UP, Verdict.CRASHED) or attempts >= policy.attempts:
        return None
    return _in_time(report.ended + (report.after if report.after is not None else wait(policy, attempts, chance)), delivery, policy)


def _in_time(due: float, delivery: Delivery, policy: RetryPolicy) -> float | None:
    return None if policy.max_age is not None and due > delivery.recorded_at + policy.max_age else due


def _outage_pause(policy: RetryPolicy, outages: int, chance: float) -> float:
    slower = replace(policy, factor=SLOWER, longest=min(policy.longest, LONGEST_IN_OUTAGE))
    return wait(slower, outages, chance)


def _again(failure: Failure | None) -> Failure | None:
    """The same without what is on record from the first time: an outage may last for hours."""
    return failure and replace(failure, traceback="", locals="")


def _final(on_dead: OnDead) -> State:
    return State.HELD if on_dead == "hold" else State.DEAD
