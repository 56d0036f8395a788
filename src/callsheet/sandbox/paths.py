"""What an entity's fields hold, and dotted paths through its links: ``entity.Shot.sg_sequence.Sequence.code``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from callsheet.sandbox.refusal import bad_request
from callsheet.sandbox.schema import Field
from callsheet.sandbox.store import Entity, Store
from callsheet.sandbox.values import Link

_TWO_PART_NAMES = ("HumanUser", "ApiUser")
"""Types called by first and last name; a script's last name is its version."""


def name_of(store: Store, entity: Entity) -> str:
    """What the entity is called."""
    held = entity.values
    if entity.type in _TWO_PART_NAMES:
        return " ".join(filter(None, (held.get("firstname"), held.get("lastname"))))
    return held.get(store.schema.types[entity.type].identifier) or ""


def named(store: Store, target: Link | None) -> dict[str, Any] | None:
    """The link as the site shows it, ``{"type", "id", "name"}``; None for no link, and once its entity is retired."""
    if target is None:
        return None
    entity = store.get(target)
    if entity is None:
        return {"id": target.id, "name": f"{target.type} {target.id}", "type": target.type}
    return None if entity.retired else {"id": entity.id, "name": name_of(store, entity), "type": entity.type}


def held(store: Store, entity: Entity, field: Field) -> Any:
    """What the entity holds in that field; links to retired entities left out."""
    if field.of:
        return [one for one in store.referring(entity.link, *field.of) if not store.gone(one)]
    if field.name == "id":
        return entity.id
    if field.name == "cached_display_name" or (field.name == "name" and entity.type == "HumanUser"):
        return name_of(store, entity)
    value = entity.values.get(field.name)
    if field.data_type in ("multi_entity", "tag_list"):
        return [one for one in value or () if not (isinstance(one, Link) and store.gone(one))]
    return None if isinstance(value, Link) and store.gone(value) else value


def shown(store: Store, field: Field, value: Any) -> Any:
    """A held value as JSON."""
    if field.data_type == "entity":
        return named(store, value)
    if field.data_type == "multi_entity":
        return [named(store, one) for one in value]
    return value


@dataclass(frozen=True, slots=True)
class Path:
    """A way from an entity to a field. ``many``: it leads through links to several entities, so to several values."""

    field: Field
    many: bool
    values: Callable[[Entity], list[Any]]
    """What the field holds at every entity that the path leads to; empty when it leads nowhere."""


def path(store: Store, entity_type: str, text: object, method: str) -> Path:
    """The path that ``text`` names, from entities of that type on; Refusal if a part of it does not exist."""
    if not isinstance(text, str):
        raise bad_request(method, f"invalid/missing string 'path': {text!r}")
    first, _, rest = text.partition(".")
    field = store.schema.field(entity_type, first, method)
    if not rest:
        return Path(field, many=False, values=lambda entity: [held(store, entity, field)])
    next_type, _, rest = rest.partition(".")
    if not field.is_link or not rest or not field.leads_to(next_type):
        raise bad_request(method, f"{entity_type}.{text} doesn't exist.")
    store.schema.entity_type(next_type, method)
    onward = path(store, next_type, rest, method)

    def values(entity: Entity) -> list[Any]:
        value = held(store, entity, field)
        targets = value if isinstance(value, list) else [value]
        reached = [store.get(one) for one in targets if one is not None and one.type == next_type]
        return [found for one in reached if one is not None for found in onward.values(one)]

    return Path(onward.field, onward.many or field.data_type == "multi_entity", values)
