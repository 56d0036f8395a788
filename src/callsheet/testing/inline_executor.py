"""The Executor without processes: plugins run in the thread that collects. For tests, ours and those of plugin authors."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from callsheet import telemetry
from callsheet.agent.failures import Secrets
from callsheet.agent.registration import LoadError, Plugin
from callsheet.agent.runner import Runner
from callsheet.domain.callback import Callback, CallbackKey, PluginKey
from callsheet.domain.delivery import Run, RunEnded
from callsheet.domain.overview import WorkerRow
from callsheet.domain.plugin import Manifest, PluginFile
from callsheet.ports import Message
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.wire import frames
from callsheet.workers import worker_messages
from callsheet.workers.report_queue import ReportQueue

_TAKES = 2
"""Runs that a plugin takes at a time, as a worker does."""


@dataclass
class _Loaded:
    """A plugin that lives in this process."""

    runner: Runner
    callbacks: Mapping[CallbackKey, Callback]
    waiting: list[Run] = field(default_factory=list)


class InlineExecutor:
    """Implements ``ports.Executor``. Deterministic: ``load`` loads at once, ``collect`` runs what was submitted, in order.

    A plugin's crash is this process's crash, timeouts are not kept, log records go to this process's logging, and helper modules
    stay imported over a reload. Everything else is the agent's own code.
    """

    def __init__(self, setups: Mapping[str, WorkerConfig]) -> None:
        self._setups = setups
        self._report_queue = ReportQueue()
        self._lock = threading.RLock()
        self._plugins: dict[PluginKey, _Loaded] = {}
        self._folders: list[str] = []
        self._closed = False

    def load(self, plugin: PluginFile) -> None:
        """Import the plugin's file, here and now. Without effect once closed. Raises KeyError for a site without a setup."""
        with self._lock:
            setup = self._setups.get(plugin.key.site)
            if setup is None:
                raise KeyError(f"There is no setup for site {plugin.key.site!r}, so {plugin.key} can't be loaded.")
            self.unload(plugin.key)
            if self._closed:
                return
            self._find_beside(plugin)
            manifest = self._load(plugin, setup)
        self._report_queue.put([manifest])

    def unload(self, plugin: PluginKey) -> None:
        """Forget the plugin; runs that it did not begin come back."""
        with self._lock:
            loaded = self._plugins.pop(plugin, None)
            if loaded is not None:
                loaded.runner.stopping = True
                self._report_queue.put(RunEnded(run.id) for run in loaded.waiting)

    def free(self) -> Mapping[PluginKey, int]:
        """How many more runs each plugin takes before the next ``collect``."""
        with self._lock:
            return {key: _TAKES - len(one.waiting) for key, one in self._plugins.items() if len(one.waiting) < _TAKES}

    def submit(self, runs: Sequence[Run]) -> None:
        """Keep the runs for the next ``collect``."""
        with self._lock:
            for run in runs:
                loaded = self._plugins.get(run.plugin)
                if loaded is None:
                    self._report_queue.put([RunEnded(run.id)])
                else:
                    loaded.waiting.append(run)

    def recall(self, runs: Sequence[Run]) -> None:
        """Give back those that were not run yet."""
        with self._lock:
            ids = {run.id for run in runs}
            for loaded in self._plugins.values():
                back = [run for run in loaded.waiting if run.id in ids]
                loaded.waiting = [run for run in loaded.waiting if run.id not in ids]
                self._report_queue.put(RunEnded(run.id) for run in back)

    def workers(self) -> list[WorkerRow]:
        """None: plugins run in this process."""
        return []

    def collect(self, timeout: float) -> list[Message]:
        """Run what was submitted, then return all that came of it."""
        while True:
            with self._lock:
                waiting = [(loaded, loaded.waiting.pop(0)) for loaded in self._plugins.values() if loaded.waiting]
            if not waiting:
                return self._report_queue.take(timeout)
            for loaded, run in waiting:
                loaded.runner.run(worker_messages.run_message(run, loaded.callbacks))

    def wake(self) -> None:
        """End a waiting ``collect`` early."""
        self._report_queue.wake()

    def close(self, grace: float) -> None:  # noqa: ARG002 - nothing runs between two calls of collect
        """Forget all plugins, and take away what they added to ``sys.path``."""
        with self._lock:
            self._closed = True
            for key in list(self._plugins):
                self.unload(key)
            for folder in self._folders:
                sys.path.remove(folder)
            self._folders.clear()

    def _load(self, plugin: PluginFile, setup: WorkerConfig) -> Manifest:
        secrets = Secrets()
        key = plugin.key

        def publish(message: frames.Message) -> None:
            if message["is"] == "emails":
                telemetry.emit("plugin.emails", site=key.site, plugin=key.name, emails=worker_messages.emails(message))
            elif message["is"] == "manifest":  # it registered one more callback
                again = worker_messages.manifest(message, setup, plugin)
                self._plugins[key].callbacks = {one.key: one for one in again.callbacks}
                self._report_queue.put([again])

        loaded = Plugin(worker_messages.setup_message(setup), worker_messages.load_message(setup, plugin), publish, secrets)
        try:
            loaded.load()
        except LoadError as trouble:
            return worker_messages.manifest(loaded.broken(trouble), setup, plugin)
        with loaded.describing() as described:
            manifest = worker_messages.manifest(described, setup, plugin)
        runner = Runner(loaded, self._written, secrets, alone=lambda: True)
        self._plugins[key] = _Loaded(runner, {one.key: one for one in manifest.callbacks})
        return manifest

    def _written(self, written: bytes) -> None:
        for message in frames.split(bytearray(written)):
            if message["is"] == "report":
                self._report_queue.put([worker_messages.report(message)])
            elif message["is"] == "ended":
                self._report_queue.put([RunEnded(message["run"])])

    def _find_beside(self, plugin: PluginFile) -> None:
        folder = str(Path(plugin.path).absolute().parent)
        if folder not in sys.path:
            sys.path.append(folder)
            self._folders.append(folder)
