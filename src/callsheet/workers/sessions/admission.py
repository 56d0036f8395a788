"""Who may have a worker: at most so many sessions at once, in the order in which they were wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from callsheet.workers.sessions.session import Session

TURN = 10.0
"""Seconds after which a session that always has something to do makes room, once it has finished what it runs, if others wait."""


class Places:
    """Counts sessions that are live, and keeps those that wait to be."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queue: deque[Session] = deque()

    def ask(self, session: Session, live: int) -> bool:
        """Whether the session, which is not live, may be; else it is kept for ``admitted``. ``live``: how many are."""
        if live < self._most and not self._queue:
            return True
        if session not in self._queue:
            self._queue.append(session)
        return False

    def admitted(self, live: int) -> list[Session]:
        """Those that may be live now, in order."""
        admitted: list[Session] = []
        while self._queue and live + len(admitted) < self._most:
            session = self._queue.popleft()
            if session.waiting or session.warm:  # what it was wanted for may have gone back
                admitted.append(session)
        return admitted

    def displaced(self, sessions: Collection[Session], now: float) -> Session | None:
        """Who is to end for the first in the queue: the one idle longest, else the one whose turn has been longest.

        None while nobody waits, while enough are ending already, and where all have something to do and have just begun. One that
        was told to end and still runs something may take hours: it keeps nobody from the place of one that is idle.
        """
        ending = [one.worker for one in sessions if one.worker is not None and one.worker.leaving]
        idle = [one for one in sessions if one.idle]
        if idle and len(self._queue) > sum(1 for worker in ending if not worker.occupied):
            return min(idle, key=lambda one: one.used_at)
        if len(self._queue) <= len(ending):
            return None
        long = [one for one in sessions if one.open and now - one.serving_since > TURN]
        return min(long, key=lambda one: one.serving_since, default=None)
