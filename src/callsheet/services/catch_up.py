"""Reading for plugins that stay behind the cursor: up to it, where they join the others."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from callsheet import telemetry
from callsheet.domain.delivery import NewDelivery
from callsheet.domain.reading import Intake, SiteState
from callsheet.ports import EventLog
from callsheet.services.known_plugins import Ready
from callsheet.services.router import Router, routed, tell_read
from callsheet.services.site_health import SiteMonitor


class CatchUpReader:
    """Reads one site's log a second time, for those that were away, broken, full, or imported with an older place."""

    def __init__(
        self,
        site: str,
        page: int,
        log: EventLog,
        router: Router,
        monitor: SiteMonitor,
        *,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site = site
        self._page = page
        self._log = log
        self._router = router
        self._monitor = monitor
        self._steady = steady

    def read(self, state: SiteState, names: Sequence[str], ready: Ready) -> bool:
        """One page for each group of these plugins that stands at the same id; whether any of them has more to read."""
        assert state.cursor is not None
        groups: dict[int, list[str]] = {}
        for name in names:
            position = state.positions.get(name)
            if position is not None and position <= state.cursor:  # an operator may have sent one on ahead
                groups.setdefault(position, []).append(name)
        more = False
        for position, stop in pairwise([*sorted(groups), state.cursor]):
            more |= self._advance(groups[position], position, stop, state, ready)
        return more

    def _advance(self, names: list[str], position: int, stop: int, state: SiteState, ready: Ready) -> bool:
        assert state.cursor is not None
        deliveries: list[NewDelivery] = []
        own: Counter[str] = Counter()
        reached = stop
        if position < stop:
            routes = self._router.routes(names, ready)
            began = self._steady()
            # Gaps are watched at the cursor alone, so events that none of these wants need not come.
            page = self._log.read(position, self._page, until=stop, types=routes.types)
            self._monitor.answered()
            self._router.tell_odd(page.odd)
            tell_read(self._site, page.events, self._steady() - began, late=0)
            reached = page.events[-1].id if page.full and page.events else stop
            deliveries = routed(self._site, routes, page.events, own)
        joined = reached >= state.cursor
        place = None if joined else reached
        positions = dict.fromkeys(names, place)
        expected = dict.fromkeys(names, position)
        self._router.record(
            Intake(self._site, tuple(deliveries), positions=positions, expected=expected, log_epoch=state.log_epoch, own=own)
        )
        if joined:
            for name in names:
                telemetry.emit("plugin.joined", site=self._site, plugin=name, position=state.cursor)
        return not joined
