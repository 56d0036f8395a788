"""Runs deliveries: one run is one value that goes through begin, attempt, report, end."""

import logging
import threading
from time import monotonic
from typing import Any, Callable, Dict, List, Optional, Set

from callsheet.agent import verdicts
from callsheet.agent.api import Cascade
from callsheet.agent.batching import Member, reported
from callsheet.agent.callbacks import Callback
from callsheet.agent.entity_prefetch import first_call
from callsheet.agent.event_data import handed_over, zones
from callsheet.agent.failures import Secrets
from callsheet.agent.log_forwarding import at_work
from callsheet.agent.registration import Plugin
from callsheet.agent.verdicts import OK, Verdict
from callsheet.wire.causality import MARK
from callsheet.wire.frames import Message, frame
from callsheet.wire.transient import is_in_doubt, tally


class Runner:
    """Carries out run messages against a plugin. ``write`` sends a frame; it is called for every report before the next call."""

    def __init__(
        self,
        plugin: Plugin,
        write: Callable[[bytes], None],
        secrets: Secrets,
        *,
        alone: Callable[[], bool],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """``check`` is called after each call of a callback."""
        self._check = check
        self._plugin = plugin
        self._write = write
        self._secrets = secrets
        self._alone = alone
        self._turns: Dict[str, threading.Semaphore] = {}
        self._turns_made = threading.Lock()
        self.stopping = False
        """Set, from any thread, when no further delivery is to be begun."""
        self.recalled: Set[int] = set()
        """Runs of which none is to be begun any more; added to from any thread."""

    @property
    def _shows(self) -> bool:
        return any(callback.prefetch is not None for callback in self._plugin.callbacks.values())

    def _turn(self, callback: Callback) -> Optional[threading.Semaphore]:
        """What limits a callback to fewer threads than the plugin has; None if nothing does."""
        if callback.slots >= self._plugin.slots:
            return None
        with self._turns_made:
            return self._turns.setdefault(callback.name, threading.Semaphore(callback.slots))

    def expect(self, message: Message) -> None:
        """A run waits for its turn; what its first call shows may be read along with what others show. From any thread."""
        if not self._shows:
            return
        first = first_call(message["deliveries"], message.get("calls"))
        callback = self._plugin.callbacks.get(first[0][1])
        if callback is not None and callback.prefetch is not None:
            for delivery, _, _, _, event in first[-1:] if callback.folds else first:
                callback.prefetch.expect(delivery, event)

    def run(self, message: Message) -> None:
        """Call each delivery's callback, report it, and say that the run ended."""
        run = message["run"]
        last = b""
        if not self._over(run):
            zones()
            self._write(frame(b'{"is":"begun","run":%d}' % run))
            calls = message.get("calls")
            last = self._deliver(message) if calls is None else self._deliver_calls(message, calls)
        at_work.event = at_work.delivery = None
        self.recalled.discard(run)
        for delivery, name, *_ in message["deliveries"] if self._shows else ():
            self._forget(delivery, name)
        # The last report has no next callback to come before, and saves the daemon a turn.
        self._write(last + frame(b'{"is":"ended","run":%d}' % run))

    def _over(self, run: int) -> bool:
        return self.stopping or run in self.recalled

    def _deliver(self, message: Message) -> bytes:
        """Returns the frame of the last report, which is not written yet."""
        run, recorded = message["run"], message["recorded"]
        event: Dict[str, Any] = {}
        report = b""
        for delivery, name, attempt, go_on, data in message["deliveries"]:
            if report:
                self._write(report)
            if self._over(run):
                return b""
            if data is not None:
                event = handed_over(data)
            callback = self._plugin.callbacks.get(name)
            started = verdicts.now()
            verdict = self._attempt(callback, event, attempt, delivery, recorded) if callback else _gone(name)
            if not self._alone():  # a fork inside the callback came back as well; that process has no business here
                return b""
            report = verdicts.report(run, delivery, verdict, started, verdicts.now(), mark=_ours(at_work.mark))
            if verdict is not OK and not verdicts.goes_on(verdict, _on_dead(callback), told=bool(go_on)):
                return report
        return report

    def _deliver_calls(self, message: Message, calls: List[int]) -> bytes:
        """The same, where several deliveries may be called together: the sizes of the calls are given."""
        run, deliveries, at = message["run"], message["deliveries"], 0
        reports = b""
        event: Dict[str, Any] = {}
        for size in calls:
            if reports:
                self._write(reports)
            if self._over(run):
                return b""
            members = []
            for delivery, _, attempt, go_on, data in deliveries[at : at + size]:
                event = event if data is None else handed_over(data)
                members.append(Member(delivery, attempt, bool(go_on), event))
            name = deliveries[at][1]
            at += size
            callback = self._plugin.callbacks.get(name)
            started = verdicts.now()
            found = self._attempt_together(callback, members, message["recorded"]) if callback else [_gone(name)] * size
            if not self._alone():
                return b""
            said, on = reported(members, found, _on_dead(callback))
            times = (started, verdicts.now())
            mark = _ours(at_work.mark)
            reports = b"".join(
                verdicts.report(run, one.delivery, verdict, *times, shares=shares, mark=mark) for one, verdict, shares in said
            )
            if not on:
                return reports
        return reports

    def _attempt_together(self, callback: Callback, members: List[Member], recorded: float) -> List[Verdict]:
        """The verdict of each. Those that the callback does not want, or must not be called for, take no part."""
        began = monotonic()
        at_work.mark = ""
        if not callback.together:
            return [self._attempt(callback, one.event, one.attempt, one.delivery, recorded) for one in members]
        turn = self._turn(callback)
        if turn is not None:
            turn.acquire()
        found = [OK] * len(members)
        before = tally()
        taking = list(range(len(members)))
        call = None
        try:
            for place, one in enumerate(members):
                refused = callback.refused(one.event) or _looping(callback, one.event, recorded)
                if refused is not None:
                    found[place] = refused
                    taking.remove(place)
            if not taking:
                return found
            at_work.event, at_work.delivery = members[taking[-1]].event["id"], members[taking[-1]].delivery
            call = callback.prepare([members[place] for place in taking])
            call.run(began)
            outcome = OK
        except BaseException as error:  # noqa: BLE001 - as for one alone
            outcome = verdicts.of(error, self._secrets, before)
        finally:
            if callback.loops is not None:
                callback.loops.ended([members[place].event for place in taking])
            if turn is not None:
                turn.release()
            self._check()
        each = call.verdicts(outcome, self._secrets) if call is not None else [outcome] * len(taking)
        for place, verdict in zip(taking, each):
            found[place] = verdict if verdict is outcome else verdicts.weighed(verdict, before)
        return found

    def _forget(self, delivery: int, name: str) -> None:
        callback = self._plugin.callbacks.get(name)
        if callback is not None and callback.prefetch is not None:
            callback.prefetch.forget(delivery)

    def _attempt(self, callback: Callback, event: Dict[str, Any], attempt: int, delivery: int, recorded: float) -> Verdict:
        began = monotonic()  # as the daemon counts, with the wait for a turn
        at_work.mark = ""
        at_work.event, at_work.delivery = event["id"], delivery
        turn = self._turn(callback)
        if turn is not None:
            turn.acquire()
        before = tally()
        try:
            refusal = callback.refusal(event)
            if refusal is not None:
                return verdicts.skipped(refusal)
            looping = _looping(callback, event, recorded)
            if looping is not None:
                return looping
            if callback.logger.isEnabledFor(logging.DEBUG):
                self._plugin.logger.debug("Dispatching event %d to callback %s.", event["id"], callback.name)
            try:
                callback.call(event, attempt, delivery, began)
            finally:
                if callback.loops is not None:
                    callback.loops.ended([event])
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the callback's and no one else's
            verdict = verdicts.of(error, self._secrets, before)
            if _logs(callback, verdict):
                assert verdict.failure is not None
                verdict = verdict._replace(logged=verdicts.log(callback.logger, verdict.failure))
            return verdict
        finally:
            if turn is not None:
                turn.release()
            self._check()
        return OK


def _looping(callback: Callback, event: Dict[str, Any], recorded: float) -> Optional[Verdict]:
    """The verdict for an event of a loop, for which the callback is not called."""
    why = None if callback.loops is None else callback.loops.refuse(event, recorded)
    return None if why is None else Verdict("give_up", {"kind": Cascade.__name__, "text": why})


def _logs(callback: Callback, verdict: Verdict) -> bool:
    """Whether the worker logs it. That the site does not answer is said by the daemon: it is no mistake of the plugin's. So is what
    may be that, once it is known.
    """
    failure = verdict.failure
    if failure is None or verdict.word != "failed" or verdict.passing:
        return False
    return callback.logs_failures and not (verdict.client and is_in_doubt(failure["kind"], failure["text"]))


def _on_dead(callback: Optional[Callback]) -> str:
    return callback.on_dead if callback is not None else "continue"


def _gone(name: str) -> Verdict:
    return verdicts.skipped(f"the plugin does not register {name} any more")


def _ours(session_uuid: str) -> str:
    """The mark, if it is one of ours: a legacy plugin may hand on the event's own session uuid, which says nothing of the call."""
    return session_uuid if session_uuid.startswith(MARK) else ""
