"""Events and callbacks for tests of the logic, made of what each test is about and defaults for the rest."""

from __future__ import annotations

from typing import Any

from callsheet.filters import EVERY_TYPE, AttributeRule, Rule
from callsheet.model import Callback, CallbackKey, Event, PluginKey, RetryPolicy

SITE = "studio"
CREATED_AT = "2026-11-22T03:40:10Z"


def event(event_id: int, event_type: str = "Shotgun_Task_Change", **data: Any) -> Event:
    """An event as a site sends it: a status change of Task 14 in project 65, unless ``data`` says otherwise."""
    return Event(
        SITE,
        {
            "type": "EventLogEntry",
            "id": event_id,
            "event_type": event_type,
            "attribute_name": "sg_status_list",
            "meta": {"type": "attribute_change", "entity_type": "Task", "entity_id": 14},
            "entity": {"type": "Task", "id": 14, "name": "Anim"},
            "user": {"type": "HumanUser", "id": 24, "name": "Artist"},
            "project": {"type": "Project", "id": 65, "name": "Demo"},
            "session_uuid": None,
            "created_at": CREATED_AT,
            **data,
        },
    )


def callback(
    name: str = "react",
    *types: str,
    plugin: str = "plugin",
    attributes: tuple[str, ...] | None = None,
    ordinal: int = 0,
    lane: str = "plugin",
    retry: RetryPolicy | None = None,
    on_dead: str = "continue",
    **more: Any,
) -> Callback:
    """A callback for ``types`` (none: every type) and ``attributes`` (None: any)."""
    rule = AttributeRule(Rule.ANY) if attributes is None else AttributeRule(Rule.AMONG, frozenset(attributes))
    return Callback(
        CallbackKey(PluginKey(SITE, plugin), name),
        ordinal,
        dict.fromkeys(types or (EVERY_TYPE,), rule),
        lane=lane,
        retry=retry or RetryPolicy(),
        on_dead="hold" if on_dead == "hold" else "continue",
        **more,
    )
