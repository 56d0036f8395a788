"""Steps 1 to 4 of an event's path: read the log, admit, route, record. One intake per site.

The ledger holds all state: a step reads it, and changes it in one transaction per page. Plugins that stand at the cursor share each
page; those that stay behind are read for apart, up to the cursor, where they join the others. This decides when, and for whom.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from callsheet.domain.overview import SiteHealth
from callsheet.domain.reading import SiteState
from callsheet.errors import SiteError
from callsheet.ports import EventLog, Ledger
from callsheet.services.catch_up import CatchUpReader
from callsheet.services.live_reader import LiveReader, Reading
from callsheet.services.plugin_registry import PluginRegistry
from callsheet.services.router import Router
from callsheet.services.service import Service
from callsheet.services.site_health import SiteMonitor

SOON = 0.05
"""Seconds until the next step while plugins are still registering."""

CROWDED = 0.5
"""Seconds until the next step while a plugin has too much waiting; `wake` ends it when there is room again."""


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
        """``recorded`` is called after new deliveries; ``begin`` records where a site never read before starts."""
        super().__init__()
        self.name = f"intake-{reading.site}"
        self._reading = reading
        self._log = log
        self._ledger = ledger
        self._registry = registry
        self._monitor = monitor
        self._begin = begin
        self._steady = steady
        router = Router(reading.site, ledger, recorded, clock)
        self._behind = CatchUpReader(reading.site, reading.page, log, router, monitor, steady=steady)
        self._live_reader = LiveReader(reading, log, router, monitor, registry, clock=clock, steady=steady)
        self._poll_at = 0.0
        self._retry_at = 0.0
        self.crowded = False
        """A plugin has too much waiting; whoever makes room should `wake` this service."""
        self.caught_up = False
        """At the end of the last step nothing was left to read, for any plugin that had room."""
        self.steps = 0
        """Steps done; lets a drain see that a whole step has found nothing."""

    def drain(self) -> None:
        """Read to the end that the log has at the first look, and no further."""
        self._live_reader.draining = True

    def step(self) -> float:
        """Read a page for every group of plugins that has room; returns the seconds to wait."""
        if self._registry.starting(self._reading.site):
            return SOON
        pause = self._retry_at - self._steady()
        if pause > 0:  # woken, since a plugin has room again; the site is left in peace nevertheless
            return pause
        try:
            delay = self._step()
        except SiteError as error:
            self.caught_up = False
            pause = self._monitor.failed(error)
            self._retry_at = self._steady() + pause
            return pause
        self.steps += 1
        return delay

    @property
    def out_of_reach(self) -> bool:
        """The site refuses, or did not answer several times in a row."""
        return self._monitor.lasting

    def health(self) -> SiteHealth:
        """How the site is, for `status`."""
        return self._monitor.health(self._live_reader.newest)

    def _step(self) -> float:
        state = self._ledger.site(self._reading.site)
        if state.cursor is None:
            self._begin(self._log)
            self._monitor.answered()
            state = self._ledger.site(self._reading.site)
        ready = self._registry.ready(self._reading.site)
        more = False
        if any(state.positions.get(name) is not None for name in ready.callbacks):
            more = self._behind.read(state, [name for name in ready.callbacks if self._has_room(state, name)], ready)
            # Plugins may have joined the others just now: the next page is theirs, too.
            state = self._ledger.site(self._reading.site)
        crowded = [name for name in ready.callbacks if not self._has_room(state, name)]
        self.crowded = bool(crowded)
        if self._steady() >= self._poll_at:
            full = self._live_reader.read(state, ready, crowded)
            if full is not None:
                more |= full
                self._poll_at = self._steady() + (0.0 if full else self._reading.poll)
        self.caught_up = not more
        if more:
            return 0.0
        delay = max(0.0, self._poll_at - self._steady())
        # Where all that stand at the cursor are full, the poll is overdue, and stays so until one of them has room.
        return min(CROWDED, delay or self._reading.poll) if crowded else delay

    def _has_room(self, state: SiteState, plugin: str) -> bool:
        # Half the limit, so that a plugin at the limit gets whole pages again instead of one event at a time.
        return state.waiting.get(plugin, 0) < max(1, self._reading.most_waiting // 2)
