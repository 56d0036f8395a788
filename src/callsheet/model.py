"""The words of Callsheet as values. No behaviour beyond what a value knows about itself; no I/O, no clock.

Times are seconds since the epoch (float), durations are seconds, event times on the wire stay the strings that the site sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import Any, Literal, NamedTuple

from callsheet.filters import Filter, Links

GLOBAL = "global"
"""The lane of legacy callbacks where the site's order is global: the lanes of that key, one per plugin, take turns by event and
then by the plugins' order, as if they were one."""

SETTLING = "settle:"
"""How the keys of lanes begin in which a burst of events is folded into the last one."""

_encode = json.JSONEncoder(separators=(",", ":")).encode
_ENTITY_EVENT = re.compile(r"Shotgun_(\w+)_(?:New|Change|Retirement|Revival)").fullmatch


class PluginKey(NamedTuple):
    """A plugin's identity, the same after a restart."""

    site: str
    name: str

    def __str__(self) -> str:
        return f"{self.site}/{self.name}"


class CallbackKey(NamedTuple):
    """A callback's identity: ``name`` is the function's (an instance's class), plus ``#2``, ``#3``… among equals."""

    plugin: PluginKey
    name: str

    def __str__(self) -> str:
        return f"{self.plugin.name}.{self.name}"


@dataclass(frozen=True)
class Event:
    """One EventLogEntry as the site sent it: JSON types only, times as ``2026-11-22T03:40:10Z``."""

    site: str
    data: Mapping[str, Any]
    text: str | None = field(default=None, compare=False)
    """``data`` as the site wrote it, where that was kept."""

    @cached_property
    def id(self) -> int:
        """The event's id; grows with the log, though not always in the order of arrival."""
        return int(self.data["id"])

    @property
    def type(self) -> str:
        """The event type, such as ``Shotgun_Task_Change``."""
        return str(self.data["event_type"])

    @property
    def payload(self) -> str:
        """The event as JSON text: what the ledger keeps and the worker gets."""
        return self._encoded if self.text is None else self.text

    @cached_property
    def _encoded(self) -> str:
        return _encode(self.data)

    @property
    def meta(self) -> Mapping[str, Any]:
        """The event's ``meta`` as a mapping; a site may send it as JSON text, or not at all."""
        return meta_of(self.data)

    @property
    def subject(self) -> tuple[str, int | None] | None:
        """Type and id of the entity that the event is about; see ``subject_of``."""
        return subject_of(self.data)


