"""What operators do to deliveries, plugins and sessions, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from callsheet.domain.delivery import DeliveryQuery
from callsheet.domain.reading import Fingerprint


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
    END = "end"  # it ends that session at once, in the middle of what it runs
    RELOAD = "reload"  # it loads a plugin anew, whether its file has changed or not; without a plugin: all
    RESET = "reset"  # the reading of a site goes on elsewhere: its event log is another one, or it has another address
    FORGET = "forget"  # a plugin that is gone: its place in the log, its holds and what waits for it; its history stays


@dataclass(frozen=True, slots=True)
class Reset:
    """How the reading of a site goes on: of the log at ``address``, behind ``cursor``, where ``recent`` are its last events.

    ``cursor`` None: the log is the one that was read before, and nothing but its address has changed. Else all plugins stand at the
    cursor, and nothing is waited for or replayed any more; what is still open of the old log is run first.
    """

    address: str
    cursor: int | None = None
    recent: tuple[Fingerprint, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator's command, recorded with who, when and why. ``ranges``: which events to replay, see domain.delivery.Replay.

    ``to_newest``: of a SKIP, the site's newest event: the plugin goes on behind it, and all that waits for it is skipped.
    ``absent``: of a FORGET while no daemon runs to notice it: the plugin's file is not there.
    """

    verb: Verb
    who: str
    why: str = ""
    query: DeliveryQuery = field(default_factory=DeliveryQuery)
    ranges: tuple[tuple[int, int], ...] = ()
    reset: Reset | None = None
    to_newest: int | None = None
    absent: bool = False


@dataclass(frozen=True, slots=True)
class DaemonCommand:
    """What a running daemon is to do: WARM, RETIRE or END the Toolkit session of a ``project``, or RELOAD a ``plugin``.

    ``project``: its id or name. ``site`` None: that plugin of every site; ``plugin`` None: all.
    """

    verb: Verb
    site: str | None
    project: int | str | None = None
    plugin: str | None = None


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
