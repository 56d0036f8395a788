"""The Executor on this machine: a process per plugin, or for several that share it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from callsheet.desk import WorkerRow
from callsheet.executors import archive, muster
from callsheet.executors.access import WorkerSetup
from callsheet.executors.crew import Crew
from callsheet.executors.inbox import Inbox
from callsheet.executors.opening import Finder
from callsheet.executors.pump import Pump
from callsheet.executors.seating import Seating
from callsheet.executors.sessions.search import Search
from callsheet.executors.sessions.session import Limits
from callsheet.executors.sessions.sessions import Sessions
from callsheet.model import PluginFile, PluginKey, Run, RunEnded
from callsheet.ports import Message


class LocalExecutor:
    """Implements ``ports.Executor``.

    A worker that dies is replaced by itself; its plugin's Manifest comes again only if it reads differently then. One that dies
    while it loads its plugin, or is not done with that after ``loading_time`` seconds, gives a Manifest that says so, and is tried
    again ever later.
    """

    def __init__(
        self,
        setups: Mapping[str, WorkerSetup],
        state: Path,
        *,
        loading_time: float = 60.0,
        ahead: int = 1,
        groups: Mapping[PluginKey, str] | None = None,
        workers: int | None = None,
        memory: int | None = None,
        finder: Callable[[Path], Finder] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """``setups`` by site; ``ahead``: how many runs of a plugin a worker takes beyond those it executes. ``groups``: plugins
        that share the worker of their group. ``workers``: how many there are for all others (None: one each). ``memory``: bytes
        past which a worker is replaced. ``finder``: makes what finds projects' Toolkit, given the agent's archive (None: there is
        none), within ``limits``.

        Raises StateError when the agent's archive can't be written to ``state``.
        """
        self._inbox = Inbox()
        self._lock = threading.RLock()
        agent = archive.build(state)
        self._crew = Crew(
            setups,
            agent,
            self._inbox.put,
            seating=Seating(groups, workers),
            loading_time=loading_time,
            ahead=ahead,
            memory=memory,
        )
        self._pump = Pump(self._crew, self._lock)
        if finder is not None:
            self._crew.sessions = Sessions(
                setups,
                agent,
                Search(finder(agent)),
                limits or Limits(),
                self._lock,
                say=self._inbox.put,
                hire=self._crew.hire,
                touched=self._crew.touched,
                ring=self._pump.ring,
            )
        self._closed = False
        self._pump.start()

    def load(self, plugin: PluginFile) -> None:
        """Start (or start anew) the plugin's worker. Without effect once closed. Raises KeyError for a site without a setup."""
        with self._lock:
            if not self._closed:
                self._crew.load(plugin)
                self._pump.ring()

    def warm(self, site: str, project: int | str) -> None:
        """Open a project's Toolkit session ahead of time."""
        with self._lock:
            if self._crew.sessions is not None and not self._closed:
                self._crew.sessions.warm(site, project)

    def retire(self, site: str, project: int | str) -> None:
        """End a project's Toolkit session after what it runs."""
        with self._lock:
            if self._crew.sessions is not None and not self._closed:
                self._crew.sessions.retire(site, project, "an operator retired it")
                self._pump.ring()

    def unload(self, plugin: PluginKey) -> None:
        """Let the plugin's worker finish what it runs, and end it."""
        with self._lock:
            if not self._closed:
                self._crew.unload(plugin, "its plugin was unloaded")
                self._pump.ring()

    def free(self) -> Mapping[PluginKey, int]:
        """How many more runs each ready plugin can take now."""
        with self._lock:
            return self._crew.free()

    def submit(self, runs: Sequence[Run]) -> None:
        """Hand runs to their workers."""
        with self._lock:
            if self._closed:
                self._inbox.put(RunEnded(run.id) for run in runs)
                return
            self._crew.submit(runs)
            if self._crew.unsent:
                self._pump.ring()

    def recall(self, runs: Sequence[Run]) -> None:
        """Take back what workers have not begun of these runs."""
        with self._lock:
            if not self._closed:
                self._crew.recall(runs)
                if self._crew.unsent:
                    self._pump.ring()

    def workers(self) -> list[WorkerRow]:
        """The processes that plugins run in, as they are now; those that wait to be started again, too."""
        with self._lock:
            return muster.rows(self._crew)

    def collect(self, timeout: float) -> list[Message]:
        """All that came in since the last call."""
        return self._inbox.take(timeout)

    def wake(self) -> None:
        """End a waiting ``collect`` early."""
        self._inbox.wake()

    def close(self, grace: float) -> None:
        """Let running deliveries finish for up to ``grace`` seconds, then end all workers; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._crew.empty()
        self._pump.finish(grace)
