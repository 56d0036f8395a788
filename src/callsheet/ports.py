"""The three ports. Adapters implement them; services know nothing else of the outside.

One contract suite per port (``tests/contracts``); every adapter passes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import DeliveryQuery, DeliveryRow, Outcome, Report, Run, RunEnded
from callsheet.domain.event import Event
from callsheet.domain.operation import DaemonCommand, Operation
from callsheet.domain.overview import Changed, Described, Heartbeat, Overview, SiteHealth, WorkerRow
from callsheet.domain.plugin import Manifest, PluginFile, PluginImports, PluginRecord, PluginState
from callsheet.domain.reading import Fingerprint, Gap, Intake, SiteState


class OddEvent(NamedTuple):
    """An event that could not be taken as the site has it, and why. ``taken``: it could without that; else it is left out.

    ``event_id``: its id; where that is what is odd, as text.
    """

    event_id: int | str
    why: str
    taken: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Events in ascending id order; ``full`` when there may be more behind the last.

    ``at``: the site's own time of the answer, in seconds since the epoch; None where the site doesn't say. ``odd``: what was wrong
    with events of it.
    """

    events: tuple[Event, ...]
    full: bool
    at: float | None = field(default=None, compare=False)
    odd: tuple[OddEvent, ...] = field(default=(), compare=False)


Told = Callable[[int, int], None]
"""Hears of progress: how many of how many."""


def quietly(_done: int, _of: int) -> None:
    """Nobody wants to hear of it."""


class EventLog(Protocol):
    """The event log of one site. Methods that ask it raise SiteError when it doesn't answer, SiteRefusedError when it says no."""

    def newest_id(self) -> int:
        """The id of the newest event; 0 when the log is empty."""

    def fingerprints(self, ids: Sequence[int]) -> dict[int, Fingerprint]:
        """Of those of these events that the site shows. One request; none for no ids."""

    def settled_id(self, after: int, before: float) -> int:
        """The newest id of those events behind ``after`` that have none made later than ``before`` (epoch) in front of them.

        ``after`` if there is no such event. Two requests.
        """

    def read(
        self,
        after: int,
        limit: int,
        *,
        until: int | None = None,
        missing: Sequence[Gap] = (),
        types: frozenset[str] | None = None,
    ) -> Page:
        """Up to ``limit`` events with ``after < id`` (and ``id <= until``), and those of ``missing`` that have appeared.

        ``types``: only events of these types (None: of any), those of ``missing`` excepted. One request; none where nothing is
        asked for. Events of ``missing`` come in addition to the page: they never make it full, unless they alone fill it.
        """

    def close(self) -> None:
        """Drop the connection."""


