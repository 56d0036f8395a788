"""Heartbeat, the pid file, and forgetting old history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from callsheet import telemetry
from callsheet.desk import Asked, Heartbeat, SiteHealth, WorkerRow
from callsheet.ports import Ledger
from callsheet.services.service import Service

BEAT_EVERY = 1.0
PRUNE_EVERY = 600.0


class Upkeep(Service):
    """Says that the daemon lives, prunes what is older than the history, and stops the daemon when its pid file is removed."""

    name = "upkeep"

    def __init__(
        self,
        ledger: Ledger,
        heartbeat: Heartbeat,
        health: Callable[[], Iterable[SiteHealth]],
        *,
        history: float,
        pid_file: Path | None,
        stop: Callable[[str], None],
        crew: Callable[[], Sequence[WorkerRow]] = tuple,
        asked: Callable[[Asked], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``history``: seconds for which finished deliveries are kept. ``stop`` is called with the reason; ``crew`` names all
        workers as they are now; ``asked`` is called with each thing that an operator asks of the running daemon.
        """
        super().__init__()
        self._ledger = ledger
        self._heartbeat = heartbeat
        self._health = health
        self._history = history
        self._pid_file = pid_file
        self._stop = stop
        self._crew = crew
        self._asked = asked
        self._now = clock
        self._prune_at = 0.0

    def step(self) -> float:
        """One beat."""
        now = self._now()
        if self._pid_file is not None and not self._pid_file.exists():
            self._stop(f"the pid file {self._pid_file} was removed")
            return BEAT_EVERY
        for one in self._ledger.beat(replace(self._heartbeat, at=now), list(self._health()), self._crew()):
            self._asked(one)
        if now >= self._prune_at:
            self._prune_at = now + PRUNE_EVERY
            deliveries, events = self._ledger.prune(now - self._history)
            if deliveries or events:
                telemetry.emit("upkeep.pruned", deliveries=deliveries, events=events)
        return BEAT_EVERY

    def farewell(self) -> None:
        """The last beat: the daemon has ended in order."""
        now = self._now()
        self._ledger.beat(replace(self._heartbeat, at=now, stopped_at=now), list(self._health()))
