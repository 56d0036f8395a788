"""Reading the event log: the poll, from prepared texts, and everything else that is asked about events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from callsheet.sandbox.event_store import POLLED, EventLog, unkeyed
from callsheet.sandbox.eventfilters import plan
from callsheet.sandbox.filters import Test
from callsheet.sandbox.request import Rendered, Request
from callsheet.sandbox.schema import EVENT
from callsheet.sandbox.store import Entity, Store
from callsheet.sandbox.values import Link

_SCAN = 2000
"""Events read at a time where a filter has to be told in Python."""


class EventReader:
    """Reads of the event log of one site. Used under its store's lock."""

    def __init__(self, store: Store, log: EventLog) -> None:
        self._store = store
        self._log = log

    def poll(self, request: Request, test: Test) -> Rendered | None:
        """The answer, joined from the events' prepared texts; None for a read that asks for something else than they hold."""
        descending = newest_first(request.sorts)
        if descending is None or request.counts or not POLLED.issuperset(request.fields):
            return None
        if not POLLED.issubset({*request.fields, "id"}):
            return None
        rows = list(self._rows(request.filters, test, descending=descending, most=request.offset + request.limit + 1))
        text = self._log.text
        entities = ",".join([text(entity, head) for _, entity, head, _ in rows[request.offset : request.offset + request.limit]])
        info = f',"paging_info":{json.dumps(request.info(len(rows)))}' if request.has_next else ""
        return Rendered(f'{{"entities":[{entities}]{info}}}')

    def events(self, filters: Any, test: Test, *, descending: bool = False, most: int | None = None) -> Iterator[Entity]:
        """Events that pass, in the order of their ids, as entities."""
        for number, entity, head, description in self._rows(filters, test, descending=descending, most=most):
            yield _event(number, entity, head, description)

    def _rows(self, filters: Any, test: Test, *, descending: bool, most: int | None) -> Iterator[tuple[Any, ...]]:
        """Rows of the log that pass, up to ``most``."""
        way = plan(self._store, filters)
        left = most if most is not None else 2**62
        order = "id DESC" if descending else "id"
        for first, last in reversed(way.spans) if descending else way.spans:
            while left > 0:
                chunk = left if way.whole else _SCAN
                where = f"id BETWEEN ? AND ? AND ({way.where})"
                rows = list(self._log.rows(where, (first, last, *way.values), order, min(chunk, 2**62)))
                passed = rows if way.whole else [one for one in rows if test(_event(*one))]
                yield from passed[:left]
                left -= len(passed)
                if len(rows) < chunk:
                    break
                first, last = (first, rows[-1][0] - 1) if descending else (rows[-1][0] + 1, last)  # noqa: PLW2901 - the rest of the span


def newest_first(sorts: list[Mapping[str, Any]]) -> bool | None:
    """Whether events are to come newest first; None if they are to be sorted by something else than their id."""
    if not sorts:
        return False
    return sorts[0].get("direction") == "desc" if sorts[0].get("field_name") == "id" else None


def _event(number: int, entity: str | None, head: str, description: str | None) -> Entity:
    """A row of the log as an entity, so that paths and filters work on it as on others."""
    values = json.loads(head + "null}")
    for name in ("user", "project"):
        values[name] = Link(values[name]["type"], values[name]["id"]) if values[name] else None
    return Entity(EVENT, number, values | {"entity": unkeyed(entity), "description": description})
