"""The timing log: a line for each callback that ran, as shotgunEvents writes it.

``event_id=7 created_at=<iso> callback=plugin.callback start=<iso> end=<iso> duration=DD:HH:MM:SS.micro error=False delay=…``,
all times local with their offset; ``delay`` is from the event's creation to the callback's start.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from callsheet.domain.delivery import State
from callsheet.logs.background import BackgroundLog
from callsheet.logs.log_files import GRACE, rotating_file
from callsheet.settings import LogSettings
from callsheet.telemetry import Signal, subscribe, unsubscribe
from callsheet.wire.texts import printable


class TimingLog:
    """Listens for settled deliveries for as long as it is open."""

    def __init__(self, settings: LogSettings, *, group: int | None = None) -> None:
        """Open ``<file>.timing`` beside the log file, for the same to read. Raises OSError when it can't be opened."""
        self.path = (settings.path or Path()) / f"{settings.file}.timing"
        self._handler = rotating_file(self.path, group, settings.size)
        self._queue = BackgroundLog("the timing log", self._write)
        subscribe(self._on_settled, "delivery.settled")

    def reopen(self) -> None:
        """Open the file again, once what was said so far is written."""
        self._queue.emit(logging.makeLogRecord({"reopens": True}))

    def _write(self, record: logging.LogRecord) -> None:
        if "reopens" in record.__dict__:
            self._handler.reopen()
        else:
            self._handler.handle(record)

    def close(self, grace: float = GRACE) -> bool:
        """Stop listening, write what waits, for up to ``grace`` seconds, and close the file; False if it hangs."""
        unsubscribe(self._on_settled)
        if not self._queue.end(grace):
            return False
        self._handler.close()
        return True

    def _on_settled(self, signal: Signal) -> None:
        facts = signal.facts
        never_called = not facts.get("started") or (facts.get("legacy") and facts.get("state") == State.SKIPPED.word)
        if not never_called:
            text = line(facts)
            self._queue.emit(logging.LogRecord("timing", logging.INFO, __file__, 0, text, None, None))


def line(facts: dict[str, Any]) -> str:
    """The line for the facts of a ``delivery.settled``."""
    start, end = (datetime.fromtimestamp(facts[name], UTC).astimezone() for name in ("started", "ended"))
    created = _created(facts.get("created_at"))
    delay = "unknown" if created is None else pretty(start - created)
    return (
        f"event_id={facts['event_id']} created_at={created.isoformat() if created else 'unknown'} "
        f"callback={printable(facts['plugin'])}.{printable(facts['callback'])} start={start.isoformat()} end={end.isoformat()} "
        f"duration={pretty(end - start)} error={bool(facts.get('error'))} delay={delay}"
    )


def pretty(delta: timedelta) -> str:
    """``DD:HH:MM:SS.micro``; a negative one (clocks differ) has negative days, the rest counts forward, as in shotgunEvents."""
    hours, rest = divmod(delta.seconds, 3600)
    return f"{delta.days:02d}:{hours:02d}:{rest // 60:02d}:{rest % 60:02d}.{delta.microseconds:06d}"


def _created(value: str | float | None) -> datetime | None:
    """When the event was created; the site sends ``2026-11-22T03:40:10Z``, seldom nothing, or what is no time."""
    try:
        if isinstance(value, str):
            return datetime.fromisoformat(value).astimezone()
        return datetime.fromtimestamp(value, UTC).astimezone() if value else None
    except (ValueError, OverflowError, OSError, TypeError):
        return None
