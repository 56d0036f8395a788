"""A place for workers, one after another: whose plugins they host, when the next is to be started, what was last said of them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from math import inf

from callsheet.domain.callback import PluginKey
from callsheet.domain.plugin import Manifest, PluginFile
from callsheet.workers.suspects import SuspectRuns
from callsheet.workers.worker import Worker

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
"""Seconds between two starts of a worker that never lasts: twice as many each time."""

DEATHS_AT_ONCE = {"loading": 1, "working": 4}
"""How many workers in a row a plugin may take down before the next one has to wait: while it is loaded, which the next will do in
the same way; or at a delivery, which the retry policy gives up after a few times."""


class CrashBackoff:
    """How many workers of one place died in a row, by whose fault, and so how many seconds the next one has to wait."""

    def __init__(self) -> None:
        self._deaths: Counter[PluginKey | None] = Counter()
        """How many workers were lost by each plugin since it brought a delivery to its end; None: while nobody was to blame."""
        self._unloaded = 0
        """How many workers in a row had trouble with getting ready."""

    def died(self, guilty: PluginKey | None) -> float:
        """One died while it worked, by the fault of a plugin if that is known. Returns the pause."""
        self._deaths[guilty] += 1
        return _pause(self._deaths[guilty] - DEATHS_AT_ONCE["working"])

    def not_ready(self) -> float:
        """One could not load its plugins, or open its Toolkit, or died of that. Returns the pause."""
        self._unloaded += 1
        return _pause(self._unloaded - DEATHS_AT_ONCE["loading"])

    def ready(self) -> None:
        """One is ready to work, or broken for good."""
        self._unloaded = 0

    def worked(self, key: PluginKey) -> None:
        """The plugin brought work to its end, which clears no other of those that share its workers."""
        if self._deaths:
            self._deaths.pop(key, None)
            self._deaths.pop(None, None)

    def forget(self, key: PluginKey) -> None:
        """The plugin is gone, or another file."""
        self._deaths.pop(key, None)
        self._unloaded = 0

    def is_too_much(self, guilty: PluginKey | None) -> bool:
        """Whether the plugin took down more workers than may die without a pause."""
        return self._deaths[guilty] > DEATHS_AT_ONCE["working"]

    def split(self, key: PluginKey) -> CrashBackoff:
        """What is counted against one plugin, for a place of its own; here it stays until that is gone from it."""
        other = CrashBackoff()
        other._deaths[key], other._unloaded = self._deaths[key], self._unloaded
        return other

    @property
    def in_vain(self) -> int:
        """The most workers in a row that died, or were of no use, by one cause; 0 once all have worked again."""
        return max(self._unloaded, *self._deaths.values(), 0)


class WorkerSlot:
    """Where the workers of one plugin sit, or of several that share them, until the last plugin is unloaded."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[PluginKey, PluginFile] = {}
        self.worker: Worker | None = None
        self.start_at = inf
        """The monotonic time at which a worker is to be started; inf: none is needed."""
        self.quarantine = SuspectRuns()
        self.busy = 0.0
        """Seconds that its plugins have worked."""
        self.losses = 0
        """How many workers were lost here."""
        self.vacant_since = time.time()
        self.problem = ""
        """How the last one died; empty once the plugin to blame has done some work."""
        self.backoff = CrashBackoff()
        self._told: dict[PluginKey, Manifest] = {}

    def seated(self, worker: Worker) -> None:
        """Note that ``worker`` was started."""
        self.worker = worker
        self.start_at = inf

    def leave(self, key: PluginKey) -> None:
        """The plugin is no member any more. What it did is forgotten: should it come back, then as another file."""
        self.members.pop(key, None)
        self._told.pop(key, None)
        self.backoff.forget(key)
        self.problem = self.problem if self.backoff.in_vain else ""

    def news(self, manifest: Manifest) -> bool:
        """Whether the manifest says something new; what was told is not told again after a crash."""
        told = replace(manifest, pid=0)
        if told == self._told.get(manifest.plugin):
            return False
        self._told[manifest.plugin] = told
        return True

    def worked(self, key: PluginKey, seconds: float) -> None:
        """A delivery of the plugin came to its end by itself after so many seconds, which clears no other of the slot."""
        self.busy += seconds
        if self.problem:
            self.backoff.worked(key)
            self.problem = self.problem if self.backoff.in_vain else ""

    def lost(self, now: float, how: str, guilty: PluginKey | None, *, loading: bool, late: bool = False) -> bool:
        """Note that the worker died, and have the next one started: ever later, unless it was ``late`` and killed for that: then
        the retry policy says when to go on. Returns whether ``guilty`` has to go, if it shares the worker.
        """
        self.problem = how
        self.losses += 1
        self.vacant_since = time.time()
        if loading:
            self.try_again(now)
            return True
        pause = self.backoff.died(guilty)
        self.start_at = now + (0.0 if late else pause)
        return self.backoff.is_too_much(guilty)

    def try_again(self, now: float) -> None:
        """Have another worker started, since one could not load its plugins: ever later."""
        self.start_at = now + self.backoff.not_ready()

    def split(self, key: PluginKey) -> WorkerSlot:
        """A slot that the plugin ``key`` is to have for itself, with all the blame; those left behind start at once."""
        other = WorkerSlot(key.name)
        other.problem, other.start_at, other.vacant_since = self.problem, self.start_at, self.vacant_since
        other.backoff = self.backoff.split(key)
        other.losses = max(1, other.backoff.in_vain)
        self.losses -= other.losses
        self.problem, self.start_at = "", time.monotonic()
        return other


def _pause(over: int) -> float:
    """Seconds to wait where ``over`` more workers died than may at once."""
    return 0.0 if over <= 0 else min(FIRST_WAIT * 2.0 ** (over - 1), LONGEST_WAIT)
