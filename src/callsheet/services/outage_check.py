"""Whether a callback failed since its site did not answer, where only the reading of that site can tell.

Workers know errors that a site in trouble gives. Of whatever else comes out of the client they say that it did: a key that is
refused, a fault in words of its own. If the reading has the same trouble, it is the site's, and costs the callback no attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from callsheet.domain.delivery import Report, RunEnded, Verdict
from callsheet.wire.transient import is_in_doubt

_CLIENT = "shotgun_api3"


class SiteCheck(Protocol):
    """The reading of a site, as asked by others."""

    def doubt(self) -> int:
        """Have the site asked, at once. Returns what to ask `lost` with."""

    def lost(self, doubt: int, since: float) -> bool | None:
        """Whether it did not answer at a time from ``since`` (epoch) to that doubt; None as long as nobody knows."""


class OutageCheck:
    """Holds back what comes of a run for as long as the site is being asked. Used by one thread."""

    def __init__(self, site: Callable[[str], SiteCheck | None]) -> None:
        """``site`` finds the reading of a site by name; None: of one that nobody reads, of which nothing is in doubt."""
        self._site = site
        self._held: dict[int, tuple[SiteCheck, int, list[Report | RunEnded]]] = {}
        self._lost: dict[int, bool] = {}

    def checked(self, message: Report | RunEnded, site: str) -> Report | RunEnded | None:
        """The message, marked as passing if it is; None if that is to be found out: then ``settled`` gives it back, to be checked
        again.
        """
        run = message.run_id
        if run in self._held:
            self._held[run][2].append(message)
            return None
        if not isinstance(message, Report):
            self._lost.pop(run, None)  # it has ended
            return message
        reading = self._site(site) if _of_the_client(message) else None
        if reading is None:
            return message
        lost = self._lost[run] if run in self._lost else reading.lost(0, message.started)
        if lost is None and _in_doubt(message):
            self._held[run] = (reading, reading.doubt(), [message])
            return None
        return message._replace(passing=bool(lost))

    def settled(self, *, over: bool = False) -> list[Report | RunEnded]:
        """What was held back and is known by now, in order. ``over``: nobody is going to find out any more, so all of it passes:
        it proves nothing, and is called again.
        """
        given: list[Report | RunEnded] = []
        for run, (reading, doubt, messages) in list(self._held.items()):
            since = min(one.started for one in messages if isinstance(one, Report))
            lost = True if over else reading.lost(doubt, since)
            if lost is not None:
                del self._held[run]
                self._lost[run] = lost
                given += messages
        return given


def _of_the_client(report: Report) -> bool:
    if report.passing or report.verdict not in (Verdict.FAILED, Verdict.RETRY, Verdict.TIMEOUT):
        return False
    # A worker that was killed past its deadline says nothing; its stack at that moment does.
    return report.client or (
        report.failure is not None and report.verdict is Verdict.TIMEOUT and _CLIENT in report.failure.traceback
    )


def _in_doubt(report: Report) -> bool:
    return report.failure is None or is_in_doubt(report.failure.kind, report.failure.text)
