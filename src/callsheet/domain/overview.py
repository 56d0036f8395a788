"""What `status` shows: the daemon, its sites, plugins, workers and failures, as values.

Times are seconds since the epoch (float).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from callsheet.domain.callback import CallbackKey, PluginKey
from callsheet.domain.delivery import DeliveryRow, State
from callsheet.domain.operation import OperationRow
from callsheet.domain.plugin import PluginRecord
from callsheet.domain.reading import Replay, SiteState


@dataclass(frozen=True, slots=True)
class Described:
    """What came of a plugin's manifest: how many deliveries were ``skipped``, by the name of the callback that is gone, and how
    many that were held are ``released``, since the file is another one than before.
    """

    skipped: Mapping[str, int] = field(default_factory=dict)
    released: int = 0


@dataclass(frozen=True, slots=True)
class Changed:
    """What an operation changed: the ``ids`` of deliveries in ascending order, and the ``first`` of them as they were then."""

    ids: tuple[int, ...] = ()
    first: tuple[DeliveryRow, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteHealth:
    """What `status` shows of a site. ``error`` is None while it answers.

    ``problem``: why it is not read all the same: its event log is another one than before. Nothing of it is delivered, either.
    ``patience``: seconds within which a running daemon asks it again, and has its answer.
    """

    site: str
    url: str
    newest: int | None
    answered_at: float | None
    error: str | None = None
    error_since: float | None = None
    problem: str | None = None
    patience: float = 60.0


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """A service of the running daemon, one thread with a loop of steps.

    ``busy_since``: when the step began that goes on, or last got on with its work; None between two steps. It hangs where that is
    more than ``limit`` seconds ago. ``error``: why its last step failed, the same since ``error_since``. ``ended``: its thread has
    ended, and it was not asked to.
    """

    name: str
    limit: float
    stepped_at: float | None = None
    busy_since: float | None = None
    error: str | None = None
    error_since: float | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """Something around the daemon that is not well, as it last said. ``kind`` is a key of ``diagnostics.CURES``; ``what`` is a
    sentence; ``place`` tells several of a kind apart.
    """

    kind: str
    what: str
    since: float
    site: str = ""
    plugin: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class LedgerOwner:
    """Whether a process holds the ledger's lock at this moment, which one, and since when; None where that is not known."""

    held: bool
    pid: int | None = None
    since: float | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """What is left on the disk of a folder, in bytes, for whoever is not root. ``files``: how many files can still be made on it,
    None where it doesn't count them.
    """

    folder: str
    free: int
    total: int
    files: int | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Written by a running daemon about once a second; old means that it hangs or died. ``stopped_at``: it ended in order, then.

    ``services`` and ``conditions`` are as of that beat. ``folders``: where it writes, beside the state folder.
    """

    pid: int
    started_at: float
    at: float
    version: str
    config: str
    stopped_at: float | None = None
    services: tuple[ServiceHealth, ...] = ()
    conditions: tuple[Condition, ...] = ()
    folders: tuple[str, ...] = ()


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
class FailureSummary:
    """A plugin of which deliveries are dead or held: how many, and why the last one failed."""

    key: PluginKey
    dead: int
    held: int
    last: str
    since: float | None = None


@dataclass(frozen=True, slots=True)
class FailingCallback:
    """A callback whose last ``calls`` in a row have failed, whatever became of the deliveries; and why the last one did."""

    key: CallbackKey
    calls: int
    since: float | None
    last: str


@dataclass(frozen=True, slots=True)
class WaitingSince:
    """A plugin with a delivery that could run, and has waited ``since`` then: nothing holds it, or is tried again before it."""

    key: PluginKey
    since: float


@dataclass(frozen=True, slots=True)
class UnansweredCalls:
    """A plugin whose calls the site does not answer: how many deliveries wait for that, the most tries of one, the last failure."""

    key: PluginKey
    deliveries: int
    tries: int
    last: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole of `status`, read in one transaction. ``states``: how many deliveries stand in each state.

    ``workers`` is what the daemon last said of its workers: of a daemon that does not run any more, it says nothing of now.
    ``replays``: those that go on, and some that ended. ``operations``: as many of the last ones as were asked for, newest first.
    ``owner``: who has the ledger now; None where that can't be told. ``disks``: of the state folder and the heartbeat's folders.
    """

    heartbeat: Heartbeat | None
    health: tuple[SiteHealth, ...]
    sites: tuple[SiteState, ...]
    plugins: tuple[PluginRecord, ...]
    states: Mapping[State, int]
    oldest_waiting: float | None
    workers: tuple[WorkerRow, ...] = ()
    replays: tuple[Replay, ...] = ()
    operations: tuple[OperationRow, ...] = ()
    failing: tuple[FailureSummary, ...] = ()
    unanswered: tuple[UnansweredCalls, ...] = ()
    always_failing: tuple[FailingCallback, ...] = ()
    late: tuple[WaitingSince, ...] = ()
    owner: LedgerOwner | None = None
    disks: tuple[DiskSpace, ...] = ()
