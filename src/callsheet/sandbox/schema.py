"""The entity types and fields of the pretend site, read from ``schema.toml``; fields can be added, changed and removed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

from callsheet.sandbox.refusal import bad_request

ANY_TYPE = "*"
"""In ``Field.to``: a link that may lead to every entity type."""

EVENT = "EventLogEntry"

DATA_TYPES = frozenset(
    (
        "checkbox",
        "color",
        "currency",
        "date",
        "date_time",
        "duration",
        "entity",
        "entity_type",
        "float",
        "image",
        "list",
        "multi_entity",
        "number",
        "password",
        "percent",
        "serializable",
        "status_list",
        "tag_list",
        "text",
        "timecode",
        "url",
        "uuid",
    )
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an entity type. ``of``: its values are the other end of that (type, field), and not kept here."""

    name: str
    data_type: str
    title: str
    to: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    default: Any = None
    of: tuple[str, str] | None = None
    fixed: bool = False
    mandatory: bool = False
    custom: bool = False
    description: str = ""
    summary_default: str = "none"

    @property
    def is_link(self) -> bool:
        """Whether it leads to other entities, to one or to several."""
        return self.data_type in ("entity", "multi_entity")

    def leads_to(self, entity_type: str) -> bool:
        """Whether it may hold a link to an entity of that type."""
        return entity_type in self.to or ANY_TYPE in self.to


@dataclass(slots=True)
class EntityType:
    """One entity type. ``identifier`` is the field that its entities are called by."""

    name: str
    title: str
    identifier: str
    needs_project: bool
    fields: dict[str, Field] = field(default_factory=dict)


class Schema:
    """All entity types of one site. ``mirrors`` tells which field of a type shows the other end of a link field."""

    def __init__(self) -> None:
        self.types: dict[str, EntityType] = {}
        self.mirrors: dict[tuple[str, str], dict[str, str]] = {}
        for name, spec in _table().items():
            if name not in ("statuses", "common"):
                self.types[name] = _entity_type(name, spec)
        for entity_type in self.types.values():
            for one in entity_type.fields.values():
                if one.of:
                    self.mirrors.setdefault(one.of, {})[entity_type.name] = one.name

    def entity_type(self, name: object, method: str) -> EntityType:
        """The entity type of that name; Refusal if there is none."""
        found = self.types.get(name) if isinstance(name, str) else None
        if found is None:
            known = ", ".join(sorted(self.types))
            raise bad_request(method, f"invalid/missing string entity 'type' {name!r}. Valid entity types: [{known}]")
        return found

    def field(self, entity_type: str, name: object, method: str) -> Field:
        """That field of that type; Refusal if there is none."""
        found = self.types[entity_type].fields.get(name) if isinstance(name, str) else None
        if found is None:
            raise bad_request(method, f"{entity_type}.{name} doesn't exist.")
        return found

    def put_field(self, entity_type: str, new: Field) -> None:
        """Add a field, or put one in the place of another of the same name."""
        self.types[entity_type].fields[new.name] = new

    def drop_field(self, entity_type: str, name: str) -> None:
        """Forget a field; what entities hold in it stays with them, unseen."""
        del self.types[entity_type].fields[name]


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("schema.toml").read_text(encoding="utf-8"))


def _entity_type(name: str, spec: Mapping[str, Any]) -> EntityType:
    table = _table()
    identifier: str = spec["identifier"]
    specs = dict(table["common"]["fields"]) | dict(spec["fields"])
    if spec.get("project"):
        specs["project"] = {"type": "entity", "to": ["Project"]}
    if status := spec.get("status"):
        values = table["statuses"][status]
        specs["sg_status_list"] = {"type": "status_list", "name": "Status", "values": values, "default": values[0]}
    fields = {one: _field(one, made if isinstance(made, dict) else {"type": made}) for one, made in specs.items()}
    fields[identifier] = replace(fields[identifier], mandatory=True)
    return EntityType(name, spec.get("title", _words(name)), identifier, bool(spec.get("project")), fields)


def _field(name: str, spec: Mapping[str, Any]) -> Field:
    data_type = spec["type"]
    if data_type not in DATA_TYPES:
        raise ValueError(f"schema.toml: field {name} has the unknown data type {data_type}")
    owner, _, owned = spec.get("of", "").partition(".")
    return Field(
        name,
        data_type,
        spec.get("name") or name.removeprefix("sg_").replace("_", " ").title(),
        tuple(spec.get("to", ())),
        tuple(spec.get("values", ())),
        spec.get("default"),
        (owner, owned) if owner else None,
        bool(spec.get("fixed")),
        custom=name.startswith("sg_"),
    )


def _words(name: str) -> str:
    """``TaskTemplate`` → ``Task Template``."""
    return "".join(f" {letter}" if letter.isupper() and place else letter for place, letter in enumerate(name))
