"""``create``, ``update``, ``delete`` and ``revive``, with the events that a site writes for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from callsheet.sandbox.auth import Actor
from callsheet.sandbox.event_store import EventLog, NewEvent
from callsheet.sandbox.event_writer import EventWriter
from callsheet.sandbox.paths import held, path
from callsheet.sandbox.reads import Reader
from callsheet.sandbox.refusal import Refusal, bad_request, failed
from callsheet.sandbox.schema import EVENT, EntityType, Field
from callsheet.sandbox.store import Entity, Store
from callsheet.sandbox.values import Link, timestamp
from callsheet.sandbox.writable import ON_CREATE, asked, existing, writable

_INVENTED = ("code", "content", "name", "title")
"""Identifiers that a site makes up when a creation leaves them out."""


class Writer:
    """Writes of one caller, at one time. Each is one transaction, unless it happens within one."""

    def __init__(self, store: Store, log: EventLog, reader: Reader, actor: Actor, now: float) -> None:
        self._store = store
        self._log = log
        self._reader = reader
        self._actor = actor
        self._now = now
        self._scribe = EventWriter(store, log, actor, now)

    def create(self, params: Any) -> dict[str, Any]:
        """A new entity, as the client gets it: type, id, the fields given and those in ``return_fields``."""
        entity_type, given = asked(self._store, params, "create")
        with self._store.transaction():
            entity = self._log_entry(given) if entity_type.name == EVENT else self._create(entity_type, given)
            return self._reader.row(entity, [*(name for name, _, _ in given), *(params.get("return_fields") or ())], "create")

    def update(self, params: Any) -> dict[str, Any]:
        """The entity changed: type, id and the fields given, as they are now."""
        entity_type, given = asked(self._store, params, "update")
        with self._store.transaction():
            entity = self._update(existing(self._store, entity_type, params, "update"), given)
            return self._reader.row(entity, [name for name, _, _ in given], "update")

    def delete(self, params: Any) -> bool:
        """Retire an entity; False if it is retired already."""
        return self._retire(params, "delete", retired=True)

    def revive(self, params: Any) -> bool:
        """Bring an entity back; False if it is not retired."""
        return self._retire(params, "revive", retired=False)

    def batch(self, requests: Any) -> list[Any]:
        """Several of these, all or none; the events come in the order of the requests."""
        if not isinstance(requests, list):
            raise bad_request("batch", f"expected [Array] data type(s) but got {requests!r}")
        verbs = {"create": self.create, "update": self.update, "delete": self.delete, "revive": self.revive}
        results = []
        with self._store.transaction():
            for index, one in enumerate(requests):
                verb = verbs.get(str(one.get("request_type"))) if isinstance(one, Mapping) else None
                try:
                    if verb is None:
                        raise bad_request("batch", f"request_type must be one of: {', '.join(verbs)}; got {one!r}")
                    results.append(verb(one))
                except Refusal as problem:
                    told = f"API batch() request with index {index} failed.  All requests rolled back.\n{problem}"
                    raise Refusal(problem.code, told) from problem
        return results

    def _create(self, entity_type: EntityType, given: list[tuple[str, Any, str]]) -> Entity:
        name = entity_type.name
        fields = {one: writable(self._store, name, one, value, "create") for one, value, _ in given}
        if entity_type.needs_project and not fields.get("project", (None, None))[1]:
            raise bad_request("create", f"missing 'project' attribute: {sorted(fields)}")
        number = self._store.next_id(name)
        now = timestamp(self._now)
        values = {one.name: one.default for one in entity_type.fields.values() if one.default is not None}
        values |= {"created_at": now, "updated_at": now, "created_by": self._actor.link, "updated_by": self._actor.link}
        values |= {one: kept for one, (field, kept) in fields.items() if not field.of}
        if entity_type.identifier in _INVENTED and values.get(entity_type.identifier) is None:
            values[entity_type.identifier] = f"New {entity_type.title} {number}"
        entity = Entity(name, number, values)
        self._store.put(entity)
        self._scribe.created(entity)
        for one in [*fields, *(one for one in values if one not in fields)]:
            field = entity_type.fields[one]
            if field.of:
                self._relink(entity, field, fields[one][1], in_create=True)
            elif one not in (*ON_CREATE, "project") and _says_something(values[one]):
                self._scribe.changed(entity, field, [] if isinstance(values[one], list) else None, values[one], in_create=True)
        return self._store.get(entity.link) or entity

    def _update(self, entity: Entity, given: list[tuple[str, Any, str]]) -> Entity:
        changes: list[tuple[Field, Any, Any]] = []
        for name, value, mode in given:
            if "." in name:
                self._update_linked(entity, name, value, mode)
                continue
            field, kept = writable(self._store, entity.type, name, value, "update")
            old = held(self._store, entity, field)
            new = _merged(old or [], kept, mode) if field.data_type == "multi_entity" else kept
            if new != (old or [] if isinstance(new, list) else old):
                changes.append((field, old, new))
        return self._changed(entity, changes)

    def _changed(self, entity: Entity, changes: list[tuple[Field, Any, Any]]) -> Entity:
        """Carry out and log changes of fields (field, old, new) of one entity."""
        own = {field.name: new for field, _, new in changes if not field.of}
        if own:
            entity = self._touched(entity, own)
        for field, old, new in changes:
            if field.of:
                self._relink(entity, field, new)
            else:
                self._scribe.changed(entity, field, old, new)
        return self._store.get(entity.link) or entity

    def _touched(self, entity: Entity, values: dict[str, Any]) -> Entity:
        stamp = {"updated_at": timestamp(self._now), "updated_by": self._actor.link}
        entity = replace(entity, values=entity.values | values | stamp)
        self._store.put(entity)
        return entity

    def _update_linked(self, entity: Entity, name: str, value: Any, mode: str) -> None:
        """Update through a link: ``entity.Shot.sg_status_list`` of a Version is a field of its Shot."""
        path(self._store, entity.type, name, "update")
        first, _, rest = name.partition(".")
        next_type, _, rest = rest.partition(".")
        target = held(self._store, entity, self._store.schema.field(entity.type, first, "update"))
        other = self._store.get(target) if isinstance(target, Link) and target.type == next_type else None
        if other is None:
            raise failed("update", f"Update failed for [{entity.type}.{name}]: its {first} is no {next_type}.")
        self._update(other, [(rest, value, mode)])

    def _relink(self, entity: Entity, field: Field, wanted: list[Link], *, in_create: bool = False) -> None:
        """Set a field that shows the other end of links, by changing those links."""
        assert field.of is not None
        owner_type, owner_field = field.of
        owned = self._store.schema.types[owner_type].fields[owner_field]
        present = held(self._store, entity, field)
        changes = []
        for one in [*(one for one in wanted if one not in present), *(one for one in present if one not in wanted)]:
            other = self._store.get(one)
            if other is None:
                continue
            old = held(self._store, other, owned)
            if owned.data_type == "multi_entity":
                new: Any = [*old, entity.link] if one in wanted else [link for link in old if link != entity.link]
            else:
                new = entity.link if one in wanted else None
            changes.append((self._touched(other, {owner_field: new}), owned, old, new))
        if changes:
            self._scribe.relinked(entity, field, changes, in_create=in_create)

    def _retire(self, params: Any, method: str, *, retired: bool) -> bool:
        entity_type, _ = asked(self._store, params, method)
        with self._store.transaction():
            entity = existing(self._store, entity_type, params, method)
            if entity.retired == retired:
                return False
            entity = replace(entity, retired=retired)
            self._store.put(entity)
            (self._scribe.retired if retired else self._scribe.revived)(entity)
            return True

    def _log_entry(self, given: list[tuple[str, Any, str]]) -> Entity:
        """An event of the client's own making."""
        values = {name: writable(self._store, EVENT, name, value, "create")[1] for name, value, _ in given}
        if not values.get("event_type"):
            raise bad_request("create", f"missing 'event_type' attribute: {sorted(values)}")
        event = NewEvent(
            values["event_type"],
            values.get("created_at") or timestamp(self._now),
            values.get("attribute_name"),
            values.get("meta"),
            values.get("entity"),
            values.get("user") or self._actor.link,
            values.get("project"),
            values.get("session_uuid") or self._actor.session_uuid,
            values.get("description"),
        )
        known = {name: getattr(event, name) for name in NewEvent.__slots__}
        return Entity(EVENT, self._log.append([event])[0], known)


def _merged(old: list[Link], given: list[Link], mode: str) -> list[Link]:
    match mode:
        case "set":
            return given
        case "add":
            return [*old, *(one for one in given if one not in old)]
        case "remove":
            return [one for one in old if one not in given]
        case _:
            raise bad_request("update", f"invalid 'multi_entity_update_mode' {mode!r}. Valid values: set, add, remove")


def _says_something(value: Any) -> bool:
    """Whether a new entity's value is worth an event. 0 is, though it equals False."""
    return value is not None and value is not False and value != []
