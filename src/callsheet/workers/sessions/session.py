"""One project's session: its worker, when there is one, and what waits for it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Run
from callsheet.domain.plugin import PluginFile
from callsheet.errors import ToolkitError
from callsheet.runtimes.session_spec import UPGRADE, SessionSpec
from callsheet.workers.exits import WorkerExit, too_large
from callsheet.workers.sessions.session_calls import Call, LostCalls
from callsheet.workers.slot import CrashBackoff
from callsheet.workers.worker import Worker

LOOK_AGAIN = 1.0
"""Seconds for which a session is taken to be up to date after a look at what it is made of."""

GRUDGE = 2.0
"""Seconds for which a project that could not be opened is not tried again: what comes for it meanwhile fails in the same way."""

ENDING = "The daemon ends, and opens no session any more."

AHEAD = 64
"""Runs of a plugin that wait for sessions or are in them. More would only be taken from the ledger to wait here."""

LARGEST = 2**63
"""Ids of projects are below it, as the ledger has them."""


class SessionKey(NamedTuple):
    """Whose session: of a site's project, by id."""

    site: str
    project: int


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """A run that waits for its session, and the plugin that it is of."""

    plugin: PluginFile
    run: Run


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """``most``: sessions at once. ``idle``: seconds after which one that has nothing to do ends. ``memory``: bytes past which one
    is replaced.
    """

    most: int = 8
    idle: float = 1800.0
    memory: int | None = None


