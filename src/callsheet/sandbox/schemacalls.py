"""The ``schema_…`` calls: the schema in the shape in which a site tells it, and changes to its fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from callsheet.sandbox.refusal import bad_request
from callsheet.sandbox.schema import DATA_TYPES, EntityType, Field
from callsheet.sandbox.store import Store


class SchemaCalls:
    """Schema calls of one site; changes of fields are kept in its database. Used under its store's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def load(self) -> None:
        """Make again the changes that the database knows of."""
        for kind, name, data in self._store.sql.execute("SELECT type, name, data FROM changed_fields").fetchall():
            if data is not None:
                spec = json.loads(data)
                links = {"to": tuple(spec["to"]), "values": tuple(spec["values"]), "of": tuple(spec["of"]) if spec["of"] else None}
                self._store.schema.put_field(kind, Field(**spec | links))
            elif name in self._store.schema.types[kind].fields:
                self._store.schema.drop_field(kind, name)

    def entity_read(self, _params: Any) -> dict[str, Any]:
        """``{entity type: {"name": …, "visible": …}}``."""
        return {one.name: {"name": _said(one.title), "visible": _said(value=True)} for one in self._store.schema.types.values()}

    def read(self, _params: Any) -> dict[str, Any]:
        """``{entity type: {field: description}}``."""
        return {one.name: _fields(one) for one in self._store.schema.types.values()}

    def field_read(self, params: Any) -> dict[str, Any]:
        """``{field: description}``: all fields of a type, or the one named."""
        entity_type = self._type(params, "schema_field_read")
        name = params.get("field_name")
        if not name:
            return _fields(entity_type)
        return {name: _field(entity_type, self._store.schema.field(entity_type.name, name, "schema_field_read"))}

    def field_create(self, params: Any) -> str:
        """Add a field; returns the name that it got."""
        entity_type = self._type(params, "schema_field_create")
        data_type, given = params.get("data_type"), _properties(params)
        if data_type not in DATA_TYPES:
            raise bad_request("schema_field_create", f"unknown data_type {data_type!r}. Valid types: {sorted(DATA_TYPES)}")
        title = given.get("name")
        if not isinstance(title, str) or not title:
            raise bad_request("schema_field_create", "a field needs the property 'name'")
        name = plain = "sg_" + re.sub(r"\W+", "_", title.lower()).strip("_")
        number = 0
        while name in entity_type.fields:
            number += 1
            name = f"{plain}_{number}"
        with self._store.transaction():
            self._keep(entity_type.name, _changed(Field(name, data_type, title, custom=True), given))
        return name

    def field_update(self, params: Any) -> bool:
        """Change properties of a field."""
        entity_type = self._type(params, "schema_field_update")
        field = self._store.schema.field(entity_type.name, params.get("field_name"), "schema_field_update")
        with self._store.transaction():
            self._keep(entity_type.name, _changed(field, _properties(params)))
        return True

    def field_delete(self, params: Any) -> bool:
        """Delete a custom field."""
        entity_type = self._type(params, "schema_field_delete")
        field = self._store.schema.field(entity_type.name, params.get("field_name"), "schema_field_delete")
        if not field.custom:
            raise bad_request("schema_field_delete", f"{entity_type.name}.{field.name} can't be deleted: it is not a custom field.")
        with self._store.transaction():
            self._store.schema.drop_field(entity_type.name, field.name)
            row = (entity_type.name, field.name)
            self._store.sql.execute("INSERT OR REPLACE INTO changed_fields (type, name, data) VALUES (?, ?, NULL)", row)
        return True

    def _type(self, params: Any, method: str) -> EntityType:
        return self._store.schema.entity_type(params.get("type") if isinstance(params, Mapping) else None, method)

    def _keep(self, entity_type: str, field: Field) -> None:
        self._store.schema.put_field(entity_type, field)
        row = (entity_type, field.name, json.dumps(asdict(field)))
        self._store.sql.execute("INSERT OR REPLACE INTO changed_fields (type, name, data) VALUES (?, ?, ?)", row)


def _properties(params: Any) -> dict[str, Any]:
    return {one["property_name"]: one.get("value") for one in params.get("properties") or ()}


def _changed(field: Field, given: Mapping[str, Any]) -> Field:
    return replace(
        field,
        title=given.get("name", field.title),
        description=given.get("description", field.description),
        to=tuple(given.get("valid_types") or field.to),
        values=tuple(given.get("valid_values") or field.values),
        default=given.get("default_value", field.default),
        summary_default=given.get("summary_default", field.summary_default),
    )


def _said(value: Any, *, editable: bool = False) -> dict[str, Any]:
    return {"value": value, "editable": editable}


def _fields(entity_type: EntityType) -> dict[str, Any]:
    return {field.name: _field(entity_type, field) for field in entity_type.fields.values()}


def _field(entity_type: EntityType, field: Field) -> dict[str, Any]:
    properties = {
        "default_value": _said(field.default, editable=not field.fixed),
        "summary_default": _said(field.summary_default, editable=True),
    }
    if field.is_link:
        properties["valid_types"] = _said(list(field.to), editable=True)
    if field.data_type in ("list", "status_list"):
        properties["valid_values"] = _said(list(field.values), editable=True)
        properties["hidden_values"] = _said([])
        properties["display_values"] = _said({one: one for one in field.values})
    return {
        "name": _said(field.title, editable=True),
        "description": _said(field.description, editable=True),
        "entity_type": _said(entity_type.name),
        "data_type": _said(field.data_type),
        "editable": _said(not field.fixed),
        "mandatory": _said(field.mandatory),
        "unique": _said(value=False),
        "visible": _said(value=True),
        "properties": properties,
        "custom_metadata": _said("", editable=True),
        "ui_value_displayable": _said(value=True),
    }
