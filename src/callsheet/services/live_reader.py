"""Reading at the cursor: what is new, what was missing and has shown, and what is so old that most of it need not be read."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from callsheet import telemetry
from callsheet.domain.reading import Gap, Intake, SiteState
from callsheet.policy import gaps
from callsheet.policy.log_identity import remembered
from callsheet.ports import EventLog, Page
from callsheet.services.known_plugins import Ready
from callsheet.services.log_check import LogCheck
from callsheet.services.plugin_registry import PluginRegistry
from callsheet.services.router import Router, has_passed, routed, tell_read
from callsheet.services.site_health import SiteMonitor

MARGIN = 60.0
"""Seconds by which an event must be older than the gap window before only some types are read up to it: the clocks of a site's
machines may differ."""

LOOK_EVERY = 10.0
"""Seconds between two questions how far the log is old: what became so meanwhile, or odd times in it, are not worth more."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a site is read; see settings.SiteSettings for each."""

    site: str
    url: str
    poll: float = 5.0
    page: int = 500
    gaps: Literal["eager", "strict"] = "eager"
    gap_window: float = 300.0
    most_waiting: int = 5000
    max_away: float = 86400.0
    timeout: float = 60.0

    @property
    def patience(self) -> float:
        """Seconds within which the site is asked again, and has answered."""
        return max(60.0, 3 * self.poll + self.timeout)


