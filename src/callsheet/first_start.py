"""Where a site begins that was never read: as told, where shotgunEvents stopped, or at the newest event.

A start is refused where that would skip events, or deliver them again, in silence.
"""

from __future__ import annotations

import math
import time

from callsheet import telemetry
from callsheet.domain.reading import Intake
from callsheet.errors import SiteError, StateError
from callsheet.legacy import idfile
from callsheet.legacy.importing import import_state
from callsheet.policy.log_identity import address
from callsheet.ports import EventLog, Ledger
from callsheet.settings import Settings, SiteSettings

EMPTY_FOR = 1.1
"""Seconds for which a log must be empty: what is from before can be told from what comes then, since times are in whole seconds."""


class FirstStart:
    """The first start of the sites that the ledger has never read. ``start_from``: the first event id that was asked for."""

    def __init__(self, settings: Settings, ledger: Ledger, start_from: int | None) -> None:
        self._settings = settings
        self._ledger = ledger
        self._start_from = start_from
        self._empty_since: dict[str, float] = {}

    def refuse(self) -> None:
        """Raise StateError where a start would be a mistake. Asks no site."""
        cursors = {site.name: self._ledger.site(site.name).cursor for site in self._settings.sites}
        for name, cursor in cursors.items():
            if cursor is not None and self._start_from is not None:
                raise StateError(
                    f"--from {self._start_from} is for a first start, and site {name} has been read up to event {cursor}. Start "
                    "without --from to go on there, set it elsewhere with `callsheet reset-cursor`, or use another state folder "
                    f"than {self._settings.state}."
                )
        fresh = [site for site in self._settings.sites if cursors[site.name] is None]
        if not fresh or self._start_from is not None:
            return
        self._refuse_renamed(fresh)
        check_id_file(self._settings)

    def begin(self, site: SiteSettings, log: EventLog) -> None:
        """Record where the site begins; nothing yet, to be called again, where its log seems to be empty."""
        if self._start_from is not None:
            self._ledger.record(Intake(site.name, cursor=self._start_from - 1), time.time())
            return
        if self._settings.id_file is not None:
            import_state(self._ledger, self._settings, log.newest_id, time.time())
            if self._ledger.site(site.name).cursor:
                return
        newest = log.newest_id()
        empty_at = None
        if not newest:
            since = self._empty_since.setdefault(site.name, time.monotonic())
            if time.monotonic() - since < EMPTY_FOR:
                return
            empty_at = _empty_at(site, log)
        self._ledger.record(Intake(site.name, cursor=newest, empty_at=empty_at), time.time())
        telemetry.emit("site.newest", site=site.name, event_id=newest)

    def _refuse_renamed(self, fresh: list[SiteSettings]) -> None:
        """A site that has another name in the configuration now is the same site, and has been read up to somewhere."""
        configured = {site.name for site in self._settings.sites}
        left = {one.address: one for one in self._ledger.overview().sites if one.site not in configured and one.cursor is not None}
        for site in fresh:
            known = left.get(address(site.url))
            if known is not None:
                raise StateError(
                    f"Site {site.name} has never been read, but site {known.site}, which the configuration no longer has, was at "
                    f"the same address and has been read up to event {known.cursor}. If only its name was changed, name it "
                    f"{known.site} again. To go on under the new name, start with `callsheet run --from "
                    f"{(known.cursor or 0) + 1}`: then what waits under the old one is not delivered."
                )


def check_id_file(settings: Settings) -> None:
    """Raise StateError if the id file that a first start begins with can't be used."""
    if settings.id_file is not None and idfile.present(settings.id_file):
        idfile.read(settings.id_file)


def _empty_at(site: SiteSettings, log: EventLog) -> float:
    """When a log without any event was asked, by the earlier of our clock and the site's. Asked twice, and in two ways."""
    page = log.read(0, 1)
    if page.events:
        raise SiteError(f"{site.url} said that it has no event, and then showed event {page.events[0].id}")
    return min(time.time(), page.at or math.inf)
