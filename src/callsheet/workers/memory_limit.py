"""How large a worker is, and whether it has grown."""

from __future__ import annotations

from callsheet.workers.process import Process

EVERY = 2.0
"""Seconds between two looks."""

FAR_ABOVE = 2
"""A worker that has grown to so many times its limit is killed in the middle of whatever it does."""


class Memory:
    """Of one process, in bytes resident. ``size`` is that of the last look, None before the first and where it can't be told."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._look_at = 0.0
        self._base: int | None = None
        self.size: int | None = None

    def look(self, now: float) -> float:
        """Look, if it is time to; returns the monotonic time of the next look."""
        if self._look_at <= now:
            self._look_at = now + EVERY
            self.size = self._process.memory()
        return self._look_at

    def settle(self) -> None:
        """Note what it is once it is ready for work."""
        self._base = self._process.memory()

    def past(self, limit: int) -> bool:
        """Whether it has grown past the limit. What it took to get ready is no growth that a new one would fix."""
        return self._base is not None and self.size is not None and self.size > max(limit, self._base * 5 // 4)

    def far_past(self, limit: int) -> bool:
        """Whether it is so large that it can't be left to finish."""
        return self.size is not None and self.size > FAR_ABOVE * limit