class LiveReader:
    """Reads a site's log where most plugins stand. Moves the cursor, and leaves those behind that can't go with it."""

    def __init__(
        self,
        reading: Reading,
        log: EventLog,
        router: Router,
        monitor: SiteMonitor,
        registry: PluginRegistry,
        *,
        check: LogCheck,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reading = reading
        self._log = log
        self._router = router
        self._monitor = monitor
        self._registry = registry
        self._check = check
        self._now = clock
        self._steady = steady
        self._asked_gaps_at = -math.inf
        self._looked_at = -math.inf
        self.draining = False
        """Read to the end that the log has at the first look, and no further."""

        self.forget()

    def forget(self) -> None:
        """Know nothing of the log any more: from now on it is another one."""
        self._settled = 0
        """Up to there the log is older than any gap is waited for: only types that are wanted need be read."""
        self._horizon: int | None = None
        self._full_at: int | None = None
        """The cursor behind a full page: what follows it comes at once, and may have been asked for ahead."""
        self.newest: int | None = None
        """The newest id that was seen, for `status`."""

    def read(self, state: SiteState, ready: Ready, crowded: Sequence[str]) -> bool | None:
        """One page for all that stand at the cursor; whether there is more to read, None if it was not the time to."""
        cursor = state.cursor
        assert cursor is not None
        here = [name for name in ready.callbacks if state.positions.get(name) is None]
        takers = [name for name in here if name not in crowded]
        if here and not takers:
            return None  # the cursor moves for somebody; where all that stand at it are full, it waits for them
        if self._horizon is not None and cursor >= self._horizon:
            return False
        routes = self._router.routes(takers, ready)
        until = self._passable(cursor, state.gaps) if routes.types is not None else None
        types = routes.types if until is not None else None
        began = self._steady()
        # The first page of a poll begins with the event at the cursor, which costs nothing and tells whether the log is the same.
        known = self._check.expected(state) if until is None and cursor != self._full_at and self._reading.page > 1 else None
        after = cursor if known is None else cursor - 1
        page = self._log.read(after, self._reading.page, until=until, missing=self._missing(state, ready), types=types)
        clock = self._monitor.answered(state.clock)
        if known is not None:
            if not self._check.recognises(page, known):
                return True  # which is looked into at once
            page = replace(page, events=tuple(event for event in page.events if event.id != cursor))
        now = self._now() if page.at is None else min(self._now(), page.at)
        found = self._admit(page, state, cursor, clock=clock, now=now, until=until)
        kept, expired = gaps.expire(found.gaps, clock, found.cursor)
        own: Counter[str] = Counter()
        late, owed = self._router.route_late(found.late, state, ready, own)
        kept += owed
        left_behind = (
            {name: cursor for name, place in state.positions.items() if place is None and name not in takers}
            if found.cursor > cursor
            else {}
        )
        self._router.tell_odd(page.odd)
        tell_read(self._reading.site, page.events, self._steady() - began, late=len(found.late))
        _tell_gaps(self._reading.site, found, (*found.expired, *expired))
        if found.cursor > cursor or late or kept != state.gaps:
            deliveries = routed(self._reading.site, routes, found.take, own)
            self._router.record(
                Intake(
                    self._reading.site,
                    (*late, *deliveries),
                    cursor=found.cursor,
                    clock=clock,
                    gaps=kept if kept != state.gaps else None,
                    positions=left_behind,
                    recent=remembered(state.recent, found.take),
                    log_epoch=state.log_epoch,
                    own=own,
                    expired=tuple((one.first, one.last) for one in (*found.ignored, *found.expired, *expired) if not one.plugin),
                )
            )
        for name, position in left_behind.items():
            why = "full" if name in crowded else self._registry.state(self._reading.site, name).value
            telemetry.emit("plugin.behind", site=self._reading.site, plugin=name, position=position, why=why)
        more = page.full or until is not None
        self._full_at = found.cursor if more else None
        if known is None and not more and not page.events:
            self._check.nothing_new()
        if self.draining and not more:
            self._horizon = found.cursor
        self._note_newest(found.cursor, full=more)
        if routes.types is not None and until is None:
            self._look_ahead(page, found.cursor, now, routes.types)
        # A page of late events alone had no room for fresh ones.
        return more and (found.cursor > cursor or bool(found.late))

    def _admit(self, page: Page, state: SiteState, cursor: int, *, clock: float, now: float, until: int | None) -> gaps.Admission:
        found = gaps.admit(
            cursor,
            page.events,
            state.gaps,
            clock=clock,
            now=now,
            window=self._reading.gap_window,
            strict=self._reading.gaps == "strict",
            settled=until or 0,
        )
        return found if until is None or page.full else replace(found, cursor=until)

    def _passable(self, cursor: int, known: Iterable[Gap]) -> int | None:
        """The id up to which types that nobody wants may be left out; None where that is not so."""
        # A gap ahead of the cursor (strict) is one that reading has stopped at: whether it may be passed is for the policy to say.
        if cursor >= self._settled or any(gap.plugin is None and gap.last > cursor for gap in known):
            return None
        return self._settled

    def _look_ahead(self, page: Page, cursor: int, now: float, types: frozenset[str]) -> None:
        """Where a full page is older than any gap is waited for, find out how far that goes on."""
        old = self._reading.gap_window + MARGIN
        if not page.full or page.events[-1].id != cursor or gaps.age(page.events[-1], now) <= old:
            return
        if self._steady() - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = self._steady()
        self._settled = self._log.settled_id(cursor, now - old)
        if self._settled > cursor:
            telemetry.emit("events.sifted", site=self._reading.site, after=cursor, until=self._settled, types=len(types))

    def _missing(self, state: SiteState, ready: Ready) -> list[Gap]:
        """The gaps to ask for in this poll: at most once per poll interval, and only for plugins that can be given what shows."""
        wanted = [
            gap
            for gap in state.gaps
            if gap.last <= (state.cursor or 0)
            and (gap.plugin is None or (gap.plugin in ready.callbacks and has_passed(state, gap.plugin, gap.last)))
        ]
        if not wanted or self._steady() - self._asked_gaps_at < self._reading.poll / 2:
            return []
        self._asked_gaps_at = self._steady()
        return wanted

    def look_newest(self) -> None:
        """Ask for the newest id, where nothing is read: all that stand at the cursor have too much waiting."""
        self.newest = self._log.newest_id()
        self._monitor.answered()

    def _note_newest(self, cursor: int, *, full: bool) -> None:
        if not full:
            self.newest = cursor
        elif self.newest is None or self.newest < cursor:
            self.newest = self._log.newest_id()


def _tell_gaps(site: str, found: gaps.Admission, expired: Iterable[Gap]) -> None:
    facts: Mapping[str, Iterable[Gap]] = {"gap.opened": found.opened, "gap.ignored": found.ignored}
    for name, ranges in facts.items():
        for gap in ranges:
            telemetry.emit(name, site=site, first=gap.first, last=gap.last)
    for gap in expired:
        telemetry.emit("gap.expired", site=site, first=gap.first, last=gap.last, plugin=gap.plugin)