class Ledger(Protocol):
    """The durable record. Each method but ``operate`` and ``prune`` is one transaction; its effect outlives a kill once it returns.

    Methods may be called from any thread. Times are given by the caller.
    """

    def site(self, site: str, *, expired: bool = False) -> SiteState:
        """Where the reading of ``site`` stands; a fresh SiteState for one never seen.

        ``expired``: with the ids that did not show while they were waited for.
        """

    def record(self, intake: Intake, now: float) -> int:
        """Steps 1-4 of an event: add deliveries, move cursor, positions and gaps. Returns how many deliveries were new.

        A delivery that exists already (same callback and event) is left as it is. A new delivery joins its lane in the order of
        (event id, ordinal), but never ahead of one that is handed out. One with a ``settle`` keeps its lane from being handed out
        for so many seconds, anew with each that is added; but its first waits for ten times as long at most.

        For a replay, one that exists and is finished waits again, as if never tried, and counts as new.
        """

    def enrol(self, plugins: Sequence[PluginFile], state: PluginState, now: float, *, problem: str = "") -> None:
        """Upsert plugins with that state. A plugin never seen before stands at its site's cursor (position None).

        Of one that is GONE it is noted since when; ``site`` tells that once it has another state, until it is ``checked``.
        """

    def describe(self, plugin: PluginFile, manifest: Manifest, now: float) -> Described:
        """Keep the manifest of a (re)loaded plugin, READY or BROKEN. If READY: open deliveries of callbacks that it no longer has
        are skipped; and unless the file is the one that was described as READY before, its held lanes are released, and those that
        are RETRYING have no attempts behind them any more.
        """

    def plugins(self, site: str | None = None) -> list[PluginRecord]:
        """All known plugins, in path and name order."""

    def claim(self, free: Mapping[PluginKey, int], most: int, owner: str, now: float) -> tuple[list[Run], float | None]:
        """Hand out runs of up to ``most`` deliveries: at most ``free[plugin]`` lanes of each plugin, those ready longest first.

        Also returns when the next lane of these plugins comes due, if that is later than ``now`` (None: nothing is scheduled).
        A lane is handed out to one owner at a time, until its run is settled as ended. What an operator holds is not handed out. A
        ``now`` that lies seconds before that of the last claim or settlement, or before the last beat, means that the clock was set
        back: nobody waits longer for that.
        """

    def settle(self, outcomes: Sequence[Outcome], ended: Sequence[int], now: float) -> None:
        """Record outcomes; give back the lanes of the runs in ``ended``. A lane goes on at its first open delivery: at once, or
        when that is due if RETRYING; it stands still while that is HELD. Unreported deliveries of an ended run wait again,
        uncounted.
        """

    def recover(self, owner: str, now: float) -> int:
        """At start: give back all lanes that an earlier owner had. Returns how many deliveries wait again."""

    def operate(self, operation: Operation, now: float, told: Told = quietly) -> Changed:
        """Carry out an operator's command, record it, and return the deliveries that it changed: all ids, and the first 20 rows.

        Many are changed in many transactions, so that nobody waits for it; ``told`` hears after each how many were changed by
        then, and how many are meant. Whatever interrupts it, the rest is left as it was, and the command can be given again.

        A SKIP ``to_newest`` moves the plugin first, and ends the daemon's hold of it last. What is forgotten shows nowhere but in
        the history of deliveries, until it is enrolled again: then it stands at its site's cursor, as a new one.

        StateError for a HOLD, RELEASE, REPLAY or FORGET without a plugin, or with one never seen, for a FORGET of one that is not
        GONE, and for a RESET of a site never read. A REPLAY is only noted here: ``site`` tells it to whoever reads; so are
        WARM, RETIRE, END and RELOAD, which ``beat`` tells. Events of the log that a RESET goes on with are new, whatever ids the
        deliveries of the log before have.
        """

    def deliveries(self, query: DeliveryQuery) -> list[DeliveryRow]:
        """Deliveries that the query wants, newest first."""

    def overview(self, *, operations: int = 0) -> Overview:
        """All that `status` shows, in one consistent read; with so many of the last operations."""

    def beat(self, heartbeat: Heartbeat, health: Sequence[SiteHealth], workers: Sequence[WorkerRow] = ()) -> list[DaemonCommand]:
        """Say that the daemon lives, and how its sites and workers are. Calls and memory of workers may be some seconds old.

        Returns what operators have asked of the running daemon since the last beat.
        """

    def prune(self, before: float, told: Told = quietly) -> tuple[int, int]:
        """Forget deliveries finished before that time, and events no delivery refers to. Returns how many of each.

        ``told`` hears after each transaction how many deliveries were forgotten by then.
        """

    def close(self) -> None:
        """Close; further calls are errors."""


Message = Manifest | PluginImports | Report | RunEnded


class Executor(Protocol):
    """Runs plugins somewhere else. Methods may be called from any thread; none of them waits for a plugin."""

    def load(self, plugin: PluginFile) -> None:
        """Start (or start anew) the plugin's worker; its Manifest comes through ``collect``. The old one finishes what it runs."""

    def unload(self, plugin: PluginKey) -> None:
        """Let the plugin's worker finish what it runs, and end it."""

    def free(self) -> Mapping[PluginKey, int]:
        """How many more runs each ready plugin can take now. Plugins that are loading, broken or full are absent."""

    def submit(self, runs: Sequence[Run]) -> None:
        """Run these. Each brings reports, then one RunEnded, through ``collect``; also if its worker is away by now."""

    def workers(self) -> list[WorkerRow]:
        """The processes that plugins run in, as they are now; those that wait to be started again, too."""

    def recall(self, runs: Sequence[Run]) -> None:
        """Begin nothing more of these runs: what is running finishes, and each still brings its RunEnded."""

    def collect(self, timeout: float) -> list[Message]:
        """All that came in since the last call, in order per worker; waits up to ``timeout`` seconds for it, or for ``wake``."""

    def wake(self) -> None:
        """End a waiting ``collect`` early."""

    def close(self, grace: float) -> None:
        """Let running deliveries finish for up to ``grace`` seconds, then end all workers. What came in can still be collected."""
