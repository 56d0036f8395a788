"""A place for workers, one after another: whose plugins they host, when the next is to be started, what was last said of them."""

from __future__ import annotations

import time
from dataclasses import replace
from math import inf

from callsheet.executors.quarantine import Quarantine
from callsheet.executors.worker import Worker
from callsheet.model import Manifest, PluginFile, PluginKey

LONGEST_WAIT = 60.0
"""Seconds between two starts of a worker that never lasts."""

DEATHS_AT_ONCE = {"loading": 1, "working": 4}
"""How many times in a row a worker may die before the next one has to wait: while it loads its plugins, which the next will do in
the same way; or at a delivery, which the retry policy gives up after a few times."""


class Seat:
    """Where the workers of one plugin sit, or of several that share them, until the last plugin is unloaded."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[PluginKey, PluginFile] = {}
        self.worker: Worker | None = None
        self.start_at = inf
        """The monotonic time at which a worker is to be started; inf: none is needed."""
        self.quarantine = Quarantine()
        self.busy = 0.0
        """Seconds that its plugins have worked."""
        self.losses = 0
        """How many workers were lost here."""
        self.vacant_since = time.time()
        self.in_vain = 0
        """How many workers in a row died without having brought a delivery to its end."""
        self.problem = ""
        """How the last one died; empty once one has done some work."""
        self._told: dict[PluginKey, Manifest] = {}

    def seated(self, worker: Worker) -> None:
        """Note that ``worker`` was started."""
        self.worker = worker
        self.start_at = inf

    def leave(self, key: PluginKey) -> None:
        """The plugin is no member any more."""
        self.members.pop(key, None)
        self._told.pop(key, None)

    def news(self, manifest: Manifest) -> bool:
        """Whether the manifest says something new; what was told is not told again after a crash."""
        told = replace(manifest, pid=0)
        if told == self._told.get(manifest.plugin):
            return False
        self._told[manifest.plugin] = told
        return True

    def worked(self, seconds: float) -> None:
        """A delivery came to its end by itself, after so many seconds."""
        self.busy += seconds
        self.in_vain, self.problem = 0, ""

    def start_again(self, now: float, *, how: str = "", loading: bool = False) -> float:
        """Have the next worker started, ever later the longer none does any work; ``how`` the last one was lost, if it was.

        Returns the seconds until then.
        """
        self.in_vain += 1
        self.problem = how
        self.losses += bool(how)
        self.vacant_since = time.time()
        over = self.in_vain - DEATHS_AT_ONCE["loading" if loading else "working"]
        pause = 0.0 if over <= 0 else min(2.0 ** (over - 1), LONGEST_WAIT)
        self.start_at = now + pause
        return pause
