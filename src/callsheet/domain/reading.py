"""Where the reading of a site stands: cursor, positions, gaps and replays; and what one page changes of it, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import NewDelivery


@dataclass(frozen=True, slots=True)
class Gap:
    """Ids from ``first`` to ``last`` (both included) not seen yet, waited for until the site's clock says ``until``.

    The site's clock counts only time in which the site answered. ``plugin``: a gap of that plugin alone (imported from an id file);
    None: of every plugin that has passed it.
    """

    first: int
    last: int
    until: float
    plugin: str | None = None


class Fingerprint(NamedTuple):
    """What tells an event from another one of the same id: its type, and when it was made, both as the site writes them."""

    id: int
    event_type: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Replay:
    """Events that are delivered again to one plugin (``callback``: to that one alone), read from the site by their ids.

    ``ranges``: ids, both ends included, ascending and apart. ``position``: the last id read for it. ``events`` and ``deliveries``
    count what came of it so far; ``ended_at``: then all was read.
    """

    id: int
    plugin: PluginKey
    callback: str | None
    ranges: tuple[tuple[int, int], ...]
    position: int = 0
    events: int = 0
    deliveries: int = 0
    who: str = ""
    why: str = ""
    since: float = 0.0
    ended_at: float | None = None


class Absence(NamedTuple):
    """A plugin's file was gone ``since`` then (epoch seconds). ``newest``: the site's newest event at that moment; None: not known,
    since the site was not being read.
    """

    since: float
    newest: int | None


class ExpiredGap(NamedTuple):
    """Ids from ``first`` to ``last`` that did not show while they were waited for, until ``at``."""

    first: int
    last: int
    at: float


@dataclass(frozen=True, slots=True)
class SiteState:
    """Where the reading of a site stands. ``cursor`` None: never read.

    ``positions``: plugin name → last id routed to it, for plugins that stand apart from the cursor; None for those at it.
    ``waiting``: plugin name → how many open deliveries it has. ``replays``: those that have not ended. ``holds``: plugin name → the
    lanes of it that an operator holds; None among them: all. ``returned``: plugins whose file was gone and is there again, of which
    nobody has checked yet how far they are behind. ``undecided``: those that are held for that.

    ``address``: of the site whose log was read (policy.log_identity). ``recent``: the last events read, in order. ``empty_at``: at
    that time, of the first start, the log was empty; older events are not delivered. ``log_epoch``: how many other event logs were
    read under this name before. ``pruned_to``: the newest event of which a delivery was forgotten with its history.
    ``expired``: ids that did not show while they were waited for, where these were asked for.
    """

    site: str
    cursor: int | None = None
    clock: float = 0.0
    gaps: tuple[Gap, ...] = ()
    positions: Mapping[str, int | None] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    replays: tuple[Replay, ...] = ()
    holds: Mapping[str, frozenset[str | None]] = field(default_factory=dict)
    returned: Mapping[str, Absence] = field(default_factory=dict)
    undecided: frozenset[str] = frozenset()
    address: str | None = None
    recent: tuple[Fingerprint, ...] = ()
    empty_at: float | None = None
    log_epoch: int = 0
    pruned_to: int | None = None
    expired: tuple[ExpiredGap, ...] = ()


@dataclass(frozen=True, slots=True)
class Intake:
    """All that one page of events changes, recorded in one transaction. Fields that are None stay as they are.

    ``expected``: where plugins stood for which the page was read; one that an operator has moved since gets nothing of it.
    ``replay``: the deliveries are made again for it, and this is how it stands after the page. ``checked``: plugins that returned
    and are not too far behind, or held for that by now. ``log_epoch``: of the log that was read; nothing is recorded if an operator
    has set the site to another one since. ``empty_at`` belongs to the cursor beside it. ``own``: plugin name → how many deliveries
    were not made, since the plugin itself caused the event. ``expired``: ranges of ids, both ends included, that are not waited for
    any more.
    """

    site: str
    deliveries: tuple[NewDelivery, ...] = ()
    cursor: int | None = None
    clock: float | None = None
    gaps: tuple[Gap, ...] | None = None
    positions: Mapping[str, int | None] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)
    replay: Replay | None = None
    checked: tuple[str, ...] = ()
    address: str | None = None
    recent: tuple[Fingerprint, ...] | None = None
    empty_at: float | None = None
    log_epoch: int | None = None
    own: Mapping[str, int] = field(default_factory=dict)
    expired: tuple[tuple[int, int], ...] = ()
