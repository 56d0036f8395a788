"""Functions that plugins have called in a project's session: given, waited for, answered, always."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

from callsheet.agent.coroutines import EARLIEST, EARLY
from callsheet.domain.callback import PluginKey
from callsheet.domain.plugin import PluginFile
from callsheet.wire import frames
from callsheet.workers.exits import WorkerExit, call_too_long
from callsheet.workers.worker import STACK_TIME, Worker

ORPHAN_GRACE = 5.0
"""Seconds that a function may run on once nobody waits for it."""


@dataclass(frozen=True, slots=True)
class Call:
    """``function`` of ``module``, which ``plugin`` imports or is; ``number`` is the call's in the worker that waits for the answer.

    ``arguments`` is what ``agent.toolkit.serialization`` made of them: the daemon only passes it on. ``timeout``: seconds that the
    function may take; None: as long as it likes. ``mark``: the session uuid of what it writes.
    """

    caller: Worker
    number: int
    plugin: PluginFile
    module: str
    function: str
    arguments: Any
    mark: str
    timeout: float | None


class LostCalls(NamedTuple):
    """What becomes of calls whose session is gone. ``plugin``: whose was under way; ``late``: it took too long; ``back``: those
    that were not begun, for the next session.
    """

    plugin: PluginKey | None
    late: bool
    back: list[Call]


@dataclass(slots=True)
class _Given:
    call: Call
    session: Worker
    begun_at: float | None = None
    """Epoch seconds; None while it waits in the session for its turn."""
    abandoned: bool = False
    killed_at: float = inf
    """The monotonic time at which its session has had time to write down where it is."""
    due: float = inf
    """The monotonic time at which it has taken too long; it begins to count when the function is called."""


class Calls:
    """Those that were given to sessions. Called under the executor's lock."""

    def __init__(self, mark_writable: Callable[[Worker], None], now: Callable[[], float]) -> None:
        """``mark_writable``: a worker was written to."""
        self._mark_writable = mark_writable
        self._now = now
        self._numbers = itertools.count(1)
        self._given: dict[int, _Given] = {}

    def give(self, call: Call, session: Worker) -> None:
        """Have a session make the call."""
        number = next(self._numbers)
        self._given[number] = _Given(call, session)
        session.calls_under_way += 1
        order = {
            "is": "call",
            "call": number,
            "plugin": call.plugin.key.name,
            "module": call.module,
            "function": call.function,
            "arguments": call.arguments,
            "mark": call.mark,
        }
        self._send(session, order)

    def on_output(self, message: Mapping[str, Any]) -> PluginKey | None:
        """What a session says of a call: that it begins, or what came of it. Returns whose call has come to its end."""
        given = self._given.get(message["call"])
        if given is None:
            return None
        if message["is"] == "called":
            now = self._now()
            given.begun_at = time.time()
            given.due = min(
                now + (inf if given.call.timeout is None else given.call.timeout), self._patience(given.call.caller, now)
            )
            if given.abandoned:
                given.due = min(given.due, now + ORPHAN_GRACE)
            return None
        del self._given[message["call"]]
        given.session.calls_under_way -= 1
        self._answer(given.call, message)
        return given.call.plugin.key

    def failed(self, call: Call, kind: str, text: str, *, traceback: str = "", lost: bool = False) -> None:
        """Tell the caller that nothing came of it. ``lost``: trying again may help."""
        self._answer(call, {"failure": {"kind": kind, "text": text, "traceback": traceback, "lost": lost}})

    def pairs(self) -> Iterator[tuple[Worker, Worker]]:
        """Who waits for an answer, and the session that it is to come from."""
        return ((one.call.caller, one.session) for one in self._given.values())

    def _abandon(self, caller: Worker) -> None:
        """Nobody waits for that worker's calls any more: what has not begun does not begin, and what has is to end soon."""
        for number, given in self._given.items():
            if given.call.caller is caller and not given.abandoned:
                given.abandoned = True
                given.due = min(given.due, inf if given.begun_at is None else self._now() + ORPHAN_GRACE)
                self._send(given.session, {"is": "drop", "call": number})

    def under_way(self, session: Worker) -> tuple[str, float] | None:
        """What a session is calling, and since when (epoch); None if nothing."""
        begun = ((one.call, one.begun_at) for one in self._given.values() if one.session is session and one.begun_at is not None)
        found = min(begun, key=lambda one: one[1], default=None)
        return found and (f"function {found[0].function} of plugin {found[0].plugin.key.name}", found[1])

    def _patience(self, caller: Worker, now: float) -> float:
        """The monotonic time until which a caller can wait: shortly before it is ended itself, so that it hears why."""
        due = min((one.due for one in self._given.values() if one.session is caller), default=inf)
        due = min(due, caller.next_deadline(now))
        return due - STACK_TIME - min(EARLIEST, EARLY * max(0.0, due - now)) if due < inf else inf

    def keep_deadlines(self, session: Worker, now: float) -> float:
        """Kill the session if a call in it takes too long. Returns when to look again."""
        first = min((one for one in self._given.values() if one.session is session), key=lambda one: one.due, default=None)
        if first is None or first.due > now:
            return inf if first is None else first.due
        if first.killed_at == inf:
            first.killed_at = now + STACK_TIME
            session.process.ask_for_stacks()
        if first.killed_at <= now:
            session.kill(call_too_long())
            return inf
        return first.killed_at

    def lost(self, session: Worker, loss: WorkerExit) -> LostCalls:
        """A worker is gone: tell the caller of what it was doing as a session, and drop its own calls."""
        now = self._now()
        self._abandon(session)
        lost = LostCalls(None, late=False, back=[])
        for number, given in [(number, one) for number, one in self._given.items() if one.session is session]:
            del self._given[number]
            if given.begun_at is None:
                lost.back.extend([] if given.abandoned else [given.call])
                continue
            lost = LostCalls(given.call.plugin.key, given.due <= now, lost.back)
            if given.due <= now:
                limit = "the delivery that called it may" if given.call.timeout is None else f"{given.call.timeout:g} s"
                text = f"The function took longer than {limit}, and its session was ended."
                self.failed(given.call, "SessionTimeout", text, traceback=loss.stacks)
            else:
                how = loss.how or "it was ended"
                self.failed(given.call, "SessionLost", f"The session that called the function was lost: {how}.", lost=True)
        return lost

    def _answer(self, call: Call, message: Mapping[str, Any]) -> None:
        if call.caller.process.commands >= 0:
            self._send(call.caller, {**message, "is": "answer", "call": call.number})

    def _send(self, worker: Worker, message: frames.Message) -> None:
        worker.process.send(frames.encode(message))
        self._mark_writable(worker)


def refuse(caller: Worker, number: int, text: str) -> None:
    """Tell a worker that its call was not made."""
    failure = {"kind": "SessionLost", "text": text, "traceback": "", "lost": True}
    caller.process.send(frames.encode({"is": "answer", "call": number, "failure": failure}))
