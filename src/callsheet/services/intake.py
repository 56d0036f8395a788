"""Steps 1 to 4 of an event's path: read the log, admit, route, record. One intake per site.

The ledger holds all state: a step reads it, and changes it in one transaction per page. Plugins that stand at the cursor share each
page; those that stay behind are read for apart, up to the cursor, where they join the others. This decides when, and for whom.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from callsheet import telemetry
from callsheet.domain.delivery import DeliveryQuery
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.overview import SiteHealth
from callsheet.domain.plugin import DAEMON
from callsheet.domain.reading import Intake, SiteState
from callsheet.errors import SiteError
from callsheet.ports import EventLog, Ledger
from callsheet.services.catch_up import CatchUpReader
from callsheet.services.known_plugins import LateCallback, Ready
from callsheet.services.live_reader import LiveReader, Reading
from callsheet.services.log_check import LogCheck
from callsheet.services.plugin_registry import PluginRegistry
from callsheet.services.returned_plugins import ReturnedPlugins
from callsheet.services.router import Router
from callsheet.services.service import Service
from callsheet.services.site_health import SiteMonitor

BEGIN_AGAIN = 0.3
"""Seconds until a site is asked again where it begins."""

SOON = 0.05
"""Seconds until the next step while plugins are still registering."""

CROWDED = 0.5
"""Seconds until the next step while a plugin has too much waiting; `wake` ends it when there is room again."""


FIRST_LOOK = 5.0
"""Seconds for which deliveries from before the start wait for the first look at their site's log: it may be another one by now."""

LOOK_NEWEST = 20.0
"""Seconds between two questions for a site's newest event while nothing can be read: does it still answer, and how far is it?"""

RECHECK = 2.0
"""Seconds between two looks at a site that shows another event log than before: an operator may have said how to go on."""


