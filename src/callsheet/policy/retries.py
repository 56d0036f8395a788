"""What becomes of a delivery after an attempt. Pure: time and chance are arguments."""

from __future__ import annotations

from callsheet.model import Callback, Delivery, OnDead, Outcome, Report, RetryPolicy, State, Verdict

CRASH_PAUSE = 0.5
"""Seconds before a delivery whose worker died is tried again, times the crashes so far."""


def decide(report: Report, delivery: Delivery, policy: RetryPolicy, on_dead: OnDead, *, chance: float) -> Outcome:
    """The outcome of ``report``. ``chance`` in [0, 1) spreads the wait; times count from the report's end."""
    crashed = report.verdict is Verdict.CRASHED
    crashes = delivery.crashes + crashed
    # A crash is first taken for the worker's bad luck (somebody killed it); only repeated ones are the delivery's own failure.
    excused = crashed and crashes < policy.crashes
    attempts = delivery.attempts + (not excused)
    state, due = State.DONE, None
    if report.verdict is Verdict.SKIP:
        state = State.SKIPPED
    elif excused:
        state, due = State.RETRYING, report.ended + CRASH_PAUSE * (crashes - 1)
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
        failure=report.failure,
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
    due = report.ended + (report.after if report.after is not None else wait(policy, attempts, chance))
    if policy.max_age is not None and due > delivery.recorded_at + policy.max_age:
        return None
    return due


def _final(on_dead: OnDead) -> State:
    return State.HELD if on_dead == "hold" else State.DEAD
