"""Runs deliveries: one run is one value that goes through begin, attempt, report, end."""

import logging
import threading
import time
from typing import Any, Callable, Dict, Optional, Set

from callsheet.agent import verdicts
from callsheet.agent.callbacks import Callback
from callsheet.agent.events import handed_over
from callsheet.agent.failures import Secrets
from callsheet.agent.plugin import Plugin
from callsheet.agent.protocol import Message, frame
from callsheet.agent.verdicts import OK, Verdict


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
            logged = callback is not None and _is_logged(callback, verdict)
            report = verdicts.report(run, delivery, verdict, started, time.time(), logged=logged)
            if verdict is not OK and not _goes_on(verdict, callback, told=bool(go_on)):
                return report
        return report

    def _attempt(self, callback: Callback, event: Dict[str, Any], attempt: int, delivery: int) -> Verdict:
        turn = self._turns.get(callback.name)
        if turn is not None:
            turn.acquire()
        try:
            refusal = callback.refusal(event)
            if refusal is not None:
                return verdicts.skipped(refusal)
            if callback.logger.isEnabledFor(logging.DEBUG):
                self._plugin.logger.debug("Dispatching event %d to callback %s.", event["id"], callback.name)
            callback.call(event, attempt, delivery)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the callback's and no one else's
            verdict = verdicts.of(error, self._secrets)
            if _is_logged(callback, verdict):
                assert verdict.failure is not None
                verdicts.log(callback.logger, verdict.failure)
            return verdict
        finally:
            if turn is not None:
                turn.release()
        return OK


def _is_logged(callback: Callback, verdict: Verdict) -> bool:
    """Whether the worker logs it. That the site does not answer is said by the daemon: it is no mistake of the plugin's."""
    return callback.logs_failures and verdict.word == "failed" and not verdict.passing


def _goes_on(verdict: Verdict, callback: Optional[Callback], *, told: bool) -> bool:
    if verdict.word == "skip":
        return True
    if verdict.word == "give_up":
        return callback is not None and callback.on_dead == "continue"
    return verdict.word == "failed" and told and not verdict.passing


def _gone(name: str) -> Verdict:
    return verdicts.skipped(f"the plugin does not register {name} any more")
