"""An event of a site's log, as a value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

_encode = json.JSONEncoder(separators=(",", ":")).encode


_ENTITY_EVENT = re.compile(r"Shotgun_(\w+)_(?:New|Change|Retirement|Revival)").fullmatch


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
        return meta_of(self.data)

    @property
    def subject(self) -> tuple[str, int | None] | None:
        """Type and id of the entity that the event is about; see ``subject_of``."""
        return subject_of(self.data)


def meta_of(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ``meta`` of an event's data as a mapping; empty where there is none, or none that can be read."""
    meta = data.get("meta")
    if type(meta) is dict:
        return meta
    if isinstance(meta, str):
        try:
            meta = json.loads(meta)
        except (ValueError, RecursionError):
            return {}
    return meta if isinstance(meta, Mapping) else {}


def subject_of(data: Mapping[str, Any]) -> tuple[str, int | None] | None:
    """Type and id of the entity that an event is about. The id is None where only the type is known; None where there is no entity.

    The ``entity`` link tells. It is null once the entity is retired, and then ``meta`` tells; except on the other side of a changed
    link (``actual_attribute_changed``), where sites have written the side that triggered the change into it: the ids there may be
    of another entity, and only the type is known, by the name of the event type.
    """
    link = data.get("entity")
    found = _typed_id(link.get("type"), link.get("id")) if isinstance(link, Mapping) else None
    if found is not None:
        return found
    meta = meta_of(data)
    if "actual_attribute_changed" not in meta:
        return _typed_id(meta.get("entity_type"), meta.get("entity_id"))
    named = _ENTITY_EVENT(str(data.get("event_type")))
    return (named[1], None) if named else None


def _typed_id(kind: Any, number: Any) -> tuple[str, int | None] | None:
    known = isinstance(kind, str) and isinstance(number, int) and not isinstance(number, bool)
    return (kind, number) if known else None
