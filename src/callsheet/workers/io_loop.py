"""The one thread that moves bytes between the daemon and its workers, and notices their ends."""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from math import inf

from callsheet import telemetry
from callsheet.workers.pool import WorkerPool
from callsheet.workers.worker import KILL_TIME, Worker

_TEND = 0.05
"""Seconds within which deadlines are looked at after something happened."""
_LINGER = 0.001
"""Seconds for which reports gather while their run goes on; a thread woken for each of 50,000 a second would do little else."""
_SHARE = 0.1
"""How much of the thread's time what one worker prints may take; one that prints more than that waits for its turn to print."""
_REST = 0.001
"""The least seconds between two looks at what one worker prints; a loop that prints line by line makes little of each look."""
_DRAINED = 16
"""Reads of what a worker has printed when all ends: a pipe holds less, and what fills it faster is left out."""
_TO_SPARE = 10.0
"""Seconds beyond the last worker's time after which nobody waits for the thread any more."""
_POLL = 0.1
"""Seconds between two looks for ended workers, on systems that do not tell."""


class IoLoop(threading.Thread):
    """Runs until ``finish``. Starts all workers itself: on Linux, a worker is killed when the thread that made it ends."""

    def __init__(self, pool: WorkerPool, lock: threading.RLock) -> None:
        super().__init__(name="callsheet-workers", daemon=True)
        self._pool = pool
        self._lock = lock
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = os.pipe()
        for descriptor in (self._wake_reader, self._wake_writer):
            os.set_blocking(descriptor, False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, self._rung)
        self._look_at = 0.0
        self._writing: set[Worker] = set()
        self._resting: dict[Worker, float] = {}
        self._speaking: set[Worker] = set()
        self._linger = False
        self._finishing = False
        self._kill_at = inf

    def wake(self) -> None:
        """Have the thread look at the workers now. Called under the lock. Without effect once the thread has ended."""
        self._look_at = 0.0
        if self._wake_writer < 0:  # whatever has that number by now is somebody else's, the ledger's for one
            return
        with contextlib.suppress(BlockingIOError):  # rung already, many times
            os.write(self._wake_writer, b"!")

    def finish(self, grace: float) -> None:
        """End the thread once all workers have ended, which they must within ``grace`` seconds. Called without the lock."""
        with self._lock:
            self._finishing = True
            self._kill_at = time.monotonic() + grace
            self.wake()
        self.join(grace + KILL_TIME + _TO_SPARE)

    def run(self) -> None:
        """Wait, move bytes, keep the workers going."""
        while not (self._finishing and not self._pool.workers):
            try:
                self._turn()
            except Exception:  # noqa: BLE001 - a mistake here must be seen, and must not end all workers
                telemetry.emit("service.failed", service="executor", error=traceback.format_exc(), retry_in=0.0, defect=True)
                time.sleep(_TEND)
        self._close()

    def _turn(self) -> None:
        with self._lock:
            wait = self._tick()
        ready = self._selector.select(wait)
        with self._lock:
            self._linger = False
            for key, _ in ready:
                key.data()
        if self._linger:
            time.sleep(_LINGER)

    def _tick(self) -> float | None:
        now = time.monotonic()
        pool = self._pool
        if self._kill_at <= now:
            self._kill_at = inf
            for worker in pool.workers:
                worker.kill()
        if self._look_at <= now:
            self._look_at = pool.tick(now)
            for worker in pool.started:
                self._watch(worker)
            pool.started.clear()
            for worker in [one for one in pool.workers if one.process.exit < 0]:
                self._ended(worker)
                self._look_at = min(self._look_at, now + _POLL)
            for worker in [one for one in pool.workers if one.stuck_at <= now]:
                self._on_exit(worker, None)
        for worker in pool.unsent - self._writing:
            self._writing.add(worker)
            self._selector.register(worker.process.commands, selectors.EVENT_WRITE, partial(self._writable, worker))
        for worker in [one for one, due in self._resting.items() if due <= now]:
            del self._resting[worker]
            self._on(worker.process.output, partial(self._on_print, worker))
        soonest = min(self._look_at, self._kill_at, *self._resting.values())
        return None if soonest == inf else max(0.0, soonest - now)

    def _watch(self, worker: Worker) -> None:
        process = worker.process
        self._on(process.reports, partial(self._reported, worker))
        self._on(process.output, partial(self._on_print, worker))
        self._speaking.add(worker)
        if process.exit >= 0:
            self._on(process.exit, partial(self._ended, worker))

    def _on(self, descriptor: int, act: Callable[[], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, act)

    def _reported(self, worker: Worker) -> None:
        if worker.process.reports < 0:
            return  # its end was noticed a moment ago
        data = worker.process.read(worker.process.reports)
        if data:
            self._linger = self._pool.on_output(worker, data) or self._linger
            self._look_at = min(self._look_at, time.monotonic() + _TEND)
        elif data is not None:
            self._selector.unregister(worker.process.reports)
            worker.silent_since = time.monotonic()
            self._look_at = 0.0

    def _on_print(self, worker: Worker) -> None:
        if worker not in self._speaking or worker in self._resting:
            return
        data = worker.process.read(worker.process.output)
        if data is None:
            return
        began = time.monotonic()
        worker.on_print(data)
        ended = time.monotonic()
        if not data:
            self._speaking.discard(worker)
            self._selector.unregister(worker.process.output)
            worker.process.close_output()
        else:
            self._resting[worker] = ended + max(_REST, (ended - began) * (1 / _SHARE - 1))
            self._selector.unregister(worker.process.output)

    def _writable(self, worker: Worker) -> None:
        if worker.process.commands < 0:
            return
        worker.process.flush()
        if not worker.process.unsent:
            self._selector.unregister(worker.process.commands)
            self._writing.discard(worker)
            self._pool.unsent.discard(worker)

    def _ended(self, worker: Worker) -> None:
        process = worker.process
        code = process.ended()
        if code is None:
            if process.exit >= 0:  # it has ended, and can't be had, since somebody traces it: the descriptor would wake us for ever
                self._selector.unregister(process.exit)
                process.close_exit()
                self._look_at = 0.0
            return
        self._on_print(worker)  # the rest comes as it comes: programs that it left behind may still print
        self._on_exit(worker, code)

    def _on_exit(self, worker: Worker, code: int | None) -> None:
        """Have nothing more to do with a worker that has ended, or (None) never will."""
        process = worker.process
        while data := process.read(process.reports):  # its last words
            self._pool.on_output(worker, data)
        self._unregister(process.reports, process.commands, process.exit)
        self._writing.discard(worker)
        self._pool.on_exit(worker, code)
        process.close()
        if code is None:
            self._resting.pop(worker, None)
            self._unregister(process.output)
            self._last_words(worker)
        self._look_at = 0.0

    def _unregister(self, *descriptors: int) -> None:
        for descriptor in descriptors:
            if descriptor >= 0 and descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)

    def _rung(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_reader, 4096):
                pass

    def _close(self) -> None:
        for worker in list(self._speaking):
            self._last_words(worker)
        self._selector.close()
        with self._lock:
            wake_reader, wake_writer, self._wake_reader, self._wake_writer = self._wake_reader, self._wake_writer, -1, -1
            os.close(wake_reader)
            os.close(wake_writer)

    def _last_words(self, worker: Worker) -> None:
        """Take in what the worker has printed, or programs that it left behind, and close that pipe."""
        self._speaking.discard(worker)
        for _ in range(_DRAINED):
            data = worker.process.read(worker.process.output)
            if not data:
                break
            worker.on_print(data)
        worker.on_print(b"")
        worker.process.close_output()
