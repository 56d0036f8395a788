"""Heartbeat, the pid file, and forgetting old history: a thread for each, so that a long prune never stops the beat."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from callsheet import telemetry
from callsheet.domain.operation import DaemonCommand
from callsheet.domain.overview import Condition, Heartbeat, SiteHealth, WorkerRow
from callsheet.errors import StateError
from callsheet.ports import Ledger
from callsheet.services.service import Service
from callsheet.timed_io import TimedIo

BEAT_EVERY = 1.0
PRUNE_EVERY = 600.0


class HeartbeatService(Service):
    """Says that the daemon lives, takes what operators ask of it, and stops the daemon when its pid file or ledger is removed."""

    name = "heartbeat"

    def __init__(
        self,
        ledger: Ledger,
        heartbeat: Heartbeat,
        health: Callable[[], Iterable[SiteHealth]],
        *,
        pid_file: Path | None,
        stop: Callable[[str], None],
        workers: Callable[[], Sequence[WorkerRow]] = tuple,
        asked: Callable[[DaemonCommand], None] = lambda _: None,
        lost: Callable[[], str | None] = lambda: None,
        services: Callable[[], Iterable[Service]] = tuple,
        conditions: Callable[[], Iterable[Condition]] = tuple,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``stop`` is called with the reason; ``workers`` names all workers as they are now; ``asked`` is called with each thing
        that an operator asks of the running daemon; ``lost`` says what of the ledger's files was removed or replaced. Each beat
        carries how ``services`` are, and the ``conditions`` around the daemon that are not well.
        """
        super().__init__()
        self._ledger = ledger
        self._heartbeat = heartbeat
        self._health = health
        self._pid_file = pid_file
        self._io = TimedIo()
        self._stop = stop
        self._workers = workers
        self._asked = asked
        self._lost = lost
        self._services = services
        self._conditions = conditions
        self._told_lost = False
        self._now = clock

    def step(self) -> float:
        """One beat."""
        if self._pid_file is not None and not self._exists(self._pid_file):
            self._stop(f"the pid file {self._pid_file} was removed")  # and beats on until that is done
        problem = self._lost()
        if problem is not None and not self._told_lost:
            self._told_lost = True
            telemetry.emit("ledger.lost", problem=problem)
            self._stop("the ledger is lost")
        for one in self._beat():
            self._asked(one)
        return BEAT_EVERY

    def _beat(self) -> list[DaemonCommand]:
        now = self._now()
        beat = replace(self._heartbeat, at=now, services=tuple(one.service_health(now) for one in self._services()))
        try:
            beat = replace(beat, conditions=tuple(self._conditions()))
            return self._ledger.beat(beat, list(self._health()), self._workers())
        except StateError:
            raise
        except Exception:
            self._ledger.beat(beat, [])  # the daemon lives, whatever is odd about a site or a worker; which is told
            raise

    def _exists(self, pid_file: Path) -> bool:
        """Whether the file is there, or may be: a share that hangs stops neither the beat nor the daemon."""
        try:
            return self._io.call(pid_file, pid_file.exists)
        except OSError:
            return True

    def finish(self) -> None:
        """The last beat: the daemon has ended in order."""
        now = self._now()
        beat = replace(self._heartbeat, at=now, stopped_at=now, conditions=tuple(self._conditions()))
        self._ledger.beat(beat, list(self._health()))


class MailHealth:
    """Whether mails get through, by what the mailer tells."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._now = clock
        self._failing: tuple[float, str, str] | None = None
        self._waiting = self._dropped = 0
        telemetry.subscribe(self._hear, "mail.failed", "mail.sent")

    def conditions(self) -> list[Condition]:
        """That mails can't be sent, from the first that failed until one gets through."""
        if self._failing is None:
            return []
        since, server, error = self._failing
        lost = f", {self._dropped} are given up" if self._dropped else ""
        what = f"Mails can't be sent through {server} ({self._waiting} wait{lost}): {error}."
        return [Condition("mail", what, since, place=server)]

    def close(self) -> None:
        """Hear no more."""
        telemetry.unsubscribe(self._hear)

    def _hear(self, signal: telemetry.Signal) -> None:
        facts = signal.facts
        if signal.name == "mail.sent":
            self._failing, self._dropped = None, 0
            return
        self._waiting = facts["waiting"]
        self._dropped += facts["dropped"]
        since = self._now() if self._failing is None else self._failing[0]
        self._failing = (since, facts["server"], facts["error"].rstrip("."))


class MaintenanceService(Service):
    """Prunes what is older than the history."""

    name = "maintenance"
    limit = 30.0

    def __init__(self, ledger: Ledger, *, history: float, clock: Callable[[], float] = time.time) -> None:
        """``history``: seconds for which finished deliveries are kept."""
        super().__init__()
        self._ledger = ledger
        self._history = history
        self._now = clock

    def step(self) -> float:
        """Forget what has become too old since the last time."""
        deliveries, events = self._ledger.prune(self._now() - self._history, lambda _done, _of: self.got_on())
        if deliveries or events:
            telemetry.emit("upkeep.pruned", deliveries=deliveries, events=events)
        return PRUNE_EVERY
