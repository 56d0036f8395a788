"""Sees that a site still shows the event log that was read before, and not that of a restored or another site."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from callsheet import telemetry
from callsheet.domain.reading import Fingerprint, Intake, SiteState
from callsheet.policy import log_identity
from callsheet.ports import EventLog, Ledger, Page

LAG = 5.0
"""Seconds for which what was read may be missing: the machines of a site need not all have an event at the same moment."""

LOOK_EVERY = 30.0
"""Seconds between two looks while the log has nothing new, and the event at the cursor is not known."""


class LogCheck:
    """The check of one site: before anything is read, after an outage, and when the event at the cursor is not what was read.

    While there is a ``problem``, nothing may be read from the site or delivered: to go on behind the cursor would skip, in silence,
    whatever the other log has up to there. An operator says how to go on (`callsheet reset-cursor`).
    """

    def __init__(
        self,
        site: str,
        url: str,
        log: EventLog,
        ledger: Ledger,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site = site
        self._address = log_identity.address(url)
        self._log = log
        self._ledger = ledger
        self._now = clock
        self._steady = steady
        self._due = True
        self._epoch = -1
        self._looked_at = -math.inf
        self._missing_since: float | None = None
        self._hidden: set[int] = set()
        self._begun = False
        self.asked = False
        """The last ``passed`` has asked the site."""
        self.problem: str | None = None
        """Why the log is another one, in words."""
        self.newest: int | None = None
        """The newest id at the last look, where that was asked for."""

    def demand(self) -> None:
        """Look before anything more is read."""
        self._due = True

    def passed(self, state: SiteState) -> bool:
        """Whether the site's log may be read. Asks the site where that is due; raises SiteError."""
        self.asked = False
        if state.address not in {None, self._address}:
            moved = f"it is read at {self._address} now, and was read at {state.address} before"
            unfinished = "it is being set to another event log; if that was interrupted, give the command again"
            self._stop(state, unfinished if state.address == log_identity.UNFINISHED else moved)
            return False
        if self._due or state.log_epoch != self._epoch:
            self._due = not self._look(state)
            self._epoch = state.log_epoch
            self._looked_at = self._steady()
        return not self._due

    def expected(self, state: SiteState) -> Fingerprint | None:
        """The event at the cursor, if the site is known to show it: a page that begins there tells whether the log is the same."""
        last = state.recent[-1] if state.recent else None
        return last if last is not None and last.id == state.cursor and last.id not in self._hidden else None

    def recognises(self, page: Page, expected: Fingerprint) -> bool:
        """Whether the page, read from that event on, has it. If not, nothing of the page may be used before the next look."""
        found = next((event for event in page.events if event.id >= expected.id), None)
        # Late events alone may have filled the page.
        if (found is None and page.full) or (found is not None and log_identity.fingerprint(found) == expected):
            return True
        self._due = True
        return False

    def nothing_new(self) -> None:
        """The log had nothing new behind a cursor whose event is not known: the log may have gone back."""
        if self._steady() - self._looked_at >= LOOK_EVERY:
            self._due = True

    def _look(self, state: SiteState) -> bool:
        self.asked = True
        cursor = state.cursor or 0
        shown = self._log.fingerprints(sorted({*(one.id for one in state.recent), *([cursor] if cursor else [])}))
        another = log_identity.replaced(state.recent, shown)
        self.newest = cursor
        if another is None and cursor not in shown:
            self.newest = self._log.newest_id()
            another = log_identity.missing(cursor, state.recent, shown, self.newest)
            if another is not None and self.problem is None and self._may_be_late():
                return False
        if another is not None:
            self._stop(state, another)
            return False
        self._go_on(state, shown.get(cursor))
        self._hidden = {one.id for one in state.recent} - shown.keys()
        return True

    def _may_be_late(self) -> bool:
        if self._missing_since is None:
            self._missing_since = self._steady()
        return self._steady() - self._missing_since < LAG

    def _stop(self, state: SiteState, problem: str) -> None:
        if self.problem is None:
            telemetry.emit("site.changed", site=self._site, address=self._address, problem=problem)
            if not state.recent and state.cursor:
                # So that it is noticed after a restart, too, even if the log has grown past the cursor by then.
                nothing = Fingerprint(state.cursor, "", "")
                self._record(state, recent=(nothing,))
        self.problem = problem
        self._due = True

    def _go_on(self, state: SiteState, at_cursor: Fingerprint | None) -> None:
        self._missing_since = None
        if self.problem is not None:
            self.problem = None
            telemetry.emit("site.recognized", site=self._site, cursor=state.cursor)
        elif not self._begun and state.recent:
            made = state.recent[-1].created_at
            telemetry.emit("site.resumed", site=self._site, cursor=state.cursor, created_at=made)
        self._begun = True
        if state.address is None:
            self._record(state, address=self._address)
        if at_cursor is not None and at_cursor not in state.recent:
            self._record(state, recent=(*state.recent, at_cursor)[-log_identity.KEPT :])

    def _record(self, state: SiteState, **changes: object) -> None:
        self._ledger.record(replace(Intake(self._site, log_epoch=state.log_epoch), **changes), self._now())  # type: ignore[arg-type] # names of fields
