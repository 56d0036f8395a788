"""A plugin's place in the executor: its present worker, when the next is to be started, and what was last said of the plugin."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from callsheet.executors.worker import Worker
from callsheet.model import Manifest, PluginFile

LONGEST_WAIT = 60.0
"""Seconds between two starts of a worker that never lasts."""


class Seat:
    """Where a plugin's workers sit, one after another, until the plugin is loaded anew or unloaded."""

    def __init__(self, plugin: PluginFile) -> None:
        self.plugin = plugin
        self.worker: Worker | None = None
        self.start_at = 0.0
        """The monotonic time at which a worker is to be started; inf: none is needed."""
        self._in_vain = 0
        self._told: Manifest | None = None

    def seated(self, worker: Worker) -> None:
        """Note that ``worker`` was started."""
        self.worker = worker
        self.start_at = inf

    def news(self, manifest: Manifest) -> bool:
        """Whether the manifest says something new; what was told is not told again after a crash."""
        told = replace(manifest, pid=0)
        if told == self._told:
            return False
        self._told = told
        return True

    def start_again(self, now: float, *, fruitful: bool) -> None:
        """Have the next worker started: at once if the last one did some work, and ever later the longer none does."""
        self._in_vain = 0 if fruitful else self._in_vain + 1
        self.start_at = now if self._in_vain <= 1 else now + min(2.0 ** (self._in_vain - 2), LONGEST_WAIT)
