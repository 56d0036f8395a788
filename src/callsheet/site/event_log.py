"""The event log of a site, read with the vendor's client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callsheet.model import Event, Gap
from callsheet.ports import Page
from callsheet.site.client import SiteClient

FIELDS = ("event_type", "attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at")
"""What plugins get of an event, besides ``type`` and ``id``."""


class SiteEventLog:
    """Implements ports.EventLog. Not for several threads at once: the client's connection isn't either."""

    def __init__(self, site: str, url: str, script: str, key: str, *, proxy: str | None = None, timeout: float = 60.0) -> None:
        self._site = site
        self._client = SiteClient(url, script, key, proxy=proxy, timeout=timeout)

    def newest_id(self) -> int:
        """See ports.EventLog."""
        newest = self._client.ask(
            lambda client: client.find_one("EventLogEntry", [], ["id"], order=[{"field_name": "id", "direction": "desc"}])
        )
        return int(newest["id"]) if newest else 0

    def read(self, after: int, limit: int, *, until: int | None = None, missing: Sequence[Gap] = ()) -> Page:
        """See ports.EventLog."""
        filters = _filters(after, until, missing)
        found = self._client.ask(
            lambda client: client.find(
                "EventLogEntry", filters, list(FIELDS), order=[{"field_name": "id", "direction": "asc"}], limit=limit
            )
        )
        return Page(tuple(Event(self._site, data) for data in found), full=len(found) >= limit)

    def close(self) -> None:
        """See ports.EventLog."""
        self._client.close()


def _filters(after: int, until: int | None, missing: Sequence[Gap]) -> list[Any]:
    fresh = ["id", "greater_than", after] if until is None else ["id", "between", [after + 1, until]]
    if not missing:
        return [fresh]
    single = sorted({gap.first for gap in missing if gap.first == gap.last})
    ranges = sorted({(gap.first, gap.last) for gap in missing if gap.first != gap.last})
    conditions = [fresh, *(["id", "between", [first, last]] for first, last in ranges)]
    if single:
        conditions.append(["id", "in", single])
    return [{"filter_operator": "any", "filters": conditions}]
