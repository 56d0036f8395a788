"""A delivery on its way: recorded, handed out, reported, decided; and as operators list it.

Times are seconds since the epoch (float), durations are seconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

from callsheet.domain.callback import CallbackKey, PluginKey
from callsheet.domain.event import Event


class Stamp(NamedTuple):
    """What tells a file from another one at the same path: when its text was written, as it says itself, and when it last changed
    in any way, in ns; its size in bytes, its inode, and where it lies once all links are followed.
    """

    mtime: int
    ctime: int
    size: int
    inode: int
    real: str


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
    """How often it failed, since last it did so for another reason, because the site did not answer or its Toolkit was away."""

    def event_value(self, key: str) -> Any:
        """What its event has under that key; None where it has none, or can't be read."""
        try:
            event = json.loads(self.payload)
        except (ValueError, RecursionError):
            return None
        return event.get(key) if isinstance(event, dict) else None


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
    ``passing``: it failed since the site did not answer, or its project's Toolkit is away for now. ``shares``: it was called
    together with one reported before, and failed with it. ``client``: the site's client failed in it, in whatever way.
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
    client: bool = False
    mark: str = ""
    """The session uuid of what the call wrote; empty where it has none of ours."""


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
    mark: str = ""


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
    payload: str = ""
    """The event as JSON text; empty where the ledger has it no more."""
    mark: str = ""
    """The session uuid of what its last call wrote; empty where it has none of ours."""


NO_LIMIT = 2**31 - 1
"""As the limit of a query: all, however many."""


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which deliveries to list; all given conditions hold at once.

    ``events``: first and last id. ``entity``: type and id (event_facts.entity_of). ``project``: its id or name. ``error``: the kind
    of the last failure, with or without its module. ``since``: recorded or ended since; ``before``: recorded before. ``failures``:
    with traceback and locals, and all failed attempts. ``in_order``: by event, as in a lane, instead of the newest first.
    ``mark``: whose last call wrote with that session uuid; ``session_uuid``: of events that were written with it.
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
    in_order: bool = False
    mark: str | None = None
    session_uuid: str | None = None
