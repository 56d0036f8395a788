"""The plugins of one worker: which are described, which take runs, and how many each has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from callsheet.agent.options import MOST_SLOTS
from callsheet.domain.callback import Callback, CallbackKey, PluginKey
from callsheet.domain.delivery import Run
from callsheet.domain.plugin import Manifest, PluginFile, PluginImports
from callsheet.errors import ProtocolError
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.workers import checks, worker_messages


@dataclass(slots=True)
class _LoadedPlugin:
    file: PluginFile
    manifest: Manifest | None = None
    slots: int = 1


class LoadedPlugins:
    """Plugins in the order in which they were sent to be loaded; they are described in the same order."""

    def __init__(self, setup: WorkerConfig) -> None:
        self._setup = setup
        self._loaded_plugins: dict[PluginKey, _LoadedPlugin] = {}
        self._callbacks: dict[CallbackKey, Callback] = {}
        self._runs: Counter[PluginKey] = Counter()

    @property
    def keys(self) -> Collection[PluginKey]:
        """All of them."""
        return self._loaded_plugins.keys()

    @property
    def callbacks(self) -> Mapping[CallbackKey, Callback]:
        """Those of all that are described."""
        return self._callbacks

    @property
    def loading(self) -> PluginFile | None:
        """The one being loaded now; None once all are described."""
        return next((one.file for one in self._loaded_plugins.values() if one.manifest is None), None)

    @property
    def broken(self) -> bool:
        """None of them is of use."""
        return all(one.manifest is not None and one.manifest.problem is not None for one in self._loaded_plugins.values())

    @property
    def passing(self) -> bool:
        """The trouble of one of them is of the sort that goes away by itself."""
        return any(one.manifest is not None and one.manifest.passing for one in self._loaded_plugins.values())

    def wants_toolkit(self, run: Run) -> bool:
        """Whether the run is for a project's session: all of a lane's deliveries are, or none."""
        callback = self._callbacks.get(run.deliveries[0].callback)
        return callback is not None and callback.toolkit

    def add(self, file: PluginFile) -> None:
        """Note that it was sent to be loaded."""
        self._loaded_plugins[file.key] = _LoadedPlugin(file)

    def take(self, message: Mapping[str, Any]) -> Manifest:
        """Take in what the worker said of one of them. Raises ProtocolError when it can't be told of which."""
        guest = self._loaded_plugins.get(PluginKey(self._setup.site, message["plugin"]))
        if guest is None:
            raise ProtocolError(f"it described {message['plugin']!r}, which it was not given")
        guest.manifest = worker_messages.manifest(message, self._setup, guest.file)
        guest.slots = message["slots"] if checks.is_whole(message.get("slots"), 1, MOST_SLOTS) else 1
        self._callbacks.update((callback.key, callback) for callback in guest.manifest.callbacks)
        return guest.manifest

    def described(self, key: PluginKey) -> bool:
        """Whether it is loaded, or can't be."""
        guest = self._loaded_plugins.get(key)
        return guest is not None and guest.manifest is not None

    def problem(self, key: PluginKey) -> str:
        """Why it can't be called; empty if it can."""
        guest = self._loaded_plugins.get(key)
        return (guest.manifest.problem or "") if guest is not None and guest.manifest is not None else ""

    def runs(self, key: PluginKey) -> int:
        """How many runs it has."""
        return self._runs[key]

    def ready(self, key: PluginKey) -> bool:
        """Whether it is described and can be called."""
        guest = self._loaded_plugins.get(key)
        return guest is not None and guest.manifest is not None and guest.manifest.problem is None

    def free(self, key: PluginKey, ahead: int) -> int:
        """How many more runs it takes; ``ahead`` of them wait, so that the worker does not wait for the daemon."""
        return self._loaded_plugins[key].slots + ahead - self._runs[key] if self.ready(key) else 0

    def given(self, key: PluginKey) -> None:
        """It was given a run."""
        self._runs[key] += 1

    def ended(self, key: PluginKey) -> None:
        """One of its runs ended."""
        self._runs[key] -= 1


def on_main_thread(loaded_plugins: LoadedPlugins, key: PluginKey) -> bool:
    """Whether the plugin's runs are executed by the thread that also loads plugins, so that these wait for each other."""
    return loaded_plugins._loaded_plugins[key].slots == 1  # noqa: SLF001 - of this module


def passes(plugins: LoadedPlugins, key: PluginKey) -> bool:
    """Whether the plugin can't be called now, for a reason that goes away by itself."""
    manifest = plugins._loaded_plugins[key].manifest  # noqa: SLF001 - of this module
    return manifest is not None and manifest.passing


def imported(plugins: LoadedPlugins, message: Mapping[str, Any]) -> PluginImports:
    """Take in what one of them has imported. Raises ProtocolError when it can't be told which."""
    for key, one in plugins._loaded_plugins.items():  # noqa: SLF001 - of this module
        if key.name == message["plugin"]:
            return worker_messages.imports(message, one.file)
    raise ProtocolError(f"it told of {message['plugin']!r}, which it was not given")
