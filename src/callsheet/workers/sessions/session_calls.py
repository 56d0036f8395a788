"""Functions that plugins have called in a project's session: given, waited for, answered, always."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from callsheet.domain.callback import PluginKey
from callsheet.domain.plugin import PluginFile
from callsheet.wire import frames
from callsheet.workers.exits import WorkerExit, call_too_long
from callsheet.workers.worker import Worker


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


@dataclass(slots=True)
class _Given:
    call: Call
    session: Worker
    begun: bool = False
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
            given.begun = True
            given.due = inf if given.call.timeout is None else self._now() + given.call.timeout
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

    def keep_deadlines(self, session: Worker, now: float) -> float:
        """Kill the session if a call in it takes too long. Returns when to look again."""
        dues = [one.due for one in self._given.values() if one.session is session]
        soonest = min(dues, default=inf)
        if soonest <= now:
            session.process.ask_for_stacks()
            session.kill(call_too_long())
            return inf
        return soonest

    def lost(self, session: Worker, loss: WorkerExit) -> tuple[PluginKey | None, bool]:
        """Tell the callers of all that the session was to do that it is gone. Returns whose call was under way in it, and whether
        that had taken too long.
        """
        now = self._now()
        guilty, late = None, False
        for number, given in [(number, one) for number, one in self._given.items() if one.session is session]:
            del self._given[number]
            guilty = given.call.plugin.key if given.begun else guilty
            late = late or given.due <= now
            if given.due <= now:
                text = f"The function took longer than {given.call.timeout:g} s, and its session was ended."
                self.failed(given.call, "SessionTimeout", text, traceback=loss.stacks)
            else:
                how = loss.how or "it was ended"
                self.failed(given.call, "SessionLost", f"The session that called the function was lost: {how}.", lost=True)
        return guilty, late

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
