"""What came of a call, and how it is said: an exception becomes a verdict, a verdict a report."""

import contextlib
import logging
import time
from typing import Callable, NamedTuple, Optional

from callsheet.agent.api import GiveUp, Retry, Skip, Timeout
from callsheet.agent.failures import Failure, Secrets, failure_of, frames_around, kind_of, text_of
from callsheet.agent.options import pause
from callsheet.wire import transient
from callsheet.wire.frames import Message, encode, frame
from callsheet.wire.texts import CALLBACK_FAILED
from callsheet.wire.transient import Tally


class Verdict(NamedTuple):
    """``word`` and the rest as in a report (``callsheet.wire.frames``)."""

    word: str
    failure: Optional[Failure] = None
    after: Optional[float] = None
    passing: bool = False
    logged: bool = False
    """The worker has logged it, where it happened."""
    client: bool = False


OK = Verdict("ok")


def skipped(why: str) -> Verdict:
    """The callback was not called, or had nothing to do."""
    return Verdict("skip", {"kind": "Skip", "text": why})


def of(error: BaseException, secrets: Secrets, before: Tally) -> Verdict:
    """What an exception of a callback means; sys.exit and KeyboardInterrupt in a callback are its failure as well.

    One that can't even be described, whatever it does to those who look at it, is a failure like any other. ``before``: the tally
    of the client's failures when the callback was called.
    """
    try:
        return _of(error, secrets, before)
    except BaseException as odd:  # noqa: BLE001 - whatever the plugin's exception does, it must not take the worker down
        text = f"It can't be described: looking at it raised {kind_of(odd)}."
        return Verdict("failed", {"kind": kind_of(error), "text": text})


def now(read: Callable[[], float] = time.time) -> float:
    """The time, whatever a plugin has put in the place of ``time.time``."""
    return read()


def _of(error: BaseException, secrets: Secrets, before: Tally) -> Verdict:
    if isinstance(error, Skip):
        return skipped(text_of(error, secrets))
    failure = failure_of(error, secrets, skip=frames_around(error.__traceback__))
    if isinstance(error, Retry):
        return weighed(_retry(getattr(error, "after", None), failure), before)
    if isinstance(error, GiveUp):
        return Verdict("give_up", failure)
    if isinstance(error, Timeout):
        return Verdict("timeout", failure)
    passing, client = transient.is_of_the_site(error), transient.is_of_the_client(error)
    return weighed(Verdict("failed", failure, passing=passing, client=client), before)


def weighed(verdict: Verdict, before: Tally) -> Verdict:
    """A failure, or a wish to be called again, in the light of what the client has failed at since ``before``.

    A callback in which the site did not answer has proved nothing, whatever it made of that: it wraps the error, says it in words
    of its own, meets it in a thread. If it is its own mistake after all, that shows once the site answers.
    """
    if verdict.word not in ("failed", "retry"):
        return verdict
    after = transient.tally()
    passing = verdict.passing or after.transient > before.transient
    return verdict._replace(passing=passing, client=passing or verdict.client or after.failed > before.failed)


def _retry(after: object, failure: Failure) -> Verdict:
    try:
        return Verdict("retry", failure, pause(f"after={after!r}", after))
    except ValueError as wrong:  # set past the check of Retry itself
        return Verdict("failed", dict(failure, text=f"{failure['text']} [{wrong}]"))


def log(logger: logging.Logger, failure: Failure) -> bool:
    """Log a failure where it happened, as shotgunEvents does: whatever level and filters the plugin has given its loggers, and
    whatever its own handlers make of it. False if that can't be done: then it is for the daemon to log it.
    """
    facts = (failure.get("traceback", failure["text"]), failure.get("locals", ""))
    try:
        record = logging.LogRecord(logger.name, logging.CRITICAL, __file__, 0, CALLBACK_FAILED, facts, None, log.__name__)
    except Exception:  # noqa: BLE001 - a record asks for the time, whose place the plugin may have taken
        return False
    with contextlib.suppress(Exception):
        logger.callHandlers(record)
    return True


def goes_on(verdict: Verdict, on_dead: str, *, told: bool) -> bool:
    """Whether the run goes on behind a delivery. ``told``: the daemon has said that it may behind one that failed."""
    if verdict.word in ("ok", "skip"):
        return True
    if verdict.word == "give_up":
        return on_dead == "continue"
    # Of what came out of the client the daemon may say that the site did not answer; then it comes before what is behind it.
    return verdict.word == "failed" and told and not verdict.client


def report(
    run: int, delivery: int, verdict: Verdict, started: float, ended: float, *, shares: bool = False, mark: str = ""
) -> bytes:
    """The frame of a report. ``shares``: it was told of another delivery. ``mark``: the session uuid of what the call wrote."""
    if verdict is OK:
        # By far the most frequent message, so it is written out by hand.
        return frame(
            b'{"is":"report","run":%d,"delivery":%d,"verdict":"ok","started":%.6f,"ended":%.6f%s}'
            % (run, delivery, started, ended, b',"mark":"%s"' % mark.encode("ascii") if mark else b"")
        )
    message: Message = {
        "is": "report",
        "run": run,
        "delivery": delivery,
        "verdict": verdict.word,
        "started": started,
        "ended": ended,
    }
    if verdict.failure is not None:
        message["failure"] = verdict.failure
    if verdict.after is not None:
        message["after"] = verdict.after
    if verdict.passing:
        message["passing"] = True
    if verdict.client:
        message["client"] = True
    if verdict.logged:
        message["logged"] = True
    if shares:
        message["shares"] = True
    if mark:
        message["mark"] = mark
    return encode(message)
