"""Steps 1 to 4 of an event's path: read the log, admit, route, record. One intake per site.

The ledger holds all state: a step reads it, and changes it in one transaction per page. Plugins that stand at the cursor share each
page; those that stay behind are read for apart, up to the cursor, where they join the others.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from callsheet import telemetry
from callsheet.desk import SiteHealth
from callsheet.errors import SiteError
from callsheet.model import Event, Gap, Intake, NewDelivery, SiteState
from callsheet.policy import gaps
from callsheet.policy.routing import Routes
from callsheet.ports import EventLog, Ledger
from callsheet.services.outage import Outage
from callsheet.services.roster import Ready, Roster
from callsheet.services.service import Service

SOON = 0.05
"""Seconds until the next step while plugins are still registering."""

CROWDED = 0.5
"""Seconds until the next step while a plugin has too much waiting; `wake` ends it when there is room again."""

OWED = 1e15
"""A gap with this end never ends: a late event that a plugin could not be given when it showed, kept for it until it can, since it
was loading, broken or away, or had not come to that id yet and may have read the page without it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a site is read; see config.settings.SiteSettings for each."""

    site: str
    url: str
    poll: float = 5.0
    page: int = 500
    gaps: Literal["eager", "strict"] = "eager"
    gap_window: float = 300.0
    most_waiting: int = 5000


class IntakeService(Service):
    """Reads a site's event log and records what each event means for each plugin."""

    def __init__(
        self,
        reading: Reading,
        ledger: Ledger,
        roster: Roster,
        *,
        live: EventLog,
        past: EventLog,
        outage: Outage,
        recorded: Callable[[], None],
        begin: Callable[[EventLog], None],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """``live`` and ``past`` read the same log, at the cursor and behind it. ``recorded`` is called after new deliveries;
        ``begin`` records where a site never read before starts.
        """
        super().__init__()
        self.name = f"intake-{reading.site}"
        self._reading = reading
        self._live = live
        self._past = past
        self._ledger = ledger
        self._roster = roster
        self._outage = outage
        self._recorded = recorded
        self._begin = begin
        self._now = clock
        self._steady = steady
        self._routes: dict[tuple[str, ...], Routes] = {}
        self._routes_version = -1
        self._asked_gaps_at = -math.inf
        self._poll_at = 0.0
        self._retry_at = 0.0
        self._newest: int | None = None
        self.draining = False
        """Read to the end that the log has at the first look, and no further."""
        self._horizon: int | None = None
        self.crowded = False
        """A plugin has too much waiting; whoever makes room should `wake` this service."""
        self.caught_up = False
        """At the end of the last step nothing was left to read, for any plugin that had room."""
        self.steps = 0
        """Steps done; lets a drain see that a whole step has found nothing."""

    def step(self) -> float:
        """Read a page for every group of plugins that has room; returns the seconds to wait."""
        if self._roster.starting(self._reading.site):
            return SOON
        pause = self._retry_at - self._steady()
        if pause > 0:  # woken, since a plugin has room again; the site is left in peace nevertheless
            return pause
        try:
            delay = self._step()
        except SiteError as error:
            self.caught_up = False
            pause = self._outage.failed(error)
            self._retry_at = self._steady() + pause
            return pause
        self.steps += 1
        return delay

    @property
    def out_of_reach(self) -> bool:
        """The site refuses, or did not answer several times in a row."""
        return self._outage.lasting

    def health(self) -> SiteHealth:
        """How the site is, for `status`."""
        return self._outage.health(self._newest)

    def _step(self) -> float:
        state = self._ledger.site(self._reading.site)
        if state.cursor is None:
            self._begin(self._live)
            self._outage.answered()
            state = self._ledger.site(self._reading.site)
        assert state.cursor is not None
        ready = self._roster.ready(self._reading.site)
        more = False
        if any(state.positions.get(name) is not None for name in ready.callbacks):
            more = self._read_past(state, state.cursor, ready)
            # Plugins may have joined the others just now: the next page is theirs, too.
            state = self._ledger.site(self._reading.site)
        assert state.cursor is not None
        crowded = [name for name in ready.callbacks if not self._has_room(state, name)]
        self.crowded = bool(crowded)
        if self._steady() >= self._poll_at:
            full = self._read_live(state, state.cursor, ready, crowded)
            if full is not None:
                more |= full
                self._poll_at = self._steady() + (0.0 if full else self._reading.poll)
        self.caught_up = not more
        if more:
            return 0.0
        delay = max(0.0, self._poll_at - self._steady())
        return min(CROWDED, self._reading.poll) if crowded else delay

    def _has_room(self, state: SiteState, plugin: str) -> bool:
        # Half the limit, so that a plugin at the limit gets whole pages again instead of one event at a time.
        return state.waiting.get(plugin, 0) < max(1, self._reading.most_waiting // 2)

    # -- behind the cursor

    def _read_past(self, state: SiteState, cursor: int, ready: Ready) -> bool:
        """One page for each group of plugins that stands at the same id behind the cursor; whether any has more to read."""
        groups: dict[int, list[str]] = {}
        for name in ready.callbacks:
            position = state.positions.get(name)
            if position is not None and self._has_room(state, name):
                groups.setdefault(position, []).append(name)
        more = False
        stops = [*sorted(groups), cursor]
        for position, stop in pairwise(stops):
            more |= self._advance(groups[position], position, stop, cursor, ready)
        return more

    def _advance(self, names: list[str], position: int, stop: int, cursor: int, ready: Ready) -> bool:
        deliveries: list[NewDelivery] = []
        reached = stop
        if position < stop:
            began = self._steady()
            page = self._past.read(position, self._reading.page, until=stop)
            self._outage.answered()
            _tell_read(self._reading.site, page.events, self._steady() - began, late=0)
            reached = page.events[-1].id if page.full and page.events else stop
            deliveries = self._route(page.events, names, ready)
        joined = reached >= cursor
        place = None if joined else reached
        self._record(Intake(self._reading.site, tuple(deliveries), positions=dict.fromkeys(names, place)))
        if joined:
            for name in names:
                telemetry.emit("plugin.joined", site=self._reading.site, plugin=name, position=cursor)
        return not joined

    # -- at the cursor

    def _read_live(self, state: SiteState, cursor: int, ready: Ready, crowded: list[str]) -> bool | None:
        """One page behind the cursor for all that stand at it; whether there is more to read, None if it was not the time to."""
        here = [name for name in ready.callbacks if state.positions.get(name) is None]
        takers = [name for name in here if name not in crowded]
        if here and not takers:
            return None  # the cursor moves for somebody; where all that stand at it are full, it waits for them
        if self._horizon is not None and cursor >= self._horizon:
            return False
        missing = self._missing(state, ready)
        began = self._steady()
        page = self._live.read(cursor, self._reading.page, missing=missing)
        clock = self._outage.answered(state.clock)
        found = gaps.admit(
            cursor,
            page.events,
            state.gaps,
            clock=clock,
            now=self._now(),
            window=self._reading.gap_window,
            strict=self._reading.gaps == "strict",
        )
        kept, expired = gaps.expire(found.gaps, clock, found.cursor)
        deliveries = self._route(found.take, takers, ready)
        late, owed = self._route_late(found.late, state, ready)
        kept += owed
        left_behind = (
            {name: cursor for name, place in state.positions.items() if place is None and name not in takers}
            if found.cursor > cursor
            else {}
        )
        _tell_read(self._reading.site, page.events, self._steady() - began, late=len(found.late))
        _tell_gaps(self._reading.site, found, (*found.expired, *expired))
        if found.cursor > cursor or late or kept != state.gaps:
            self._record(
                Intake(
                    self._reading.site,
                    (*late, *deliveries),
                    cursor=found.cursor,
                    clock=clock,
                    gaps=kept if kept != state.gaps else None,
                    positions=left_behind,
                )
            )
        for name, position in left_behind.items():
            why = "full" if name in crowded else self._roster.state(self._reading.site, name).value
            telemetry.emit("plugin.behind", site=self._reading.site, plugin=name, position=position, why=why)
        if self.draining and not page.full:
            self._horizon = found.cursor
        self._note_newest(found.cursor, full=page.full)
        # A page of late events alone had no room for fresh ones.
        return page.full and (found.cursor > cursor or bool(found.late))

    def _missing(self, state: SiteState, ready: Ready) -> list[Gap]:
        """The gaps to ask for in this poll: at most once per poll interval, and only for plugins that can be given what shows."""
        wanted = [
            gap
            for gap in state.gaps
            if gap.last <= (state.cursor or 0)
            and (gap.plugin is None or (gap.plugin in ready.callbacks and _has_passed(state, gap.plugin, gap.last)))
        ]
        if not wanted or self._steady() - self._asked_gaps_at < self._reading.poll / 2:
            return []
        self._asked_gaps_at = self._steady()
        return wanted

    def _note_newest(self, cursor: int, *, full: bool) -> None:
        if not full:
            self._newest = cursor
        elif self._newest is None or self._newest < cursor:
            self._newest = self._past.newest_id()

    # -- both

    def _route(self, events: Iterable[Event], names: Iterable[str], ready: Ready) -> list[NewDelivery]:
        if ready.version != self._routes_version:
            self._routes, self._routes_version = {}, ready.version
        group = tuple(name for name in ready.callbacks if name in set(names))
        routes = self._routes.get(group)
        if routes is None:
            routes = self._routes[group] = Routes(callback for name in group for callback in ready.callbacks[name])
        return [delivery for event in events for delivery in routes.route(event)]

    def _route_late(
        self, late: Iterable[tuple[Event, str | None]], state: SiteState, ready: Ready
    ) -> tuple[list[NewDelivery], tuple[Gap, ...]]:
        """Deliveries of late events for those that have passed them, and gaps that keep them for those that can't be given them."""
        deliveries: list[NewDelivery] = []
        owed: list[Gap] = []
        for event, owner in late:
            names = list(state.positions) if owner is None else [owner]
            takers = [name for name in names if name in ready.callbacks and _has_passed(state, name, event.id)]
            deliveries += self._route([event], takers, ready)
            owed += [Gap(event.id, event.id, OWED, name) for name in names if name not in takers]
            telemetry.emit("gap.filled", site=self._reading.site, event_id=event.id, plugin=owner)
        return deliveries, tuple(owed)

    def _record(self, intake: Intake) -> None:
        new = self._ledger.record(intake, self._now())
        if new:
            telemetry.emit(
                "events.routed",
                site=intake.site,
                events=len({delivery.event.id for delivery in intake.deliveries}),
                deliveries=new,
                plugins=Counter(delivery.callback.plugin.name for delivery in intake.deliveries),
            )
            self._recorded()


def _has_passed(state: SiteState, plugin: str, event_id: int) -> bool:
    position = state.positions.get(plugin)
    return position is None or position >= event_id


def _tell_read(site: str, events: tuple[Event, ...], seconds: float, *, late: int) -> None:
    if events:
        telemetry.emit(
            "events.read", site=site, count=len(events), first=events[0].id, last=events[-1].id, seconds=seconds, late=late
        )


def _tell_gaps(site: str, found: gaps.Admission, expired: Iterable[Gap]) -> None:
    facts: Mapping[str, Iterable[Gap]] = {"gap.opened": found.opened, "gap.ignored": found.ignored}
    for name, ranges in facts.items():
        for gap in ranges:
            telemetry.emit(name, site=site, first=gap.first, last=gap.last)
    for gap in expired:
        telemetry.emit("gap.expired", site=site, first=gap.first, last=gap.last, plugin=gap.plugin)
