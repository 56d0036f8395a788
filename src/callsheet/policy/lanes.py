"""Which lane a delivery belongs to. Pure.

The key is within the plugin: two callbacks of one plugin with the same lane key share that lane, so both see one entity's events in
order, also relative to each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from callsheet.model import GLOBAL, Event


def key(lane: str, event: Event, callback: str) -> str:
    """The lane's key for this event: of a ``lane`` as registered (model.Callback.lane) and the callback's name."""
    if lane in ("plugin", GLOBAL):
        return lane
    if lane == "entity":
        return _entity(event)
    if lane == "project":
        return f"project:{_link_id(event.data.get('project'))}"
    if lane == "none":
        return f"event:{event.id}:{callback}"
    return "|".join(_follow(event, path.strip()) for path in lane.split(","))


def _entity(event: Event) -> str:
    """``Task:14``. From ``meta`` first: the ``entity`` link is null once the entity is retired, and meta stays."""
    meta = _meta(event)
    kind, number = meta.get("entity_type"), meta.get("entity_id")
    if kind is None or number is None:
        link = event.data.get("entity")
        if not isinstance(link, Mapping):
            return "entity:none"
        kind, number = link.get("type"), link.get("id")
    return f"{kind}:{number}"


def _meta(event: Event) -> Mapping[str, Any]:
    """The event's ``meta`` as a mapping; a site may send it as JSON text, or not at all."""
    meta = event.data.get("meta")
    if isinstance(meta, str):
        try:
            meta = json.loads(meta)
        except ValueError:
            return {}
    return meta if isinstance(meta, Mapping) else {}


def _link_id(link: Any) -> str:
    return str(link.get("id")) if isinstance(link, Mapping) else "none"


def _follow(event: Event, path: str) -> str:
    """The value at a dotted path into the event, as text; a step that leads nowhere gives ``none``."""
    value: Any = {**event.data, "meta": _meta(event)}
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping) and "id" in value:
        return f"{value.get('type')}:{value['id']}"
    return "none" if value is None else str(value)
