"""Where a sandbox keeps things: one SQLite database, with all entities in memory beside it.

Entities are never changed, only replaced, so a reader that holds one may go on using it. Everything else of a store is
used under ``lock``; what a block of ``transaction()`` changed is undone, in memory and on disk, if the block raises.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from callsheet.sandbox.schema import Schema
from callsheet.sandbox.values import Link


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity: what it holds by field name, links as Link or a list of Link. Fields it never had are absent."""

    type: str
    id: int
    values: dict[str, Any]
    retired: bool = False

    @property
    def link(self) -> Link:
        """A reference to it."""
        return Link(self.type, self.id)


Backlink = tuple[str, int, str]
"""Who refers to an entity: type, id, field."""


class Store:
    """Entities by type and id, their back references, and the database. ``path`` None: everything in memory."""

    def __init__(self, path: Path | None) -> None:
        self.lock = threading.RLock()
        self.sql = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        # A sandbox's file has to survive its process, not the machine's power supply.
        self.sql.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")
        self.sql.executescript(resources.files(__package__).joinpath("tables.sql").read_text(encoding="utf-8"))
        self.schema = Schema()
        self._entities: dict[str, dict[int, Entity]] = {}
        self._backlinks: dict[Link, dict[Backlink, None]] = {}
        self._newest: dict[str, int] = {}
        self._undo: list[tuple[Link, Entity | None]] = []
        self._busy = False
        self.written: set[Link] = set()
        """Entities replaced since this was last emptied: lets caches know what they must forget."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes of the block, or none of them. Blocks may be nested: the outermost decides."""
        with self.lock:
            if self._busy:
                yield
                return
            self._busy = True
            self.sql.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.sql.execute("COMMIT")
            except BaseException:
                if self.sql.in_transaction:
                    self.sql.execute("ROLLBACK")
                for target, before in reversed(self._undo):
                    self._place(target, before)
                raise
            finally:
                self._undo.clear()
                self._busy = False

    def get(self, target: Link) -> Entity | None:
        """The entity, retired or not; None if there never was one."""
        return self._entities.get(target.type, {}).get(target.id)

    def gone(self, target: Link) -> bool:
        """Whether that entity is retired. One that never was counts as there: events may name what the sandbox does not have."""
        found = self.get(target)
        return found is not None and found.retired

    def all_of(self, entity_type: str) -> list[Entity]:
        """All entities of a type in id order, retired ones included."""
        return [one for _, one in sorted(self._entities.get(entity_type, {}).items())]

    def referring(self, target: Link, entity_type: str, field: str) -> list[Link]:
        """Who of that type refers to ``target`` in that field, in id order."""
        who = self._backlinks.get(target, ())
        return sorted(Link(kind, number) for kind, number, name in who if kind == entity_type and name == field)

    def next_id(self, entity_type: str) -> int:
        """An id that no entity of that type has had."""
        return self._newest.get(entity_type, 0) + 1

    def put(self, entity: Entity) -> None:
        """Keep this entity in the place of what had its id."""
        self._undo.append((entity.link, self.get(entity.link)))
        self._place(entity.link, entity)
        data = json.dumps(entity.values, separators=(",", ":"))
        row = (entity.type, entity.id, entity.retired, data)
        self.sql.execute("INSERT OR REPLACE INTO entities (type, id, retired, data) VALUES (?, ?, ?, ?)", row)

    def fact(self, name: str, default: Any = None) -> Any:
        """A kept JSON value by name."""
        row = self.sql.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else default

    def set_fact(self, name: str, value: Any) -> None:
        """Keep a JSON value by name."""
        self.sql.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, json.dumps(value)))

    def load(self) -> None:
        """Read all entities from the database, in the place of those in memory. The schema must be up to date before."""
        self._entities.clear()
        self._backlinks.clear()
        self._undo.clear()
        for kind, number, retired, data in self.sql.execute("SELECT type, id, retired, data FROM entities"):
            values = {name: self._revived(kind, name, value) for name, value in json.loads(data).items()}
            self._place(Link(kind, number), Entity(kind, number, values, bool(retired)))

    def _revived(self, entity_type: str, field: str, value: Any) -> Any:
        known = self.schema.types[entity_type].fields.get(field)
        if known is None or not known.is_link or value is None:
            return value
        return Link(*value) if known.data_type == "entity" else [Link(*one) for one in value]

    def _place(self, target: Link, entity: Entity | None) -> None:
        """Put an entity (None: nothing) into memory, and keep the back references true."""
        self.written.add(target)
        table = self._entities.setdefault(target.type, {})
        before = table.get(target.id)
        if before is not None:
            for name, led_to in _links(before):
                self._backlinks[led_to].pop((target.type, target.id, name), None)
        if entity is None:
            table.pop(target.id, None)
            return
        table[target.id] = entity
        self._newest[target.type] = max(target.id, self._newest.get(target.type, 0))
        for name, leads_to in _links(entity):
            self._backlinks.setdefault(leads_to, {})[(target.type, target.id, name)] = None


def _links(entity: Entity) -> Iterator[tuple[str, Link]]:
    for name, value in entity.values.items():
        if isinstance(value, Link):
            yield name, value
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, Link):
                    yield name, one
