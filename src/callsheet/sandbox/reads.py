"""``read``: find entities, or events, that pass filters; sorted, in pages, with the fields asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from callsheet.sandbox.event_store import EventLog
from callsheet.sandbox.eventreads import EventReader, newest_first
from callsheet.sandbox.filters import Filters
from callsheet.sandbox.paths import Path, named, path, shown
from callsheet.sandbox.refusal import Refusal
from callsheet.sandbox.request import Request
from callsheet.sandbox.schema import EVENT
from callsheet.sandbox.store import Entity, Store
from callsheet.sandbox.values import Link


class Reader:
    """Reads of one site. Used under its store's lock."""

    def __init__(self, store: Store, log: EventLog, most: int) -> None:
        self._store = store
        self._events = EventReader(store, log)
        self._most = most

    def read(self, params: Any, now: float) -> Any:
        """The ``results`` of a read."""
        request = Request.of(params, self._store, self._most)
        test = Filters(self._store, now).compile(request.entity_type, request.filters)
        if request.entity_type != EVENT:
            return self._page(request, self._sorted(request, [one for one in self._candidates(request) if test(one)]))
        if request.retired:
            return self._page(request, [])  # events are never retired
        if (polled := self._events.poll(request, test)) is not None:
            return polled
        descending = newest_first(request.sorts)
        if descending is None or request.counts:
            return self._page(request, self._sorted(request, list(self._events.events(request.filters, test))))
        most = request.offset + request.limit + 1
        return self._page(request, list(self._events.events(request.filters, test, descending=descending, most=most)))

    def matching(self, entity_type: str, filters: Any, now: float, method: str) -> list[Entity]:
        """All entities (or events) of a type that pass, in id order; what summarize and search look at."""
        test = Filters(self._store, now, method).compile(entity_type, filters)
        if entity_type == EVENT:
            return list(self._events.events(filters, test))
        return [one for one in self._store.all_of(entity_type) if not one.retired and test(one)]

    def row(self, entity: Entity, fields: list[str], method: str = "read") -> dict[str, Any]:
        """An entity as JSON with those fields; fields that don't exist are left out, as a site does."""
        return self._row(entity, self._columns(entity.type, fields, method))

    def _candidates(self, request: Request) -> Iterator[Entity]:
        """Entities that might pass: all of the type, or those that an index knows for one of the filter's conditions."""
        for one in self._indexed(request.entity_type, request.filters):
            if one.retired == request.retired and (request.archived or not self._in_archive(one)):
                yield one

    def _indexed(self, entity_type: str, filters: Any) -> list[Entity]:
        conditions = filters["conditions"] if filters and filters["logical_operator"] == "and" else ()
        for condition in conditions:
            if condition.get("relation") not in ("is", "in") or "path" not in condition:
                continue
            values = condition["values"] if condition["relation"] == "in" else condition["values"][:1]
            if not values or None in values:
                continue
            field = self._store.schema.types[entity_type].fields.get(condition["path"])
            if field is not None and field.name == "id":
                found = {Link(entity_type, int(one)) for one in values}
            elif field is not None and field.is_link and not field.of:
                links = [Link(one["type"], one["id"]) for one in values]
                found = {one for target in links for one in self._store.referring(target, entity_type, field.name)}
            else:
                continue
            return [entity for one in sorted(found) if (entity := self._store.get(one)) is not None]
        return self._store.all_of(entity_type)

    def _in_archive(self, entity: Entity) -> bool:
        project = entity if entity.type == "Project" else self._store.get(entity.values.get("project") or Link("Project", 0))
        return project is not None and bool(project.values.get("archived"))

    def _sorted(self, request: Request, entities: list[Entity]) -> list[Entity]:
        """In the order asked for; entities that hold nothing come last, or first if descending. By id otherwise."""
        for sort in reversed(request.sorts):
            try:
                way = path(self._store, request.entity_type, sort.get("field_name"), "read")
            except Refusal:
                continue  # a site ignores a sort by what it does not know
            entities.sort(key=self._sort_key(way), reverse=sort.get("direction") == "desc")
        return entities

    def _sort_key(self, way: Path) -> Callable[[Entity], tuple[bool, Any]]:
        def sort_key(entity: Entity) -> tuple[bool, Any]:
            value = next(iter(way.values(entity)), None)
            first = value[0] if isinstance(value, list) and value else value
            if isinstance(first, Link):
                first = (named(self._store, first) or {"name": ""})["name"]
            if first is None or isinstance(first, dict | list):
                return True, 0
            return False, first.lower() if isinstance(first, str) else first

        return sort_key

    def _page(self, request: Request, found: list[Entity]) -> dict[str, Any]:
        columns = self._columns(request.entity_type, request.fields, "read")
        entities = [self._row(one, columns) for one in found[request.offset : request.offset + request.limit]]
        if request.has_next or request.counts:
            return {"entities": entities, "paging_info": request.info(len(found))}
        return {"entities": entities}

    def _columns(self, entity_type: str, fields: list[str], method: str) -> list[tuple[str, Path]]:
        columns = []
        for name in fields:
            try:
                columns.append((name, path(self._store, entity_type, name, method)))
            except Refusal:
                continue  # a site leaves out what it does not know
        return columns

    def _row(self, entity: Entity, columns: list[tuple[str, Path]]) -> dict[str, Any]:
        row: dict[str, Any] = {"type": entity.type, "id": entity.id}
        for name, way in columns:
            values = way.values(entity)
            row[name] = shown(self._store, way.field, values[0]) if len(values) == 1 and not way.many else None
        return row
