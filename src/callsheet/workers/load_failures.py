"""What is said of a plugin whose worker can't say it: it died while loading, or can't be started at all."""

from __future__ import annotations

from callsheet.domain.plugin import Manifest, PluginFile
from callsheet.runtimes.worker_config import WorkerConfig


def died_loading(plugin: PluginFile, how: str) -> Manifest:
    """The manifest of a plugin that takes its worker down at import."""
    return _broken(
        plugin,
        "import",
        f"Could not load the plugin at {plugin.path}.\n\nThe worker died while loading it: {how}. Import the file by hand to see "
        "what it does at import and in registerCallbacks. It is tried again by itself now and then, and when the file changes.",
    )


def can_not_start(plugin: PluginFile, setup: WorkerConfig, error: OSError) -> Manifest:
    """The manifest of a plugin for which no process can be made."""
    python = setup.python or "the daemon's own Python"
    return _broken(
        plugin,
        "describe",
        f"No worker can be started for the plugin at {plugin.path} with {python}: {error}. Fix the interpreter's path in "
        "the configuration, or the machine's limits; it is tried again by itself.",
    )


def not_understood(plugin: PluginFile, why: str) -> Manifest:
    """The manifest of a plugin of which its worker said something that can't be."""
    return _broken(
        plugin,
        "describe",
        f"The worker of the plugin at {plugin.path} described it in a way that Callsheet does not understand.\n\n{why}. Look at "
        "what it registers; it is loaded again when the file changes.",
    )


def _broken(plugin: PluginFile, where: str, problem: str) -> Manifest:
    return Manifest(plugin.key, plugin.generation, problem=problem, where=where, level="ERROR", logger=f"plugin.{plugin.key.name}")
