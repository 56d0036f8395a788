"""Events and callbacks for tests of the logic, made of what each test is about and defaults for the rest."""

from __future__ import annotations

from typing import Any

from callsheet.domain.callback import EVERY_TYPE, AttributeRule, Callback, CallbackKey, PluginKey, RetryPolicy, Rule
from callsheet.domain.event import Event

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


def _other_side(entity: Any, entity_type: str, entity_id: int, **meta: Any) -> dict[str, Any]:
    """Of a shot whose tasks changed since Task 9 was linked to it; in ``meta`` the ids may be of either side."""
    meta |= {"type": "attribute_change", "attribute_name": "tasks", "entity_type": entity_type, "entity_id": entity_id}
    return {"event_type": "Shotgun_Shot_Change", "attribute_name": "tasks", "meta": meta, "entity": entity}


_SHOT = {"type": "Shot", "id": 3, "name": "010"}
_TRIGGER = {"actual_attribute_changed": "Task.entity"}
_CONNECTION = "CustomEntity01_sg_a_Connection"
_SELF = {"actual_attribute_changed": "Shot.shots"}

ENTITIES: tuple[tuple[str, dict[str, Any], tuple[str, int | None] | None], ...] = (
    ("a plain change", {}, ("Task", 14)),
    ("retired since", {"entity": None}, ("Task", 14)),
    ("meta as JSON text", {"entity": None, "meta": '{"entity_type": "Task", "entity_id": 14}'}, ("Task", 14)),
    ("no meta", {"meta": None}, ("Task", 14)),
    ("meta that can't be read", {"meta": "no json"}, ("Task", 14)),
    ("meta too deep to be read", {"entity": None, "meta": '{"a":' * 100_000}, None),
    ("the other side in a log of 2015", _other_side(_SHOT, "Task", 9, **_TRIGGER), ("Shot", 3)),
    ("the other side in a log of 2026", _other_side(_SHOT, "Shot", 3), ("Shot", 3)),
    ("of 2015, retired since", _other_side(None, "Task", 9, **_TRIGGER), ("Shot", None)),
    ("of 2026, retired since", _other_side(None, "Shot", 3), ("Shot", 3)),
    ("of two shots, retired since", _other_side(None, "Shot", 9, **_SELF), ("Shot", None)),
    ("a link without an id", {"entity": {"type": "Task"}}, ("Task", 14)),
    ("an id that is none", {"entity": None, "meta": {"entity_type": "Task", "entity_id": True}}, None),
    ("an id as text", {"entity": None, "meta": {"entity_type": "Task", "entity_id": "14"}}, None),
    ("a type that is none", {"entity": {"type": 7, "id": 3}, "meta": {}}, None),
    ("maintenance", {"event_type": "SG_Maintenance", "entity": None, "meta": {}}, None),
    ("no entity event", {"event_type": "SG_Odd", "entity": None, "meta": _TRIGGER}, None),
    (
        "a type with underscores",
        {"event_type": f"Shotgun_{_CONNECTION}_Change", "entity": None, "meta": _TRIGGER},
        (_CONNECTION, None),
    ),
)
"""What it is, how it differs from ``event``'s data, and which entity the event is about."""


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
