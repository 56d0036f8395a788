"""The Executor on this machine: a process per plugin, or for several that share it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Run, RunEnded
from callsheet.domain.overview import WorkerRow
from callsheet.domain.plugin import PluginFile
from callsheet.ports import Message
from callsheet.runtimes.session_spec import RuntimeResolver
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.workers import agent_archive, worker_status
from callsheet.workers.io_loop import IoLoop
from callsheet.workers.pool import WorkerPool
from callsheet.workers.report_queue import ReportQueue
from callsheet.workers.sessions.background import Search
from callsheet.workers.sessions.session import SessionLimits
from callsheet.workers.sessions.session_pool import Sessions
from callsheet.workers.slot_assignment import SlotAssignment


class LocalExecutor:
    """Implements ``ports.Executor``.

    A worker that dies is replaced by itself; its plugin's Manifest comes again only if it reads differently then. One that dies
    while it loads its plugin, or is not done with that after ``loading_time`` seconds, gives a Manifest that says so, and is tried
    again ever later.
    """

    def __init__(
        self,
        setups: Mapping[str, WorkerConfig],
        state: Path,
        *,
        loading_time: float = 60.0,
        ahead: int = 1,
        groups: Mapping[PluginKey, str] | None = None,
        workers: int | None = None,
        memory: int | None = None,
        finder: Callable[[Path], RuntimeResolver] | None = None,
        limits: SessionLimits | None = None,
    ) -> None:
        """``setups`` by site; ``ahead``: how many runs of a plugin a worker takes beyond those it executes. ``groups``: plugins
        that share the worker of their group. ``workers``: how many there are for all others (None: one each). ``memory``: bytes
        past which a worker is replaced. ``finder``: makes what finds projects' Toolkit, given the agent's archive (None: there is
        none), within ``limits``.

        Raises StateError when the agent's archive can't be written to ``state``.
        """
        self._report_queue = ReportQueue()
        self._lock = threading.RLock()
        agent = agent_archive.build(state)
        self._pool = WorkerPool(
            setups,
            agent,
            self._report_queue.put,
            assignment=SlotAssignment(groups, workers),
            loading_time=loading_time,
            ahead=ahead,
            memory=memory,
        )
        self._io_loop = IoLoop(self._pool, self._lock)
        if finder is not None:
            self._pool.sessions = Sessions(
                setups,
                agent,
                Search(finder(agent), self._lock, self._io_loop.wake),
                limits or SessionLimits(),
                publish=self._report_queue.put,
                add=self._pool.add,
                mark_writable=self._pool.mark_writable,
            )
        self._closed = False
        self._io_loop.start()

    def load(self, plugin: PluginFile) -> None:
        """Start (or start anew) the plugin's worker. Without effect once closed. Raises KeyError for a site without a setup."""
        with self._lock:
            if not self._closed:
                self._pool.load(plugin)
                self._io_loop.wake()

    def warm(self, site: str, project: int | str) -> None:
        """Open a project's Toolkit session ahead of time."""
        with self._lock:
            if self._pool.sessions is not None and not self._closed:
                self._pool.sessions.warm(site, project)

    def end(self, site: str, project: int | str) -> None:
        """End a project's Toolkit session in the middle of what it runs."""
        self.retire(site, project, at_once=True)

    def retire(self, site: str, project: int | str, *, at_once: bool = False) -> None:
        """End a project's Toolkit session after what it runs."""
        with self._lock:
            if self._pool.sessions is not None and not self._closed:
                self._pool.sessions.retire(site, project, "an operator retired it", at_once=at_once)
                self._io_loop.wake()

    def unload(self, plugin: PluginKey) -> None:
        """Let the plugin's worker finish what it runs, and end it."""
        with self._lock:
            if not self._closed:
                self._pool.unload(plugin, "its plugin was unloaded")
                self._io_loop.wake()

    def free(self) -> Mapping[PluginKey, int]:
        """How many more runs each ready plugin can take now."""
        with self._lock:
            return self._pool.free()

    def submit(self, runs: Sequence[Run]) -> None:
        """Hand runs to their workers."""
        with self._lock:
            if self._closed:
                self._report_queue.put(RunEnded(run.id) for run in runs)
                return
            self._pool.submit(runs)
            if self._pool.unsent:
                self._io_loop.wake()

    def recall(self, runs: Sequence[Run]) -> None:
        """Take back what workers have not begun of these runs."""
        with self._lock:
            if not self._closed:
                self._pool.recall(runs)
                if self._pool.unsent:
                    self._io_loop.wake()

    def workers(self) -> list[WorkerRow]:
        """The processes that plugins run in, as they are now; those that wait to be started again, too."""
        with self._lock:
            return worker_status.rows(self._pool)

    def collect(self, timeout: float) -> list[Message]:
        """All that came in since the last call."""
        return self._report_queue.take(timeout)

    def wake(self) -> None:
        """End a waiting ``collect`` early."""
        self._report_queue.wake()

    def close(self, grace: float) -> None:
        """Let running deliveries finish for up to ``grace`` seconds, then end all workers; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._pool.empty()
        self._io_loop.finish(grace)
