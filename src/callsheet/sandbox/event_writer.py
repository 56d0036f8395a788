"""What a site writes into its event log when something changes.

Shapes of ``meta``, as a site has them:

- creation: ``{"type": "new_entity", "entity_type", "entity_id"}``
- change: ``{"type": "attribute_change", "attribute_name", "entity_type", "entity_id", "field_data_type", "old_value",
  "new_value"}``, with ``added`` and ``removed`` for links to several; ``in_create`` is true for what belongs to a creation
- the other end of a changed link has an event too; its meta names ``actual_attribute_changed`` (``Task.entity``) and
  ``original_event_log_entry_id``
- retirement and revival: ``{"type", "class_name", "display_name", "entity_type", "entity_id", "id"}``
- with sudo, all of them carry ``sudo_actual_user``, the script that acted
"""

from __future__ import annotations

from typing import Any

from callsheet.sandbox.auth import Actor
from callsheet.sandbox.event_store import EventLog, NewEvent
from callsheet.sandbox.paths import name_of, named
from callsheet.sandbox.schema import Field
from callsheet.sandbox.store import Entity, Store
from callsheet.sandbox.values import Link, timestamp


class EventWriter:
    """Writes the events of one caller's changes, all at one time. Used within the transaction of the changes."""

    def __init__(self, store: Store, log: EventLog, actor: Actor, now: float) -> None:
        self._store = store
        self._log = log
        self._actor = actor
        self._now = timestamp(now)

    def created(self, entity: Entity) -> None:
        """The entity is new."""
        text = f'"{self._actor.name}" created {self._called(entity)}'
        self._write(entity, "New", {"type": "new_entity"}, text)

    def changed(self, entity: Entity, field: Field, old: Any, new: Any, *, in_create: bool = False) -> None:
        """A field has another value; so has, if it is a link, the field that shows its other end."""
        original = self._change(entity, field, old, new, in_create=in_create)
        mirrors = self._store.schema.mirrors.get((entity.type, field.name), {})
        if not mirrors:
            return
        before, after = _links(old), _links(new)
        about = {"actual_attribute_changed": f"{entity.type}.{field.name}", "original_event_log_entry_id": original}
        for target in [*after, *(one for one in before if one not in after)]:
            if target.type not in mirrors or (target in before and target in after):
                continue
            other = self._store.get(target)
            if other is not None:
                mirror = self._store.schema.types[target.type].fields[mirrors[target.type]]
                gone, come = ([entity.link], []) if target in before else ([], [entity.link])
                self._change(other, mirror, gone, come, in_create=in_create, about=about)

    def relinked(
        self, entity: Entity, field: Field, changes: list[tuple[Entity, Field, Any, Any]], *, in_create: bool = False
    ) -> None:
        """A field that shows the other end of links was set: ``changes`` are what became of those (entity, field, old, new)."""
        added = [other.link for other, _, _, new in changes if entity.link in _links(new)]
        removed = [other.link for other, _, _, new in changes if entity.link not in _links(new)]
        original = self._change(entity, field, removed, added, in_create=in_create)
        about = {"actual_attribute_changed": f"{entity.type}.{field.name}", "original_event_log_entry_id": original}
        for other, owned, old, new in changes:
            self._change(other, owned, old, new, about=about)
            for loser in _links(old):
                # A link to one entity that was moved here is missing at the entity that had it before.
                if owned.data_type == "entity" and loser != entity.link and (had := self._store.get(loser)) is not None:
                    mirror = self._store.schema.mirrors[other.type, owned.name].get(loser.type)
                    if mirror:
                        shows = self._store.schema.types[loser.type].fields[mirror]
                        self._change(had, shows, [other.link], [], about=about)

    def retired(self, entity: Entity) -> None:
        """The entity went to the trash."""
        meta = {"type": "entity_retirement", "retirement_date": self._now.replace("T", " ").replace("Z", " UTC")}
        self._write(entity, "Retirement", meta | self._identity(entity), f'"{self._actor.name}" retired {self._called(entity)}')

    def revived(self, entity: Entity) -> None:
        """The entity came back from the trash."""
        meta = {"type": "entity_revival"} | self._identity(entity)
        self._write(entity, "Revival", meta, f'"{self._actor.name}" revived {self._called(entity)}')

    def _change(
        self, entity: Entity, field: Field, old: Any, new: Any, *, in_create: bool = False, about: Any = None
    ) -> int | None:
        meta: dict[str, Any] = {"type": "attribute_change", "attribute_name": field.name, "field_data_type": field.data_type}
        if field.data_type == "multi_entity":
            before, after = _links(old), _links(new)
            meta["added"] = [self._shown(one) for one in after if one not in before]
            meta["removed"] = [self._shown(one) for one in before if one not in after]
            done = [f"{verb} {self._list(meta[what])}" for verb, what in (("added", "added"), ("removed", "removed")) if meta[what]]
            text = f'"{self._actor.name}" {" and ".join(done)} in "{field.title}" on {self._called(entity)}'
        else:
            meta["old_value"], meta["new_value"] = self._shown(old), self._shown(new)
            said = f'changed "{field.title}" from {self._said(old)} to {self._said(new)} on {self._called(entity)}'
            text = f'"{self._actor.name}" {said}'
        if in_create:
            meta["in_create"] = True
        return self._write(entity, "Change", meta | (about or {}), text, attribute=field.name)

    def _write(self, entity: Entity, what: str, meta: dict[str, Any], text: str, attribute: str | None = None) -> int | None:
        if not self._actor.logs:
            return None
        meta = meta | {"entity_type": entity.type, "entity_id": entity.id}
        if self._actor.sudo:
            meta["sudo_actual_user"] = self._actor.sudo
        event = NewEvent(
            f"Shotgun_{entity.type}_{what}",
            self._now,
            attribute,
            meta,
            entity.link,
            self._actor.link,
            entity.link if entity.type == "Project" else entity.values.get("project"),
            self._actor.session_uuid,
            text,
        )
        return self._log.append([event])[0]

    def _shown(self, value: Any) -> Any:
        if not isinstance(value, Link):
            return value
        return (named(self._store, value) or {"type": value.type, "id": value.id}) | {"valid": "valid"}

    def _said(self, value: Any) -> str:
        shown = self._shown(value)
        return f'"{shown["name"] if isinstance(shown, dict) and "name" in shown else shown}"'

    def _list(self, shown: list[Any]) -> str:
        return ", ".join(f'"{one.get("name", one["id"])}"' for one in shown)

    def _called(self, entity: Entity) -> str:
        return f'{self._store.schema.types[entity.type].title} "{name_of(self._store, entity)}"'

    def _identity(self, entity: Entity) -> dict[str, Any]:
        return {"class_name": entity.type, "display_name": name_of(self._store, entity), "id": entity.id}


def _links(value: Any) -> list[Link]:
    if isinstance(value, Link):
        return [value]
    return [one for one in value if isinstance(one, Link)] if isinstance(value, list) else []
