"""What a test does to the event log of a sandbox: write events, leave gaps, let events come late."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from callsheet.sandbox.event_store import NewEvent
from callsheet.sandbox.pretend_site import Site
from callsheet.sandbox.values import Link, link, timestamp

_BATCH = 5000
"""Events written per statement when there are many."""


class EventControls:
    """The part of a Sandbox that is about its event log."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def add_event(self, event_type: str, **fields: Any) -> int:
        """Write one event without changing anything else; returns its id.

        ``fields`` as on the wire: attribute_name, meta, entity, user, project (links as ``{"type", "id"}``; they need not
        exist), session_uuid, description, created_at (text, or epoch seconds). Left out: an entity's own project, a person of
        the show as user, the present time, and for ``…_Change`` events a ``meta`` that fits.
        """
        with self.site.store.transaction():
            return self.site.log.append([self._event(event_type, fields)])[0]

    def add_events(
        self,
        count: int,
        event_type: str = "Shotgun_Task_Change",
        *,
        make: Callable[[int], Mapping[str, Any]] | None = None,
        **fields: Any,
    ) -> range:
        """Write many events; returns their ids. ``make(n)`` gives fields of the n-th (from 0), ``event_type`` among them if it
        differs. Without it, and without an ``entity``, the events are status changes of all tasks in turn.
        """
        turns = self._tasks() if make is None and "entity" not in fields and event_type == "Shotgun_Task_Change" else []
        # Entities are looked up once, not once per event.
        prepared = [self._event(event_type, {"attribute_name": "sg_status_list", "entity": one, **fields}) for one in turns]
        with self.site.store.transaction():
            first = self.site.log.next_id
            for start in range(0, count, _BATCH):
                numbers = range(start, min(start + _BATCH, count))
                if prepared:
                    made = [prepared[number % len(prepared)] for number in numbers]
                else:
                    made = [self._event(event_type, {**fields, **(make(number) if make else {})}) for number in numbers]
                self.site.log.append(made)
        return range(first, first + count)

    def set_next_event_id(self, number: int) -> None:
        """Jump: the next event gets this id, and no event those before it that are not used. ValueError to go back."""
        with self.site.store.transaction():
            self.site.log.jump(number)

    def skip_event_id(self, count: int = 1) -> int:
        """Use up so many ids without events, as transactions do that are undone. Returns the next event's id."""
        with self.site.store.transaction():
            self.site.log.jump(self.site.log.next_id + count)
            return self.site.log.next_id

    def withhold(self, event_id: int | None = None, *, next: int = 0) -> None:  # noqa: A002 - "the next N" is what it is
        """Hold back an event, written or to come, or the ``next`` so many events: they have ids, and nobody sees them."""
        with self.site.store.transaction():
            if event_id is not None:
                self.site.log.hide(event_id)
            self.site.log.hide_next(next)

    def withheld(self) -> list[int]:
        """The ids of events that are written and held back."""
        with self.site.store.lock:
            return self.site.log.hidden()

    def release(self, event_id: int | None = None) -> list[int]:
        """Let a withheld event appear, under the id it has had (None: all of them, and none is held back any more)."""
        with self.site.store.transaction():
            return self.site.log.show(event_id)

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """The events to be seen behind ``after``, as the poll shows them, with ``description``."""
        with self.site.store.lock:
            rows = list(self.site.log.rows("id > ?", (after,)))
            return [json.loads(self.site.log.text(entity, head)) | {"description": said} for _, entity, head, said in rows]

    def _event(self, event_type: str, fields: Mapping[str, Any]) -> NewEvent:
        unknown = set(fields) - set(NewEvent.__slots__)
        if unknown:
            raise ValueError(f"an event has no {', '.join(sorted(unknown))}; it has {', '.join(NewEvent.__slots__)}")
        entity = _link(fields.get("entity"))
        attribute = fields.get("attribute_name")
        meta = fields.get("meta")
        if "meta" not in fields and entity and attribute:
            meta = {"type": "attribute_change", "attribute_name": attribute, "entity_type": entity.type, "entity_id": entity.id}
            meta |= {"field_data_type": self._data_type(entity.type, attribute), "old_value": "wtg", "new_value": "ip"}
        elif "meta" not in fields and entity:
            meta = {"type": "new_entity", "entity_type": entity.type, "entity_id": entity.id}
        moment = fields.get("created_at", self.site.clock())
        return NewEvent(
            fields.get("event_type", event_type),
            moment if isinstance(moment, str) else timestamp(moment),
            attribute,
            meta,
            entity,
            _link(fields["user"]) if "user" in fields else self._somebody(),
            _link(fields["project"]) if "project" in fields else self._project(entity),
            fields.get("session_uuid"),
            fields.get("description"),
        )

    def _data_type(self, entity_type: str, attribute: str) -> str:
        known = self.site.store.schema.types.get(entity_type)
        field = known.fields.get(attribute) if known else None
        return field.data_type if field else "text"

    def _tasks(self) -> list[Link]:
        return [one.link for one in self.site.store.all_of("Task") if not one.retired and one.values.get("project")]

    def _somebody(self) -> Link | None:
        people = self.site.store.all_of("HumanUser")
        return people[0].link if people else None

    def _project(self, entity: Link | None) -> Link | None:
        if entity is not None and entity.type == "Project":
            return entity
        found = self.site.store.get(entity) if entity else None
        return found.values.get("project") if found else None


def _link(value: Any) -> Link | None:
    return value if value is None or isinstance(value, Link) else link(value)
