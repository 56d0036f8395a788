"""The runs that a worker was given and has not ended: whose turn it is, since when, and who is to blame when it dies."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from callsheet.domain.callback import Callback, CallbackKey, PluginKey
from callsheet.domain.delivery import Delivery, Failure, Report, Run, RunEnded, Verdict
from callsheet.errors import ProtocolError
from callsheet.ports import Message


@dataclass(slots=True)
class _InFlight:
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


class InFlightRuns:
    """The runs of one worker, in the order in which they were given to it."""

    def __init__(self) -> None:
        self._runs: dict[int, _InFlight] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: Run, calls: Sequence[int] = ()) -> None:
        """Note that the worker was given ``run``; ``calls``: how many of its deliveries are called together, call by call."""
        self._runs[run.id] = _InFlight(run, iter(calls))

    def begun(self, run_id: int) -> None:
        """Note that it began. Raises ProtocolError for a run that the worker does not have."""
        in_flight = self._of(run_id)
        in_flight.begun = True
        in_flight.turn()

    def reported(self, report: Report) -> PluginKey:
        """Note that a delivery is done with, and the next one's turn. Returns whose it was.

        Raises ProtocolError unless it was the run's next.
        """
        in_flight = self._of(report.run_id)
        head = in_flight.head
        if head is None or head.id != report.delivery_id:
            raise ProtocolError(f"it reported delivery {report.delivery_id}, which is not its turn in run {report.run_id}")
        in_flight.reported += 1
        in_flight.turn()
        return in_flight.run.plugin

    def ended(self, run_id: int) -> PluginKey:
        """Note that nothing more comes of the run. Returns whose it was."""
        plugin = self._of(run_id).run.plugin
        del self._runs[run_id]
        return plugin

    def heads(self) -> list[Delivery]:
        """The deliveries being called."""
        return [head for in_flight in self._runs.values() if (head := in_flight.head) is not None]

    def longest(self) -> tuple[Delivery, float] | None:
        """The delivery whose call began first, and when (epoch); None while none is called."""
        called = ((head, in_flight.started) for in_flight in self._runs.values() if (head := in_flight.head) is not None)
        return min(called, key=lambda one: one[1], default=None)

    def overdue(self, callbacks: Mapping[CallbackKey, Callback], now: float) -> tuple[list[Delivery], float]:
        """Deliveries past their callback's deadline at the monotonic time ``now``, and when the next one will be (inf: none)."""
        late, soonest = [], inf
        for in_flight in self._runs.values():
            head = in_flight.head
            callback = callbacks.get(head.callback) if head else None
            if head is None or callback is None or callback.timeout is None:
                continue
            due = in_flight.since + callback.timeout
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
        for in_flight in self._runs.values():
            head = in_flight.head
            if head is not None and head.id in culprits:
                for one in in_flight.called:
                    shares = one is not head
                    told = replace(failure, traceback="") if shares else failure
                    said.append(Report(in_flight.run.id, one.id, verdict, in_flight.started, now, told, shares=shares))
            said.append(RunEnded(in_flight.run.id))
        self._runs.clear()
        return said

    def _of(self, run_id: int) -> _InFlight:
        in_flight = self._runs.get(run_id)
        if in_flight is None:
            raise ProtocolError(f"it spoke of run {run_id}, which it does not have")
        return in_flight
