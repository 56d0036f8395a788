"""Log records are written in a thread of their own: whoever logs never waits for a terminal, a disk or a share that hangs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from logging.handlers import QueueHandler, QueueListener
from queue import Queue

from callsheet.telemetry import emit

MOST_RECORDS = 10_000
MOST_CHARACTERS = 1 << 24
"""What waits at most to be written."""

STALL = 0.5
"""Seconds without a record written after which nobody waits for room any more: the rest is left out."""


class BackgroundLog(QueueHandler):
    """Hands records to ``write``, in order. Where it falls behind, those who log wait for it; where it hangs, records are left out,
    counted, and told in a ``log.dropped`` once it goes on.
    """

    def __init__(self, name: str, write: Callable[[logging.LogRecord], object], *, most: int = MOST_RECORDS) -> None:
        """``name``: what this log is called, for people. ``most``: records that wait at most."""
        super().__init__(Queue())
        self._name = name
        self._most = most
        self._changed = threading.Condition()
        self._records = self._characters = self._dropped = 0
        self._moved_at = 0.0
        self._listener = QueueListener(self.queue, _Written(write, self._wrote))
        self._listener.start()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Have a record written, if there is room, or is going to be soon."""
        with self._changed:
            now = time.monotonic()
            if not self._records:
                self._moved_at = now
            if not self._has_room():
                # Once some are left out, all are until half of the rest is written: gaps are to be few, and told.
                if not self._dropped:
                    self._changed.wait_for(self._has_room, max(0.0, self._moved_at + STALL - now))
                if self._dropped or not self._has_room():
                    self._dropped += 1
                    return
            self._records += 1
            self._characters += _size(record)
            self.queue.put_nowait(record)

    def wait(self, grace: float) -> bool:
        """Wait until all is written, for up to ``grace`` seconds; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._records, grace)

    def end(self, grace: float) -> bool:
        """Write what waits, for up to ``grace`` seconds, and end; False if something hangs, which is left to its thread."""
        written = self.wait(grace)
        if written:
            self._listener.stop()
        return written

    def _has_room(self) -> bool:
        share = 0.5 if self._dropped else 1.0
        return self._records < self._most * share and self._characters < MOST_CHARACTERS * share

    def _wrote(self, record: logging.LogRecord) -> None:
        with self._changed:
            self._records -= 1
            self._characters -= _size(record)
            self._moved_at = time.monotonic()
            dropped = self._dropped if self._has_room() else 0
            self._dropped -= dropped
            self._changed.notify_all()
        if dropped:
            emit("log.dropped", log=self._name, count=dropped)


class _Written(logging.Handler):
    """What the thread calls for each record. Without a lock: only that thread comes here, and it may hang."""

    def __init__(self, write: Callable[[logging.LogRecord], object], wrote: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._write = write
        self._wrote = wrote

    def handle(self, record: logging.LogRecord) -> bool:
        try:
            self._write(record)
        except Exception:  # noqa: BLE001 - one odd record must not end all logging
            self.handleError(record)
        finally:
            self._wrote(record)
        return True


def _size(record: logging.LogRecord) -> int:
    return len(record.msg) if isinstance(record.msg, str) else 0
