"""How a site answers: the pause after a failure, and the clock that counts only answered time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from callsheet import telemetry
from callsheet.domain.overview import SiteHealth
from callsheet.errors import SiteError, SiteRefusedError

FIRST_PAUSE = 0.5

SLOW_ANSWER = 20.0
"""Seconds after which a question that has no answer yet is told: its time-out may be far away."""


class SiteMonitor:
    """Told of every answer and every failure of one site."""

    def __init__(
        self,
        site: str,
        url: str,
        *,
        longest: float,
        tries: int,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``longest``: seconds between two tries at most. ``tries``: failures in a row that make a warning an error."""
        self._site = site
        self._url = url
        self._longest = longest
        self._tries = max(1, tries)
        self._now = clock
        self._steady = steady
        self._chance = chance
        self._failures = 0
        self._refused = False
        self._since: float | None = None
        self._error: str | None = None
        self._answered_at: float | None = None
        self._last_answer: float | None = None
        self._recovered_at: float | None = None
        self._clock = 0.0
        self._asking: float | None = None
        self.doubts = 0
        """How often somebody has doubted that it answers."""
        self.cleared = 0
        """How many of these doubts are older than a question that it has answered since."""

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around what asks the site."""
        self._asking = self._steady()
        try:
            yield
        finally:
            self._asking = None

    def answered(self, clock: float = 0.0) -> float:
        """The site answered. Returns the site's clock in seconds, never before ``clock`` (what the ledger has)."""
        now = self._steady()
        self._clock = max(self._clock, clock)
        if self._last_answer is not None and not self._failures:
            self._clock += now - self._last_answer
        self._last_answer = now
        self._answered_at = self._now()
        if self._failures:
            telemetry.emit("site.recovered", site=self._site, seconds=self._now() - (self._since or self._now()))
            self._failures, self._since, self._error = 0, None, None
            self._recovered_at = self._answered_at
        return self._clock

    def failed(self, error: SiteError) -> float:
        """The site did not answer, or said no. Returns the seconds to wait before the next try."""
        self._failures += 1
        self._refused = isinstance(error, SiteRefusedError)
        self._error = str(error)
        self._since = self._since or self._now()
        # Full jitter on the upper half: many daemons of one studio must not come back at the same instant.
        grown: float = FIRST_PAUSE * 2 ** min(self._failures - 1, 16)
        pause = min(self._longest, grown) * (0.5 + self._chance() / 2)
        telemetry.emit(
            "site.lost",
            site=self._site,
            error=self._error,
            attempt=(self._failures - 1) % self._tries + 1,
            of=self._tries,
            retry_in=pause,
            refused=self._refused,
            url=self._url,
        )
        return pause

    def lost(self, doubt: int, since: float) -> bool | None:
        """Whether it did not answer at a time from ``since`` (epoch) on; None if that is known only once ``doubt`` is cleared."""
        if self._failures or (self._recovered_at is not None and self._recovered_at >= since):
            return True
        return False if self.cleared >= doubt > 0 else None

    @property
    def answers(self) -> bool:
        """Whether it answered when it was last asked."""
        return self._last_answer is not None and self._failures == 0

    @property
    def lasting(self) -> bool:
        """The site refuses, or has failed so often in a row that who can't wait for it should give up for now."""
        return self._failures > 0 and (self._refused or self._failures >= self._tries)

    def health(self, newest: int | None) -> SiteHealth:
        """How the site is now."""
        error, since = self._error, self._since
        asking = self._asking
        if error is None and asking is not None:
            waited = self._steady() - max(asking, self._last_answer or 0.0)
            if waited > SLOW_ANSWER:
                error, since = f"{self._url}: asked {waited:.0f} s ago, and there is no whole answer yet", self._now() - waited
        return SiteHealth(self._site, self._url, newest, self._answered_at, error, since)
