"""What a write asks for, and whether it may be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callsheet.sandbox.refusal import bad_request, failed
from callsheet.sandbox.schema import EVENT, EntityType, Field
from callsheet.sandbox.store import Entity, Store
from callsheet.sandbox.values import Link, checked

ON_CREATE = ("created_at", "created_by", "updated_at", "updated_by")
"""Fixed fields that a creation may set."""


def asked(store: Store, params: Any, method: str) -> tuple[EntityType, list[tuple[str, Any, str]]]:
    """The entity type and the fields (name, value, multi-entity mode) that a write asks for."""
    if not isinstance(params, Mapping):
        raise bad_request(method, f"expected [Hash] data type(s) but got {params!r}")
    entity_type = store.schema.entity_type(params.get("type"), method)
    if entity_type.name == EVENT and method != "create":
        raise failed(method, f"an {EVENT} can't be changed, only created and read.")
    given = []
    for one in params.get("fields") or ():
        if not isinstance(one, Mapping) or not isinstance(one.get("field_name"), str):
            raise bad_request(method, f"invalid/missing 'field_name': {one!r}")
        given.append((one["field_name"], one.get("value"), one.get("multi_entity_update_mode") or "set"))
    return entity_type, given


def existing(store: Store, entity_type: EntityType, params: Mapping[str, Any], method: str) -> Entity:
    """The entity that a write is about; Refusal if it is not there, or in the trash and to be updated."""
    number = params.get("id")
    found = store.get(Link(entity_type.name, number)) if isinstance(number, int) else None
    if found is None or (found.retired and method == "update"):
        why = "is in the trash; revive it first" if found else "does not exist"
        raise failed(method, f"Entity of type [{entity_type.name}] with id={number} {why}.")
    return found


def writable(store: Store, entity_type: str, name: str, value: Any, method: str) -> tuple[Field, Any]:
    """The field, and the value as it is kept; Refusal for what can't be written there."""
    field = store.schema.field(entity_type, name, method)
    if field.fixed and not (method == "create" and name in ON_CREATE):
        raise bad_request(method, f"{entity_type}.{name} is {'editable on create only' if name in ON_CREATE else 'read only'}.")
    kept = checked(field, entity_type, value, method)
    for one in kept if isinstance(kept, list) else [kept]:
        if isinstance(one, Link) and one.type != EVENT and store.get(one) is None:
            raise failed(method, f"{method.title()} failed for [{entity_type}.{name}]: {one.type} {one.id} does not exist.")
    identifier = store.schema.types[entity_type].identifier
    if name == identifier and kept == "":
        raise failed(method, f"{method.title()} failed for [{entity_type}]: Cannot set identifier field to empty. ({entity_type})")
    return field, kept
