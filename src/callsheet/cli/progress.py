"""A bar for ``run --drain`` on a terminal: how far the log has been read, and how many deliveries of those found are finished."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from callsheet.domain.delivery import State
from callsheet.telemetry import Signal, subscribe, unsubscribe

FINISHED = {state.word for state in (State.DONE, State.DEAD, State.SKIPPED, State.HELD)}


class DrainProgress:
    """Shown for as long as the ``with`` block runs; log lines that are written to stderr meanwhile appear above it.

    All facts come from signals. What an earlier daemon left waiting is not among the deliveries found, so the total may grow late.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("deliveries"),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
            transient=True,
            refresh_per_second=4,
        )
        self._task = self._bar.add_task("reading the event log", total=0)
        self._found = 0
        self._finished = 0

    def __enter__(self) -> Self:
        self._bar.start()
        subscribe(self, "events.read", "events.routed", "delivery.settled")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        unsubscribe(self)
        self._bar.stop()

    def __call__(self, signal: Signal) -> None:
        """Move the bar on."""
        if signal.name == "events.read":
            self._bar.update(self._task, description=f"read to event {signal.facts['last']:,}")
            return
        if signal.name == "events.routed":
            self._found += signal.facts["deliveries"]
        elif signal.facts["state"] in FINISHED:
            self._finished += 1
        self._bar.update(self._task, completed=self._finished, total=max(self._found, self._finished))
