"""The event log of the pretend site: ids, gaps, late events, and rows ready to be sent.

An event's JSON is made once, when it is written: the poll joins texts. See ``tables.sql`` for how a row is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from callsheet.sandbox.paths import named
from callsheet.sandbox.store import Store
from callsheet.sandbox.values import Link

POLLED = frozenset(
    ("id", "event_type", "attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at"),
)
"""The fields that an event's prepared JSON consists of, beside its type."""

_COLUMNS = "id, event_type, attribute_name, created_at, project, user, entity, session_uuid, description, head"
_MARKS = ", ".join("?" * len(_COLUMNS.split(",")))
_TABLES = ("events", "withheld")


@dataclass(slots=True)
class NewEvent:
    """An event about to be written. ``created_at`` as on the wire; ``meta`` is JSON."""

    event_type: str
    created_at: str
    attribute_name: str | None = None
    meta: Any = None
    entity: Link | None = None
    user: Link | None = None
    project: Link | None = None
    session_uuid: str | None = None
    description: str | None = None


def key(target: Link | None) -> str | None:
    """A link as a column holds it."""
    return f"{target.type}:{target.id}" if target else None


def unkeyed(text: str | None) -> Link | None:
    """The link that a column holds."""
    if text is None:
        return None
    kind, _, number = text.partition(":")
    return Link(kind, int(number))


class EventLog:
    """The log of one store. All methods are used under the store's lock, those that write in a transaction of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entities: dict[str | None, str] = {}
        """What events show of their entities, as JSON, by key."""
        self._hide_next = 0
        self._hide: set[int] = set()
        self.next_id = 1
        self.load()

    def load(self) -> None:
        """Take up where the database stands."""
        newest = [self._store.sql.execute(f"SELECT MAX(id) FROM {table}").fetchone()[0] or 0 for table in _TABLES]  # noqa: S608 - fixed names
        self.next_id = max(*newest, self._store.fact("last_event_id", 0)) + 1
        self._entities.clear()
        self._hide.clear()
        self._hide_next = 0

    def append(self, events: Iterable[NewEvent]) -> list[int]:
        """Write events under the next ids, which are returned in order. Ids of a transaction that is undone stay used."""
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _TABLES}
        shown: dict[Link | None, str] = {}
        ids = []
        for event in events:
            number = self.next_id
            self.next_id += 1
            ids.append(number)
            rows[self._table(number)].append(self._row(number, event, shown))
        for table, made in rows.items():
            if made:
                self._store.sql.executemany(f"INSERT INTO {table} ({_COLUMNS}) VALUES ({_MARKS})", made)  # noqa: S608 - fixed names
        return ids

    def jump(self, number: int) -> None:
        """Let the next event have this id, at least the one it would have had."""
        if number < self.next_id:
            raise ValueError(f"event ids only grow: the next one is {self.next_id}, it can't become {number}")
        self.next_id = number
        self._store.set_fact("last_event_id", number - 1)

    def hide_next(self, count: int) -> None:
        """Hold back the next so many events."""
        self._hide_next += count

    def hide(self, number: int) -> None:
        """Hold back one event, written or to come."""
        if number >= self.next_id:
            self._hide.add(number)
        else:
            self._move("events", "withheld", number)

    def show(self, number: int | None) -> list[int]:
        """Let that event (None: all) be seen, under the ids they have had. Returns the ids that have appeared."""
        if number is None:
            self._hide_next = 0
            self._hide.clear()
            return [one for hidden in self.hidden() for one in self.show(hidden)]
        self._hide.discard(number)
        return [number] if self._move("withheld", "events", number) else []

    def hidden(self) -> list[int]:
        """Ids of the events that are written and held back."""
        return [number for (number,) in self._store.sql.execute("SELECT id FROM withheld ORDER BY id")]

    def rows(self, where: str = "1", values: Iterable[Any] = (), order: str = "id", limit: int = -1) -> Iterator[tuple[Any, ...]]:
        """``(id, entity, head, description)`` of events; ``where`` and ``order`` are SQL."""
        query = f"SELECT id, entity, head, description FROM events WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608 - made by eventfilters
        return self._store.sql.execute(query, (*values, limit))

    def text(self, entity: str | None, head: str) -> str:
        """An event's JSON as the poll sends it."""
        if self._store.written:
            for target in self._store.written:
                self._entities.pop(key(target), None)
            self._store.written.clear()
        shown = self._entities.get(entity)
        if shown is None:
            shown = self._entities[entity] = json.dumps(named(self._store, unkeyed(entity))) + "}"
        return head + shown

    def _table(self, number: int) -> str:
        """Where a new event of that id goes: among those to be seen, or those held back."""
        if number in self._hide:
            self._hide.discard(number)
            return "withheld"
        if self._hide_next:
            self._hide_next -= 1
            return "withheld"
        return "events"

    def _row(self, number: int, event: NewEvent, shown: dict[Link | None, str]) -> tuple[Any, ...]:
        for one in (event.user, event.project):
            if one not in shown:
                shown[one] = json.dumps(named(self._store, one))
        head = (
            f'{{"type":"EventLogEntry","id":{number},"event_type":{json.dumps(event.event_type)}'
            f',"attribute_name":{json.dumps(event.attribute_name)},"meta":{json.dumps(event.meta, separators=(",", ":"))}'
            f',"user":{shown[event.user]},"project":{shown[event.project]}'
            f',"session_uuid":{json.dumps(event.session_uuid)},"created_at":"{event.created_at}","entity":'
        )
        return (
            number,
            event.event_type,
            event.attribute_name,
            event.created_at,
            event.project.id if event.project else None,
            key(event.user),
            key(event.entity),
            event.session_uuid,
            event.description,
            head,
        )

    def _move(self, source: str, target: str, number: int) -> bool:
        sql = self._store.sql
        moved = sql.execute(f"INSERT INTO {target} SELECT * FROM {source} WHERE id = ?", (number,)).rowcount  # noqa: S608 - fixed names
        sql.execute(f"DELETE FROM {source} WHERE id = ?", (number,))  # noqa: S608 - fixed names
        return bool(moved)
