"""Plugins whose file was gone, and is there again: whether they go on by themselves, or only once an operator has decided.

A plugin loses nothing while it waits: broken, held, full, or with the daemon down. One whose file was removed is another matter:
somebody may have put it away for good, and weeks later the same, or another one, is put there under its name. Hundreds of old
events would come to it, and it might act on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from callsheet import telemetry
from callsheet.domain.delivery import DeliveryQuery
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.plugin import DAEMON
from callsheet.domain.reading import Absence, Intake, SiteState
from callsheet.policy import gaps
from callsheet.ports import EventLog, Ledger
from callsheet.services.site_health import SiteMonitor


class ReturnedPlugins:
    """Checks those of one site."""

    def __init__(
        self,
        site: str,
        ledger: Ledger,
        log: EventLog,
        monitor: SiteMonitor,
        *,
        most: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``most``: seconds that one may be behind to go on by itself."""
        self._site = site
        self._ledger = ledger
        self._log = log
        self._monitor = monitor
        self._most = most
        self._now = clock

    def check(self, state: SiteState) -> SiteState:
        """Hold those that are too far behind; the state after that. Raises SiteError if the site does not say how far they are."""
        for name, absence in state.returned.items():
            place = state.positions.get(name)
            behind = 0.0 if place is None or place >= (state.cursor or 0) else self._behind(place, absence)
            if behind > self._most:
                self._hold(name, place, behind)
            self._ledger.record(Intake(self._site, checked=(name,)), self._now())
        return self._ledger.site(self._site)

    def _behind(self, place: int, absence: Absence) -> float:
        """Seconds by which it is behind since it was gone: by the age of the event at its place.

        What it was behind before that, it was for another reason, for which it must lose nothing: then the newest event of that
        moment counts. Where that is not known, since the daemon began after it or the site did not answer, the time of that does.
        """
        if absence.newest is not None:
            number = max(place, absence.newest)
            page = self._log.read(number - 1, 2, until=number)
            self._monitor.answered()
            if page.events:
                return gaps.age(page.events[0], self._now() if page.at is None else min(self._now(), page.at))
        return self._now() - absence.since

    def _hold(self, name: str, place: int | None, behind: float) -> None:
        why = f"its file was gone, and it would go on behind event {place}, {_in_words(behind)} ago"
        self._ledger.operate(Operation(Verb.HOLD, DAEMON, why, DeliveryQuery(site=self._site, plugin=name)), self._now())
        telemetry.emit("plugin.returned", site=self._site, plugin=name, position=place, behind=_in_words(behind))


def _in_words(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"
