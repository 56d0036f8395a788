"""The runs that a worker was given and has not ended: whose turn it is, since when, and who is to blame when it dies."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from callsheet.errors import ProtocolError
from callsheet.model import Callback, CallbackKey, Delivery, Failure, PluginKey, Report, Run, RunEnded, Verdict
from callsheet.ports import Message


@dataclass(slots=True)
class _Handed:
    """A run; ``reported`` of its deliveries are done with. The next one's call began at the two times, if the run has begun."""

    run: Run
    calls: Iterator[int]
    upto: int = 0  # deliveries of the calls so far, the present one included
    reported: int = 0
    begun: bool = False
    since: float = 0.0  # monotonic
    started: float = 0.0  # epoch

    @property
    def head(self) -> Delivery | None:
        """The delivery being called, the first of those called together; None before the first and behind the last."""
        if self.begun and self.reported < len(self.run.deliveries):
            return self.run.deliveries[self.reported]
        return None

    @property
    def called(self) -> Sequence[Delivery]:
        """All that are being called together."""
        return self.run.deliveries[self.reported : self.upto] if self.begun else ()

    def turn(self) -> None:
        """Note that the head's call begins now, unless it is under way."""
        if self.reported >= self.upto:
            self.upto = self.reported + next(self.calls, 1)
        self.since = time.monotonic()
        self.started = time.time()


class HandedRuns:
    """The runs of one worker, in the order in which they were given to it."""

    def __init__(self) -> None:
        self._runs: dict[int, _Handed] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: Run, calls: Sequence[int] = ()) -> None:
        """Note that the worker was given ``run``; ``calls``: how many of its deliveries are called together, call by call."""
        self._runs[run.id] = _Handed(run, iter(calls))

    def begun(self, run_id: int) -> None:
        """Note that it began. Raises ProtocolError for a run that the worker does not have."""
        handed = self._of(run_id)
        handed.begun = True
        handed.turn()

    def reported(self, report: Report) -> PluginKey:
        """Note that a delivery is done with, and the next one's turn. Returns whose it was.

        Raises ProtocolError unless it was the run's next.
        """
        handed = self._of(report.run_id)
        head = handed.head
        if head is None or head.id != report.delivery_id:
            raise ProtocolError(f"it reported delivery {report.delivery_id}, which is not its turn in run {report.run_id}")
        handed.reported += 1
        handed.turn()
        return handed.run.plugin

    def ended(self, run_id: int) -> PluginKey:
        """Note that nothing more comes of the run. Returns whose it was."""
        plugin = self._of(run_id).run.plugin
        del self._runs[run_id]
        return plugin

    def heads(self) -> list[Delivery]:
        """The deliveries being called."""
        return [head for handed in self._runs.values() if (head := handed.head) is not None]

    def longest(self) -> tuple[Delivery, float] | None:
        """The delivery whose call began first, and when (epoch); None while none is called."""
        called = ((head, handed.started) for handed in self._runs.values() if (head := handed.head) is not None)
        return min(called, key=lambda one: one[1], default=None)

    def overdue(self, callbacks: Mapping[CallbackKey, Callback], now: float) -> tuple[list[Delivery], float]:
        """Deliveries past their callback's deadline at the monotonic time ``now``, and when the next one will be (inf: none)."""
        late, soonest = [], inf
        for handed in self._runs.values():
            head = handed.head
            callback = callbacks.get(head.callback) if head else None
            if head is None or callback is None or callback.timeout is None:
                continue
            due = handed.since + callback.timeout
            if due <= now:
                late.append(head)
            else:
                soonest = min(soonest, due)
        return late, soonest

    def lost(self, culprits: Collection[int], verdict: Verdict, failure: Failure) -> list[Message]:
        """What to say of all runs once the worker is gone: of the heads in ``culprits``, and those called together with each, a
        report, of each run its end.
        """
        said: list[Message] = []
        now = time.time()
        for handed in self._runs.values():
            head = handed.head
            if head is not None and head.id in culprits:
                for one in handed.called:
                    shares = one is not head
                    told = replace(failure, traceback="") if shares else failure
                    said.append(Report(handed.run.id, one.id, verdict, handed.started, now, told, shares=shares))
            said.append(RunEnded(handed.run.id))
        self._runs.clear()
        return said

    def _of(self, run_id: int) -> _Handed:
        handed = self._runs.get(run_id)
        if handed is None:
            raise ProtocolError(f"it spoke of run {run_id}, which it does not have")
        return handed
