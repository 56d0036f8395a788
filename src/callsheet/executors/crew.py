"""All workers of this machine: which plugin has which, who is starting, working and leaving. Decides; the pump moves the bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from pathlib import Path

from callsheet.executors.access import WorkerSetup
from callsheet.executors.seat import Seat
from callsheet.executors.worker import Worker
from callsheet.model import Manifest, PluginFile, PluginKey, Report, Run, RunEnded
from callsheet.ports import Message


class Crew:
    """Called under the executor's lock throughout. ``say`` takes what is to be collected."""

    def __init__(
        self,
        setups: Mapping[str, WorkerSetup],
        archive: Path,
        say: Callable[[Iterable[Message]], None],
        *,
        loading_time: float,
        ahead: int,
    ) -> None:
        self.workers: set[Worker] = set()
        """All whose end was not noticed yet, the leaving ones included."""
        self.started: list[Worker] = []
        """Those that the pump does not watch yet."""
        self.unsent: set[Worker] = set()
        """Those whose pipe of commands is full."""
        self._setups = setups
        self._archive = archive
        self._loading_time = loading_time
        self._ahead = ahead
        self._say = say
        self._seats: dict[PluginKey, Seat] = {}
        self._free: dict[PluginKey, int] = {}

    def load(self, plugin: PluginFile) -> None:
        """Have a new worker started for the plugin; one that it has finishes. Raises KeyError for a site without a setup."""
        if plugin.key.site not in self._setups:
            raise KeyError(f"There is no setup for site {plugin.key.site!r}, so {plugin.key} can't be loaded.")
        self.unload(plugin.key, "a new one was loaded")
        self._seats[plugin.key] = Seat(plugin)

    def unload(self, key: PluginKey, why: str) -> None:
        """Have the plugin's worker finish and end."""
        seat = self._seats.pop(key, None)
        self._free.pop(key, None)
        if seat is not None and seat.worker is not None:
            self._stop(seat.worker, why)

    def empty(self) -> None:
        """Have all workers finish and end."""
        for key in list(self._seats):
            self.unload(key, "the daemon stops")

    def free(self) -> dict[PluginKey, int]:
        """How many more runs each plugin can take."""
        return dict(self._free)

    def submit(self, runs: Sequence[Run]) -> None:
        """Hand runs out; one whose plugin has no worker now comes back at once."""
        for run in runs:
            seat = self._seats.get(run.plugin)
            worker = seat.worker if seat else None
            if worker is None or not worker.ready:
                self._say([RunEnded(run.id)])
                continue
            worker.give(run)
            if worker.process.unsent:
                self.unsent.add(worker)
            self._count(run.plugin, worker)

    def tend(self, now: float) -> float:
        """Start who is due, and keep deadlines. Returns the monotonic time at which to look again (inf: no need)."""
        soonest = inf
        for seat in self._seats.values():
            if seat.start_at <= now:
                self._start(seat, now)
            soonest = min(soonest, seat.start_at)
        for worker in self.workers:
            soonest = min(soonest, worker.tend(now, self._loading_time))
        return soonest

    def heard(self, worker: Worker, data: bytes) -> bool:
        """Take in what a worker said. True when that was reports alone, so that more are to be expected at once."""
        loading = worker.manifest is None
        said = worker.heard(data)
        seat = self._seat_of(worker)
        if seat is not None:
            if loading and worker.manifest is not None:
                self._tell(seat, worker.manifest)
            self._count(worker.plugin.key, worker)
        self._say(said)
        return bool(said) and type(said[-1]) is Report

    def gone(self, worker: Worker, code: int) -> None:
        """Take note of a worker's end; if it was not meant to end, another is started."""
        seat = self._seat_of(worker)
        said, how = worker.gone(code)
        self.workers.discard(worker)
        self.unsent.discard(worker)
        if seat is not None:
            seat.worker = None
            self._free.pop(seat.plugin.key, None)
            if how is not None and worker.manifest is None:
                self._tell(seat, _died_loading(seat.plugin, how))
            if how is not None or worker.passing:
                seat.start_again(time.monotonic(), fruitful=worker.fruitful)
        self._say(said)

    def _seat_of(self, worker: Worker) -> Seat | None:
        seat = self._seats.get(worker.plugin.key)
        return seat if seat is not None and seat.worker is worker else None

    def _start(self, seat: Seat, now: float) -> None:
        setup = self._setups[seat.plugin.key.site]
        try:
            worker = Worker(seat.plugin, setup, self._archive, self._ahead)
        except OSError as error:
            self._tell(seat, _can_not_start(seat.plugin, setup, error))
            seat.start_again(now, fruitful=False)
            return
        seat.seated(worker)
        self.workers.add(worker)
        self.started.append(worker)

    def _tell(self, seat: Seat, manifest: Manifest) -> None:
        if seat.news(manifest):
            self._say([manifest])

    def _count(self, key: PluginKey, worker: Worker) -> None:
        free = worker.free
        if free > 0:
            self._free[key] = free
        else:
            self._free.pop(key, None)

    def _stop(self, worker: Worker, why: str) -> None:
        worker.stop(why)
        if worker.process.unsent:
            self.unsent.add(worker)


def _died_loading(plugin: PluginFile, how: str) -> Manifest:
    return _broken(
        plugin,
        "import",
        f"Could not load the plugin at {plugin.path}.\n\nThe worker died while loading it: {how}. Import the file by hand to see "
        "what it does at import and in registerCallbacks. It is tried again by itself now and then, and when the file changes.",
    )


def _can_not_start(plugin: PluginFile, setup: WorkerSetup, error: OSError) -> Manifest:
    python = setup.python or "the daemon's own Python"
    return _broken(
        plugin,
        "describe",
        f"No worker can be started for the plugin at {plugin.path} with {python}: {error}. Mend the interpreter's path in "
        "the configuration, or the machine's limits; it is tried again by itself.",
    )


def _broken(plugin: PluginFile, where: str, problem: str) -> Manifest:
    return Manifest(plugin.key, plugin.generation, problem=problem, where=where, level="ERROR", logger=f"plugin.{plugin.key.name}")