class IntakeService(Service):
    """Reads a site's event log and records what each event means for each plugin."""

    def __init__(
        self,
        reading: Reading,
        ledger: Ledger,
        registry: PluginRegistry,
        *,
        log: EventLog,
        monitor: SiteMonitor,
        recorded: Callable[[], None],
        begin: Callable[[EventLog], None],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """``recorded`` is called after new deliveries; ``begin`` records where a site never read before starts; if it does not,
        it is called again.
        """
        super().__init__()
        self.name = f"intake-{reading.site}"
        self.limit = reading.timeout + reading.poll + 10
        self._reading = reading
        self._log = log
        self._ledger = ledger
        self._registry = registry
        self._monitor = monitor
        self._begin = begin
        self._steady = steady
        self._now = clock
        self._check = LogCheck(reading.site, reading.url, log, ledger, clock=clock, steady=steady)
        self._epoch: int | None = None
        router = Router(reading.site, ledger, recorded, clock)
        self._behind = CatchUpReader(reading.site, reading.page, log, router, monitor, steady=steady)
        self._live_reader = LiveReader(reading, log, router, monitor, registry, check=self._check, clock=clock, steady=steady)
        self._returned = ReturnedPlugins(reading.site, ledger, log, monitor, most=reading.max_away, clock=clock)
        self._patience = reading.patience
        self._poll_at = 0.0
        self._retry_at = 0.0
        self._readable = False
        self._recorded = recorded
        self._looked = False
        self._look_by = steady() + FIRST_LOOK
        self._look_newest_at = 0.0
        self.crowded = False
        """A plugin has too much waiting; whoever makes room should `wake` this service."""
        self.caught_up = False
        """At the end of the last step nothing was left to read, for any plugin that had room."""
        self.steps = 0
        """Steps done; lets a drain see that a whole step has found nothing."""

    def drain(self) -> None:
        """Read to the end that the log has at the first look, and no further."""
        self._live_reader.draining = True
        self._patience = math.inf

    def step(self) -> float:
        """Read a page for every group of plugins that has room; returns the seconds to wait."""
        pause = self._retry_at - self._steady()
        if pause > 0:  # woken, since a plugin has room again; the site is left in peace nevertheless
            return pause
        try:
            with self._monitor.asking():
                if self._monitor.doubts > self._monitor.cleared:
                    self._clear_doubts()
                if self._looked and self._registry.starting(self._reading.site):
                    return SOON
                delay = self._step()
        except SiteError as error:
            self.caught_up = False
            self._check.demand()
            self._note_look()
            pause = self._monitor.failed(error)
            self._retry_at = self._steady() + pause
            self._recorded()  # who doubts that the site answers may go on
            return pause
        self.steps += 1
        return delay

    def doubt(self) -> int:
        """See ``outage_check.SiteCheck``."""
        self._monitor.doubts += 1
        self.wake()
        return self._monitor.doubts

    def lost(self, doubt: int, since: float) -> bool | None:
        """See ``outage_check.SiteCheck``."""
        return self._monitor.lost(doubt, since)

    @property
    def answers(self) -> bool:
        """Whether the site answered when it was last asked."""
        return self._monitor.answers

    @property
    def out_of_reach(self) -> bool:
        """The site refuses, did not answer several times in a row, or shows another event log than before."""
        return self._monitor.lasting or self.another_log

    @property
    def another_log(self) -> bool:
        """The site shows another event log than before."""
        return self._check.problem is not None

    @property
    def stopped(self) -> bool:
        """Nothing that was recorded of the site may run: its log is another one, or it has not been looked at yet."""
        return self.another_log or (not self._looked and self._steady() < self._look_by)

    @property
    def readable(self) -> bool:
        """The site's event log was looked at, and is the one that was read before."""
        return self._readable

    def health(self) -> SiteHealth:
        """How the site is, for `status`."""
        problem = self._check.problem
        newest = self._live_reader.newest if problem is None else self._check.newest
        return replace(self._monitor.health(newest), problem=problem, patience=self._patience)

    def _clear_doubts(self) -> None:
        """Ask for something, since a callback's call has failed: that is decided by whether this answers."""
        doubts = self._monitor.doubts
        self._log.newest_id()
        self._monitor.answered()
        self._monitor.cleared = doubts
        self._recorded()

    def _step(self) -> float:
        # In this order: those that are ready have the late callbacks, and what the ledger knows of them is as new.
        late = self._registry.take_late(self._reading.site)
        ready = self._registry.ready(self._reading.site)
        state = self._ledger.site(self._reading.site)
        for one in late:
            self._make_up(one, state)
        if state.cursor is None:
            self._begin(self._log)
            self._monitor.answered()
            state = self._ledger.site(self._reading.site)
            if state.cursor is None:  # it is to be asked once more
                return BEGIN_AGAIN
        if state.log_epoch != self._epoch:
            self._live_reader.forget()
            self._epoch = state.log_epoch
        delay = self._look(state)
        self._note_look()
        if delay is not None:
            return delay
        self.got_on()
        # A look need not wait for plugins, as reading does.
        return SOON if self._registry.starting(self._reading.site) else self._read(state, ready)

    def _look(self, state: SiteState) -> float | None:
        """See that there is a log to read, and the right one; else the seconds to wait."""
        if state.empty_at is not None:
            self.caught_up = not self._begin_behind(state, state.empty_at)
            self._monitor.answered(state.clock)
            return self._reading.poll if self.caught_up else 0.0
        self._readable = self._check.passed(state)
        if self._readable:
            return None
        self.caught_up = False
        if self._check.asked:
            self._monitor.answered(state.clock)
        return min(self._reading.poll, RECHECK)

    def _read(self, state: SiteState, ready: Ready) -> float:
        if state.returned:
            state = self._returned.check(state)
        more = False
        if any(state.positions.get(name) is not None for name in ready.callbacks):
            more = self._behind.read(state, [name for name in ready.callbacks if self._goes_on(state, name)], ready)
            self.got_on()
            # Plugins may have joined the others just now: the next page is theirs, too.
            state = self._ledger.site(self._reading.site)
        crowded = [name for name in ready.callbacks if not self._has_room(state, name)]
        self.crowded = bool(crowded)
        if self._steady() >= self._poll_at:
            full = self._live_reader.read(state, ready, crowded)
            if full is not None:
                more |= full
                self._poll_at = self._steady() + (0.0 if full else self._reading.poll)
            elif self._steady() >= self._look_newest_at:
                self._look_newest_at = self._steady() + max(LOOK_NEWEST, self._reading.poll)
                self._live_reader.look_newest()
        self.caught_up = not more
        if more:
            return 0.0
        delay = max(0.0, self._poll_at - self._steady())
        # Where all that stand at the cursor are full, the poll is overdue, and stays so until one of them has room.
        return min(CROWDED, delay or self._reading.poll) if crowded else delay

    def _make_up(self, late: LateCallback, state: SiteState) -> None:
        """Have a callback that was registered while an event was handled get those behind it that were routed without it."""
        position = state.positions.get(late.plugin)
        reached = (state.cursor or 0) if position is None else position
        query = DeliveryQuery(site=state.site, plugin=late.plugin, callback=late.callback, limit=1)
        newest = max([late.event_id, *(one.event_id for one in self._ledger.deliveries(query))])
        if newest < reached:
            why = f"it was registered while event {late.event_id} was handled"
            self._ledger.operate(Operation(Verb.REPLAY, DAEMON, why, query, ((newest + 1, reached),)), self._now())

    def _note_look(self) -> None:
        if not self._looked:
            self._looked = True
            self._recorded()  # what waits from before may run now

    def _begin_behind(self, state: SiteState, empty_at: float) -> bool:
        """At the first start the log was empty, or hidden from the script. Once it shows events, begin behind those from before."""
        if not self._log.newest_id():
            return False
        # A second less, since that is how fine the times of events are.
        cursor = self._log.settled_id(0, empty_at - 1)
        self._ledger.record(Intake(self._reading.site, cursor=cursor, log_epoch=state.log_epoch), self._now())
        if cursor:
            telemetry.emit("site.newest", site=self._reading.site, event_id=cursor)
        return True

    def _goes_on(self, state: SiteState, plugin: str) -> bool:
        return plugin not in state.undecided and self._has_room(state, plugin)

    def _has_room(self, state: SiteState, plugin: str) -> bool:
        # Half the limit, so that a plugin at the limit gets whole pages again instead of one event at a time.
        return state.waiting.get(plugin, 0) < max(1, self._reading.most_waiting // 2)
