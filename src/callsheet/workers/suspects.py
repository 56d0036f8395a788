"""Runs that must be alone in their worker, since a delivery in each ran beside others when a worker died.

With one delivery under way, a death is that one's doing. With several, nobody can tell: they are suspects, none is charged, and
each runs by itself next. Whoever is guilty shows, and the innocent lose nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from callsheet.domain.delivery import Delivery, Run


class SuspectRuns:
    """Which runs of one worker wait, and which may be given to it now."""

    def __init__(self) -> None:
        self._suspects: set[int] = set()
        self._waiting: deque[Run] = deque()
        self._alone: int | None = None

    @property
    def closed(self) -> bool:
        """No further runs are to be asked for: one runs alone, or some wait for that."""
        return self._alone is not None or bool(self._waiting)

    def suspect(self, deliveries: Iterable[Delivery]) -> None:
        """Have each of these run alone when it comes next."""
        self._suspects.update(delivery.id for delivery in deliveries)

    def admit(self, run: Run, busy: int) -> list[Run]:
        """Take a run in; returns those that may be given now to the worker, which has ``busy`` runs."""
        if not self._suspects and not self.closed:
            return [run]
        self._waiting.append(run)
        return self.next(busy)

    def ended(self, run: int) -> None:
        """Note that a run ended."""
        if self._alone == run:
            self._alone = None

    def reported(self, delivery: int) -> None:
        """Note that a delivery came to its end by itself: it is above suspicion."""
        self._suspects.discard(delivery)

    def next(self, busy: int) -> list[Run]:
        """The waiting runs that may be given now to the worker, which has ``busy`` runs."""
        if self._alone is not None:
            return []
        run = next((one for one in self._waiting if self._is_suspect(one)), None)
        if run is None:
            given = list(self._waiting)
            self._waiting.clear()
            return given
        if busy:
            return []
        self._waiting.remove(run)
        self._alone = run.id
        return [run]

    def give_up(self) -> list[Run]:
        """The worker is gone: all waiting runs, to be handed back. Suspects stay suspects."""
        given = list(self._waiting)
        self._waiting.clear()
        self._alone = None
        return given

    def _is_suspect(self, run: Run) -> bool:
        return any(delivery.id in self._suspects for delivery in run.deliveries)
