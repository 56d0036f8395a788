"""Messages on their way from the workers to ``collect``."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from callsheet.ports import Message


class ReportQueue:
    """A queue that is emptied as a whole. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._arrived = threading.Condition(threading.Lock())
        self._messages: list[Message] = []
        self._woken = False

    def put(self, messages: Iterable[Message]) -> None:
        """Add messages, in order."""
        with self._arrived:
            self._messages.extend(messages)
            if self._messages:
                self._arrived.notify_all()

    def wake(self) -> None:
        """End a waiting ``take``, or the next one, early."""
        with self._arrived:
            self._woken = True
            self._arrived.notify_all()

    def take(self, timeout: float) -> list[Message]:
        """All messages; waits up to ``timeout`` seconds for the first, or for ``wake``."""
        with self._arrived:
            if not self._messages and not self._woken:
                self._arrived.wait(timeout)
            self._woken = False
            taken, self._messages = self._messages, []
            return taken
