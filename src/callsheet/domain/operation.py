"""What operators do to deliveries, plugins and sessions, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from callsheet.domain.delivery import DeliveryQuery


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
    """An operator's command, recorded with who, when and why. ``ranges``: which events to replay, see domain.delivery.Replay."""

    verb: Verb
    who: str
    why: str = ""
    query: DeliveryQuery = field(default_factory=DeliveryQuery)
    ranges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SessionCommand:
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
