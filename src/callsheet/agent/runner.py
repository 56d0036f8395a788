"""Runs deliveries: one run is one value that goes through begin, attempt, report, end."""

import logging
import threading
import time
from typing import Any, Callable, Dict, Optional, Set, Tuple

from callsheet.agent.api import GiveUp, Retry, Skip
from callsheet.agent.callbacks import Callback
from callsheet.agent.events import handed_over
from callsheet.agent.failures import Failure, Secrets, failure_of
from callsheet.agent.plugin import Plugin
from callsheet.agent.protocol import Message, encode, frame

Verdict = Tuple[str, Optional[Failure], Optional[float]]
"""The report's verdict, failure and ``after``."""

_FRAMES = 2  # of the agent, in the traceback of a callback's exception: _attempt and call
_OK: Verdict = ("ok", None, None)


class Runner:
    """Carries out run messages against a plugin. ``write`` sends a frame; it is called for every report before the next call."""

    def __init__(self, plugin: Plugin, write: Callable[[bytes], None], secrets: Secrets, *, alone: Callable[[], bool]) -> None:
        self._plugin = plugin
        self._write = write
        self._secrets = secrets
        self._alone = alone
        self._turns = {
            name: threading.Semaphore(callback.slots)
            for name, callback in plugin.callbacks.items()
            if plugin.slots > callback.slots
        }
        self.stopping = False
        """Set, from any thread, when no further delivery is to be begun."""
        self.recalled: Set[int] = set()
        """Runs of which none is to be begun any more; added to from any thread."""

    def run(self, message: Message) -> None:
        """Call each delivery's callback, report it, and say that the run ended."""
        run = message["run"]
        last = b""
        if not self._over(run):
            self._write(frame(b'{"is":"begun","run":%d}' % run))
            last = self._deliver(run, message["deliveries"])
        self.recalled.discard(run)
        # The last report has no next callback to come before, and saves the daemon a turn.
        self._write(last + frame(b'{"is":"ended","run":%d}' % run))

    def _over(self, run: int) -> bool:
        return self.stopping or run in self.recalled

    def _deliver(self, run: int, deliveries: Any) -> bytes:
        """Returns the frame of the last report, which is not written yet."""
        event: Dict[str, Any] = {}
        report = b""
        for delivery, name, attempt, go_on, data in deliveries:
            if report:
                self._write(report)
            if self._over(run):
                return b""
            if data is not None:
                event = handed_over(data)
            callback = self._plugin.callbacks.get(name)
            started = time.time()
            verdict = self._attempt(callback, event, attempt, delivery) if callback else _gone(name)
            if not self._alone():  # a fork inside the callback came back as well; that process has no business here
                return b""
            report = _report(run, delivery, verdict, started, time.time(), logged=callback is not None and callback.logs_failures)
            if verdict is not _OK and not _goes_on(verdict[0], callback, told=bool(go_on)):
                return report
        return report

    def _attempt(self, callback: Callback, event: Dict[str, Any], attempt: int, delivery: int) -> Verdict:
        turn = self._turns.get(callback.name)
        if turn is not None:
            turn.acquire()
        try:
            refusal = callback.refusal(event)
            if refusal is not None:
                return "skip", {"kind": "Skip", "text": refusal}, None
            if callback.logger.isEnabledFor(logging.DEBUG):
                self._plugin.logger.debug("Dispatching event %d to callback %s.", event["id"], callback.name)
            callback.call(event, attempt, delivery)
        except Skip as reason:
            return "skip", {"kind": "Skip", "text": self._secrets.cut(str(reason))}, None
        except Retry as wish:
            return "retry", failure_of(wish, self._secrets, skip=_FRAMES), wish.after
        except GiveUp as reason:
            return "give_up", failure_of(reason, self._secrets, skip=_FRAMES), None
        except BaseException as error:  # noqa: BLE001 - sys.exit and KeyboardInterrupt in a callback are its failure as well
            failure = failure_of(error, self._secrets, skip=_FRAMES)
            if callback.logs_failures:
                _log(callback, failure)
            return "failed", failure, None
        finally:
            if turn is not None:
                turn.release()
        return _OK


def _report(run: int, delivery: int, verdict: Verdict, started: float, ended: float, *, logged: bool) -> bytes:
    if verdict is _OK:
        # By far the most frequent message, so it is written out by hand.
        return frame(
            b'{"is":"report","run":%d,"delivery":%d,"verdict":"ok","started":%.6f,"ended":%.6f}' % (run, delivery, started, ended)
        )
    word, failure, after = verdict
    message: Message = {"is": "report", "run": run, "delivery": delivery, "verdict": word, "started": started, "ended": ended}
    if failure is not None:
        message["failure"] = failure
    if after is not None:
        message["after"] = after
    if word == "failed" and logged:
        message["logged"] = True
    return encode(message)


def _goes_on(verdict: str, callback: Optional[Callback], *, told: bool) -> bool:
    if verdict == "skip":
        return True
    if verdict == "give_up":
        return callback is not None and callback.on_dead == "continue"
    return verdict == "failed" and told


def _gone(name: str) -> Verdict:
    return "skip", {"kind": "Skip", "text": f"the plugin does not register {name} any more"}, None


def _log(callback: Callback, failure: Failure) -> None:
    callback.logger.critical(
        "An error occured processing an event.\n\n%s\n\nLocal variables at outer most frame in plugin:\n\n%s",
        failure["traceback"],
        failure["locals"],
    )