class Session:
    """A place for one project's workers, one after another. ``Sessions`` sets its fields; it only knows what they mean together."""

    def __init__(self, key: SessionKey) -> None:
        self.key = key
        self.name = f"project {key.project}"
        self.worker: Worker | None = None
        self.opening: SessionSpec | None = None
        self.searching = False
        """Somebody finds out what it is to be started from, or whether that has changed."""
        self.searching_since = 0.0
        """Since when (epoch)."""
        self.looked_at = 0.0
        """The monotonic time at which it was last known to be up to date."""
        self.due = False
        """A worker is to be started, by the thread that may."""
        self.warm = False
        """It is wanted although nothing waits."""
        self.waiting: deque[QueuedRun | Call] = deque()
        self.used_at = time.monotonic()
        self.serving_since = 0.0
        self.trouble: ToolkitError | None = None
        """Why it can't be had; None once it could."""
        self.troubled_at = 0.0
        self.was_open = False
        """It was open once, in the life of this daemon."""
        self.failing_since: float | None = None
        self.calls = 0
        self.backoff = CrashBackoff()
        self.start_at = -inf
        """The monotonic time before which no worker is started: those before it died too often."""
        self.resting: dict[PluginKey, float] = {}
        """The monotonic time before which nothing of a plugin is begun, which took too many workers down."""
        self.losses = 0
        self.problem = ""
        """How the last worker died; empty once the plugin to blame has done some work."""
        self.since = time.time()

    @property
    def called(self) -> tuple[int | str, ...]:
        """What the project can be called: its id, and its names, once they are known."""
        project = None if self.opening is None else self.opening.project
        return (self.key.project,) if project is None else (project.id, project.name, project.folder)

    @property
    def live(self) -> bool:
        """It has a worker, or is about to."""
        return self.worker is not None or self.due or self.searching

    @property
    def open(self) -> bool:
        """Its worker has the Toolkit, and takes what comes."""
        return self.worker is not None and self.worker.opened is not None and not self.worker.leaving

    @property
    def idle(self) -> bool:
        """Its worker is open and has nothing to do."""
        wanted = bool(self.waiting) and self.wanted_at() <= time.monotonic()
        return self.open and not self.searching and not wanted and self.worker is not None and not self.worker.occupied

    def fails(self, trouble: ToolkitError) -> None:
        """It can't be had now. One that could be had before may well be in the middle of an upgrade: that is tried again."""
        self.trouble, self.troubled_at = trouble, time.monotonic()
        self.failing_since = self.troubled_at if self.failing_since is None else self.failing_since
        if self.was_open and self.troubled_at - self.failing_since < UPGRADE:
            trouble.passing = True

    def opens(self) -> None:
        """Its worker has the Toolkit."""
        self.trouble, self.failing_since, self.was_open = None, None, True
        self.backoff.ready()
        self.serving_since = time.monotonic()

    def lost(self, worker: Worker, loss: WorkerExit, called: LostCalls) -> float:
        """Its worker died, with these calls. Returns the pause that follows, by the rules for all workers: before the next start,
        or where a plugin is to blame, before that has anything to do with it.
        """
        caller, late = called.plugin, called.late
        self.losses += 1
        self.problem = loss.how or ""
        guilty = caller or (loss.loading.key if loss.loading is not None else loss.culprit)
        pause = self.backoff.not_ready() if worker.opened is None else self.backoff.died(guilty)
        pause = 0.0 if late or loss.late else pause
        if worker.opened is None or guilty is None:
            self.start_at = time.monotonic() + pause
        else:
            self.resting[guilty] = time.monotonic() + pause
        return pause

    def forgive(self, plugin: PluginKey | None = None) -> None:
        """What was wrong is fixed: of a plugin, or (None) of all."""
        for key in self.resting.keys() if plugin is None else {plugin}:
            self.backoff.forget(key)
        self.resting = {} if plugin is None else {key: at for key, at in self.resting.items() if key != plugin}
        self.start_at, self.troubled_at = -inf, -inf if plugin is None else self.troubled_at

    def wanted_at(self) -> float:
        """The monotonic time from which something that waits for it may be served; inf while nothing waits."""
        times = [self.resting.get(one.plugin.key, -inf) for one in self.waiting]
        return max(self.start_at, min(times, default=-inf if self.warm else inf))

    def worked(self, *plugins: PluginKey) -> None:
        """These brought deliveries or calls to their end."""
        for key in plugins if self.problem else ():
            self.backoff.worked(key)
            self.resting.pop(key, None)
            self.problem = self.problem if self.backoff.in_vain else ""

    def hosts(self, key: PluginKey) -> bool:
        """Whether its worker has loaded the plugin."""
        return self.worker is not None and key in self.worker.loaded_plugins.keys

    def held(self, key: PluginKey) -> int:
        """How many runs of the plugin wait for it or are in it."""
        waiting = sum(1 for one in self.waiting if isinstance(one, QueuedRun) and one.plugin.key == key)
        return waiting + (self.worker.loaded_plugins.runs(key) if self.worker is not None else 0)

    def take_back(self, wanted: Callable[[Run], bool]) -> list[Run]:
        """Take the runs out that wait and are wanted back."""
        found = [one for one in self.waiting if isinstance(one, QueuedRun) and wanted(one.run)]
        for one in found:
            self.waiting.remove(one)
        return [one.run for one in found]

    def ready(self) -> Iterator[QueuedRun | Call]:
        """Takes what waits and can be given to the worker now; has plugins loaded for what can't be yet."""
        worker = self.worker
        assert worker is not None
        still: deque[QueuedRun | Call] = deque()
        while self.waiting:
            one = self.waiting.popleft()
            key = one.plugin.key
            if self.resting.get(key, -inf) > time.monotonic():
                still.append(one)
                continue
            if key not in worker.loaded_plugins.keys:
                worker.load(one.plugin)
            if worker.loaded_plugins.described(key):
                yield one
            else:
                still.append(one)
        self.waiting = still

    def outlived(self, limits: SessionLimits, now: float) -> str | None:
        """Why it should end though nobody needs its place; None if it may stay. One that fills the machine's memory is killed."""
        if self.worker is not None and limits.memory is not None and self.worker.memory.far_past(limits.memory):
            self.worker.kill(too_large(self.worker.heads(), self.worker.memory.size or 0, limits.memory))
        if not self.open or self.worker is None:
            return None
        if limits.memory is not None and self.worker.calls > 0 and self.worker.memory.past(limits.memory):
            return f"it had grown past its memory limit of {limits.memory / 2**20:,.0f} MB"
        if self.idle and now - self.used_at > limits.idle:
            return f"it had nothing to do for {limits.idle:g} s"
        return None


def abandon(session: Session, caller: Worker) -> None:
    """Nobody waits for the calls of that worker any more."""
    session.waiting = deque(one for one in session.waiting if not isinstance(one, Call) or one.caller is not caller)


def search(session: Session) -> None:
    """Note that somebody begins to find out what the session is started from, or whether that is so still."""
    session.searching, session.searching_since = True, time.time()


def is_stale(session: Session) -> bool:
    """Whether what a session is made of is to be looked at before it goes on."""
    return time.monotonic() - session.looked_at > LOOK_AGAIN


def is_given_up(session: Session) -> bool:
    """Whether a session could not be had not long ago, so that it is not tried again yet."""
    return session.trouble is not None and time.monotonic() < max(session.troubled_at + GRUDGE, session.start_at)


def project_of(run: Run) -> int | None:
    """The id of the project that a run's events belong to, which is one, since its lane is within a project; None for none."""
    project = run.deliveries[0].event_value("project")
    number = project.get("id") if isinstance(project, dict) else None
    return number if type(number) is int and 0 < number < LARGEST else None
