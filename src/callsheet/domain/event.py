"""An event of a site's log, as a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from callsheet.wire import event_facts
from callsheet.wire.event_facts import Entity

_encode = json.JSONEncoder(separators=(",", ":")).encode

LARGEST_ID = 10**12
"""Ids of events are below it: more than a log has, and few enough that a ledger can tell the events of several logs apart."""


@dataclass(frozen=True)
class Event:
    """One EventLogEntry as the site sent it: JSON types only, times as ``2026-11-22T03:40:10Z``."""

    site: str
    data: Mapping[str, Any]
    text: str | None = field(default=None, compare=False)
    """``data`` as the site wrote it, where that was kept."""

    @cached_property
    def id(self) -> int:
        """The event's id; grows with the log, though not always in the order of arrival."""
        return int(self.data["id"])

    @property
    def type(self) -> str:
        """The event type, such as ``Shotgun_Task_Change``."""
        return str(self.data["event_type"])

    @property
    def payload(self) -> str:
        """The event as JSON text: what the ledger keeps and the worker gets."""
        return self._encoded if self.text is None else self.text

    @cached_property
    def _encoded(self) -> str:
        return _encode(self.data)

    @property
    def meta(self) -> Mapping[str, Any]:
        """The event's ``meta`` as a mapping; a site may send it as JSON text, or not at all."""
        return event_facts.meta_of(self.data)

    @property
    def made_at(self) -> float | None:
        """When the event was made, in epoch seconds (a time without a zone is in UTC); None for a time that can't be read."""
        try:
            made = datetime.fromisoformat(str(self.data["created_at"]))
            return (made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()
        except (KeyError, ValueError, OverflowError):
            return None

    @property
    def entity(self) -> Entity | None:
        """Type and id of the entity that the event is about; see ``event_facts.entity_of``."""
        return event_facts.entity_of(self.data)