def meta_of(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ``meta`` of an event's data as a mapping; empty where there is none, or none that can be read."""
    meta = data.get("meta")
    if type(meta) is dict:
        return meta
    if isinstance(meta, str):
        try:
            meta = json.loads(meta)
        except (ValueError, RecursionError):
            return {}
    return meta if isinstance(meta, Mapping) else {}


def subject_of(data: Mapping[str, Any]) -> tuple[str, int | None] | None:
    """Type and id of the entity that an event is about. The id is None where only the type is known; None where there is no entity.

    The ``entity`` link tells. It is null once the entity is retired, and then ``meta`` tells; except on the other side of a changed
    link (``actual_attribute_changed``), where sites have written the side that triggered the change into it: the ids there may be
    of another entity, and only the type is known, by the name of the event type.
    """
    link = data.get("entity")
    found = _typed_id(link.get("type"), link.get("id")) if isinstance(link, Mapping) else None
    if found is not None:
        return found
    meta = meta_of(data)
    if "actual_attribute_changed" not in meta:
        return _typed_id(meta.get("entity_type"), meta.get("entity_id"))
    named = _ENTITY_EVENT(str(data.get("event_type")))
    return (named[1], None) if named else None


def _typed_id(kind: Any, number: Any) -> tuple[str, int | None] | None:
    known = isinstance(kind, str) and isinstance(number, int) and not isinstance(number, bool)
    return (kind, number) if known else None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed delivery is tried again.

    ``attempts`` counts all tries, the first included. The n-th wait is ``min(first * factor ** (n - 1), longest)`` seconds,
    spread by ``jitter`` (0.2: 20 % either way). No further try once it is older than ``max_age`` seconds (None: no limit).
    ``crashes``: how many times a delivery may take its worker down before that counts as its failure for good.
    """

    attempts: int = 5
    first: float = 1.0
    factor: float = 4.0
    longest: float = 900.0
    jitter: float = 0.2
    max_age: float | None = None
    crashes: int = 3


OnDead = Literal["continue", "hold"]


@dataclass(frozen=True, slots=True)
class Callback:
    """One registered function, as its worker described it."""

    key: CallbackKey
    ordinal: int
    """Place in the plugin's registration order: the order of callbacks of one event within a lane."""
    filter: Filter
    lane: str = "entity"
    """``plugin``, ``project``, ``entity``, ``none``, or a path into the event: ``meta.entity_id`` (several joined by ``,``)."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    on_dead: OnDead = "continue"
    timeout: float | None = None
    slots: int = 1
    fields: tuple[str, ...] = ()
    where: bool = False
    toolkit: bool = False
    legacy: bool = False
    only: Mapping[str, Links] = field(default_factory=dict)
    """``project``, ``user``, ``entity`` → which of these it wants events of; one that is not named may be any."""
    ignore_own: bool = False
    """Events that its own plugin caused are not for it (policy.cascades)."""
    batch: int = 1
    """How many deliveries that follow one another in a lane it is called for at once."""
    settle: float = 0.0
    """Seconds for which a lane must be quiet before it is called, for the last event, which stands for all; 0: it is not so."""
    script: str = ""
    """Name of the script user that it writes as; empty: not known."""


class PluginState(StrEnum):
    """LOADING: its worker starts. READY: described, gets events. BROKEN: can't be described, keeps its place. GONE: no file."""

    LOADING = "loading"
    READY = "ready"
    BROKEN = "broken"
    GONE = "gone"


class Stamp(NamedTuple):
    """What tells a file from another one at the same path: when its text was written, as it says itself, and when it last changed
    in any way, in ns; its size in bytes, its inode, and where it lies once all links are followed.
    """

    mtime: int
    ctime: int
    size: int
    inode: int
    real: str


@dataclass(frozen=True, slots=True)
class PluginFile:
    """A plugin as found on disk. ``generation`` grows by one with each (re)load in this daemon's life."""

    key: PluginKey
    path: str
    ordinal: int
    mtime: float
    generation: int = 0
    stamp: Stamp | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a worker says of its plugin once it has registered it, or why it can't (``problem``, with ``where`` it went wrong)."""

    plugin: PluginKey
    generation: int
    callbacks: tuple[Callback, ...] = ()
    problem: str | None = None
    where: str = ""
    level: str = "ERROR"
    logger: str = ""
    pid: int = 0
    python: str = ""


class State(IntEnum):
    """States of a delivery. Those below DONE are open: they keep their place in their lane."""

    WAITING = 0
    RUNNING = 1
    RETRYING = 2
    HELD = 3
    DONE = 4
    DEAD = 5
    SKIPPED = 6

    @property
    def word(self) -> str:
        """The state as users see it."""
        return self.name.lower()


class NewDelivery(NamedTuple):
    """One event for one callback, before it is recorded. ``lane`` is the lane's key within the plugin."""

    callback: CallbackKey
    ordinal: int
    event: Event
    lane: str
    settle: float = 0.0
    """Seconds for which nothing may be added to the lane before it goes on."""


class Delivery(NamedTuple):
    """A recorded delivery, handed out to be run. ``attempts`` and ``crashes`` count those already behind it."""

    id: int
    callback: CallbackKey
    event_id: int
    payload: str
    attempts: int = 0
    crashes: int = 0
    recorded_at: float = 0.0
    outages: int = 0
    """How often it failed, since last it did so for another reason, because the site did not answer."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive deliveries of one lane, handed out together. ``id`` is unique in the life of the ledger's lane claim."""

    id: int
    plugin: PluginKey
    lane: str
    deliveries: tuple[Delivery, ...]


class Verdict(StrEnum):
    """What the worker (or, for the last two, the executor on its behalf) says of one attempt."""

    OK = "ok"
    FAILED = "failed"
    RETRY = "retry"  # the callback raised Retry(after=)
    SKIP = "skip"  # the callback raised Skip, or a filter only Python could decide said no
    GIVE_UP = "give_up"  # the callback raised GiveUp
    CRASHED = "crashed"  # the worker died during it
    TIMEOUT = "timeout"  # the worker was killed past the callback's deadline


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed: the exception's type name and text, its traceback, and locals as text, secrets cut out."""

    kind: str
    text: str
    traceback: str = ""
    locals: str = ""


class Report(NamedTuple):
    """What came of one attempt. ``after``: seconds asked for by Retry. ``logged``: the worker has logged the failure itself.
    ``passing``: it failed since the site did not answer. ``shares``: it was called together with one reported before, and failed
    with it.
    """

    run_id: int
    delivery_id: int
    verdict: Verdict
    started: float
    ended: float
    failure: Failure | None = None
    after: float | None = None
    logged: bool = False
    passing: bool = False
    shares: bool = False


@dataclass(frozen=True, slots=True)
class RunEnded:
    """Nothing more comes of this run: all is reported, or what is not was not begun and is to be handed out again."""

    run_id: int


class Outcome(NamedTuple):
    """What was decided: the delivery's next state; for RETRYING, ``due`` is when."""

    delivery_id: int
    state: State
    attempts: int
    crashes: int
    started: float
    ended: float
    due: float | None = None
    failure: Failure | None = None
    outages: int = 0
