"""What operators see of the ledger and do to it, as values. No behaviour, as in `model`.

Times are seconds since the epoch (float).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from callsheet.model import Callback, Failure, PluginKey, PluginState, State
from callsheet.places import Replay, SiteState


@dataclass(frozen=True, slots=True)
class Hold:
    """A plugin, or one ``lane`` of it, that stands still on purpose until an operator releases it."""

    lane: str | None
    since: float
    who: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """A plugin as the ledger knows it. ``waiting`` counts its open deliveries; ``callbacks`` as last described.

    ``held`` counts deliveries at which a lane stands still since they failed; ``holds`` are operators'.
    """

    key: PluginKey
    path: str
    ordinal: int
    state: PluginState
    mtime: float
    position: int | None
    waiting: int
    held: int
    problem: str = ""
    callbacks: tuple[Callback, ...] = ()
    updated_at: float = 0.0
    holds: tuple[Hold, ...] = ()

    @property
    def hold(self) -> Hold | None:
        """That of the whole plugin, where there is one."""
        return next((one for one in self.holds if one.lane is None), None)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that failed, and what was decided then. ``number`` counts from 1, anew after a retry by an operator."""

    number: int
    started: float
    ended: float
    state: State
    failure: Failure


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as operators see it. ``history``: its failed attempts, the first one first, where they were asked for."""

    id: int
    site: str
    plugin: str
    callback: str
    event_id: int
    event_type: str
    lane: str
    state: State
    attempts: int
    recorded_at: float
    started_at: float | None
    finished_at: float | None
    due: float | None
    failure: Failure | None = None
    history: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which deliveries to list; all given conditions hold at once.

    ``events``: first and last id. ``entity``: type and id (model.subject_of). ``project``: its id or name. ``error``: the kind of
    the last failure, with or without its module. ``since``: recorded or ended since; ``before``: recorded before. ``failures``:
    with traceback and locals, and all failed attempts.
    """

    states: tuple[State, ...] = ()
    site: str | None = None
    plugin: str | None = None
    callback: str | None = None
    lane: str | None = None
    event_id: int | None = None
    events: tuple[int, int] | None = None
    event_type: str | None = None
    entity: tuple[str, int] | None = None
    project: int | str | None = None
    error: str | None = None
    ids: tuple[int, ...] = ()
    since: float | None = None
    before: float | None = None
    limit: int = 100
    failures: bool = False


class Verb(StrEnum):
    """What an operator may do."""

    RETRY = "retry"  # dead, held, retrying or skipped → waiting, now, with no attempts behind it
    SKIP = "skip"  # open or dead → skipped: given up on purpose, and no trouble any more
    HOLD = "hold"  # a plugin, or a lane of it, stands still: what runs finishes, nothing more is handed out
    RELEASE = "release"  # it goes on, whoever held it: an operator, or a failure
    REPLAY = "replay"  # events are read from the site again and delivered to a plugin, again or after all
    STOP = "stop"  # replays (``ids`` of the query are theirs) read no further; what they have made waiting stays
    WARM = "warm"  # the daemon opens the Toolkit session of the query's project ahead of time
    RETIRE = "retire"  # it ends that session, after what it runs


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator's command, recorded with who, when and why. ``ranges``: which events to replay, see model.Replay."""

    verb: Verb
    who: str
    why: str = ""
    query: DeliveryQuery = field(default_factory=DeliveryQuery)
    ranges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """What an operation changed: the ``ids`` of deliveries in ascending order, and the ``first`` of them as they were then."""

    ids: tuple[int, ...] = ()
    first: tuple[DeliveryRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a running daemon is to do with a project's Toolkit session: WARM or RETIRE. ``project``: its id or name."""

    verb: Verb
    site: str
    project: int | str


@dataclass(frozen=True, slots=True)
class OperationRow:
    """An operation on record. ``asked``: what it was about, in words. ``changed``: how many deliveries and holds."""

    id: int
    at: float
    verb: Verb
    who: str
    why: str
    asked: str
    changed: int


@dataclass(frozen=True, slots=True)
class SiteHealth:
    """What `status` shows of a site. ``error`` is None while it answers."""

    site: str
    url: str
    newest: int | None
    answered_at: float | None
    error: str | None = None
    error_since: float | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Written by a running daemon about once a second; old means that it hangs or died. ``stopped_at``: it ended in order, then."""

    pid: int
    started_at: float
    at: float
    version: str
    config: str
    stopped_at: float | None = None


BACKING_OFF = "backing off"
"""The state of a WorkerRow that was lost again and again and is started anew only at ``retry_at``."""


STUCK = "stuck"
"""The state of a WorkerRow that was killed, does not end, and was given up: it sleeps in the kernel."""


FAILED = "failed"
"""The state of a WorkerRow of a project whose Toolkit could not be had."""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is known of a project's Toolkit: the project's name, the ``kind`` of configuration and what that is called, the core's
    version, the Python. Empty where that was not found out yet. ``cure``: what to do about the row's problem.
    """

    project: str = ""
    kind: str = ""
    configuration: str = ""
    version: str = ""
    python: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as operators see it. ``state``: ``starting``, ``idle``, ``busy``, ``stopping``, ``backing off``, ``stuck``;
    ``since`` then.

    ``plugins``: the names of those in it, of that site. ``project``: whose Toolkit it has; such a session can also be ``waiting``
    for its place, or ``failed``, both without a process; ``toolkit`` says more of it. ``memory``: bytes resident. ``calls``:
    deliveries that came to an end in it. ``restarts``: how often it was started again after it was lost. ``problem``: why it was
    lost last; ``retry_at``: when it is started again. ``call``: what it has been calling for longer than a moment, since
    ``called_at``.
    """

    site: str
    plugins: tuple[str, ...]
    project: int | None = None
    pid: int | None = None
    state: str = "starting"
    since: float = 0.0
    memory: int | None = None
    calls: int = 0
    restarts: int = 0
    problem: str = ""
    retry_at: float | None = None
    call: str = ""
    called_at: float | None = None
    toolkit: SessionFacts | None = None


@dataclass(frozen=True, slots=True)
class Failing:
    """A plugin of which deliveries are dead or held: how many, and why the last one failed."""

    key: PluginKey
    dead: int
    held: int
    last: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole of `status`, read in one transaction. ``states``: how many deliveries stand in each state.

    ``crew`` is what the daemon last said of its workers: of a daemon that does not run any more, it says nothing of now.
    ``replays``: those that go on, and some that ended. ``operations``: as many of the last ones as were asked for, newest first.
    """

    heartbeat: Heartbeat | None
    health: tuple[SiteHealth, ...]
    sites: tuple[SiteState, ...]
    plugins: tuple[PluginRecord, ...]
    states: Mapping[State, int]
    oldest_waiting: float | None
    crew: tuple[WorkerRow, ...] = ()
    replays: tuple[Replay, ...] = ()
    operations: tuple[OperationRow, ...] = ()
    failing: tuple[Failing, ...] = ()
