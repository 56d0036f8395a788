"""What came of a call, and how it is said: an exception becomes a verdict, a verdict a report."""

import contextlib
import logging
from typing import NamedTuple, Optional

from callsheet.agent.api import GiveUp, Retry, Skip
from callsheet.agent.failures import Failure, Secrets, failure_of
from callsheet.agent.passing import is_of_the_site
from callsheet.agent.protocol import Message, encode, frame

_FRAMES = 2  # of the agent, in the traceback of a callback's exception: the runner's and the callback's


class Verdict(NamedTuple):
    """``word`` and the rest as in a report (``callsheet.agent.protocol``)."""

    word: str
    failure: Optional[Failure] = None
    after: Optional[float] = None
    passing: bool = False


OK = Verdict("ok")


def skipped(why: str) -> Verdict:
    """The callback was not called, or had nothing to do."""
    return Verdict("skip", {"kind": "Skip", "text": why})


def of(error: BaseException, secrets: Secrets) -> Verdict:
    """What an exception of a callback means; sys.exit and KeyboardInterrupt in a callback are its failure as well."""
    if isinstance(error, Skip):
        return skipped(secrets.cut(str(error)))
    failure = failure_of(error, secrets, skip=_FRAMES)
    if isinstance(error, Retry):
        return Verdict("retry", failure, error.after)
    if isinstance(error, GiveUp):
        return Verdict("give_up", failure)
    return Verdict("failed", failure, passing=is_of_the_site(error))


def log(logger: logging.Logger, failure: Failure) -> None:
    """Log a failure where it happened, as shotgunEvents does: whatever level and filters the plugin has given its loggers, and
    whatever its own handlers make of it.
    """
    text = "An error occured processing an event.\n\n%s\n\nLocal variables at outer most frame in plugin:\n\n%s"
    facts = (failure["traceback"], failure["locals"])
    record = logging.LogRecord(logger.name, logging.CRITICAL, __file__, 0, text, facts, None, log.__name__)
    with contextlib.suppress(Exception):
        logger.callHandlers(record)


def goes_on(verdict: Verdict, on_dead: str, *, told: bool) -> bool:
    """Whether the run goes on behind a delivery. ``told``: the daemon has said that it may behind one that failed."""
    if verdict.word in ("ok", "skip"):
        return True
    if verdict.word == "give_up":
        return on_dead == "continue"
    return verdict.word == "failed" and told and not verdict.passing


def report(run: int, delivery: int, verdict: Verdict, started: float, ended: float, *, logged: bool, shares: bool = False) -> bytes:
    """The frame of a report. ``logged``: the worker has logged the failure. ``shares``: it was told of another delivery."""
    if verdict is OK:
        # By far the most frequent message, so it is written out by hand.
        return frame(
            b'{"is":"report","run":%d,"delivery":%d,"verdict":"ok","started":%.6f,"ended":%.6f}' % (run, delivery, started, ended)
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
    if logged:
        message["logged"] = True
    if shares:
        message["shares"] = True
    return encode(message)
