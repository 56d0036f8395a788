"""Which lane a delivery belongs to. Pure.

The key is within the plugin: two callbacks of one plugin with the same lane key share that lane, so both see one entity's events in
order, also relative to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callsheet.domain.callback import GLOBAL, SETTLING, Callback
from callsheet.domain.event import Event
from callsheet.wire.texts import LONGEST_NAME, short_name


def key(lane: str, event: Event, callback: str) -> str:
    """The lane's key for this event: of a ``lane`` as registered (domain.callback.Callback.lane) and the callback's name."""
    if lane in ("plugin", GLOBAL):
        return lane
    if lane == "entity":
        return _entity(event)
    if lane == "project":
        return f"project:{_link_id(event.data.get('project'))}"
    if lane == "none":
        return f"event:{event.id}:{callback}"
    return "|".join(_follow(event, path.strip()) for path in lane.split(","))


def of(callback: Callback, event: Event) -> str:
    """The key of the lane that this event has with that callback.

    One that runs in sessions has lanes of its own, each within one project, since each project has another session; so has one
    whose bursts are folded, since it waits.
    """
    found = key(callback.lane, event, callback.key.name)
    if callback.toolkit:
        found = f"toolkit:{_link_id(event.data.get('project'))}|{found}"
    found = f"{SETTLING}{callback.key.name}:{found}" if callback.settle else found
    return found if len(found) <= LONGEST_NAME and found.isascii() and "\0" not in found else short_name(found)


def _entity(event: Event) -> str:
    """``Task:14``, also of an entity that is retired by now; one lane for all of which nobody knows the entity."""
    kind, number = event.entity or ("", None)
    return "entity:none" if number is None else f"{kind}:{number}"


def _link_id(link: Any) -> str:
    return str(link.get("id")) if isinstance(link, Mapping) else "none"


def _follow(event: Event, path: str) -> str:
    """The value at a dotted path into the event, as text; a step that leads nowhere gives ``none``."""
    value: Any = {**event.data, "meta": event.meta}
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping) and "id" in value:
        return f"{value.get('type')}:{value['id']}"
    return "none" if value is None else str(value)
