"""The event log of a site, read with the vendor's client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from callsheet.domain.event import Event
from callsheet.domain.reading import Fingerprint, Gap
from callsheet.policy.log_identity import fingerprint
from callsheet.ports import Page
from callsheet.site.client import RawShotgun, SiteClient

FIELDS = ("event_type", "attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at")
"""What plugins get of an event, besides ``type`` and ``id``."""


class SiteEventLog:
    """Implements ports.EventLog. Not for several threads at once: the client's connection isn't either."""

    def __init__(self, site: str, url: str, script: str, key: str, *, proxy: str | None = None, timeout: float = 60.0) -> None:
        self._site = site
        self._client = SiteClient(url, script, key, proxy=proxy, timeout=timeout)

    def newest_id(self) -> int:
        """See ports.EventLog."""
        return self._first_id([], "desc") or 0

    def fingerprints(self, ids: Sequence[int]) -> dict[int, Fingerprint]:
        """See ports.EventLog."""
        if not ids:
            return {}
        wanted = [["id", "in", list(ids)]]
        found = self._client.ask(lambda client: client.find("EventLogEntry", wanted, ["event_type", "created_at"]))
        return {event.id: fingerprint(event) for event in (Event(self._site, data) for data in found)}

    def settled_id(self, after: int, before: float) -> int:
        """See ports.EventLog."""
        moment = datetime.fromtimestamp(int(before), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        behind = ["id", "greater_than", after]
        young = self._first_id([behind, ["created_at", "greater_than", moment]], "asc")
        old = behind if young is None else ["id", "between", [after + 1, young - 1]]
        return self._first_id([old], "desc") or after

    def read(
        self,
        after: int,
        limit: int,
        *,
        until: int | None = None,
        missing: Sequence[Gap] = (),
        types: frozenset[str] | None = None,
    ) -> Page:
        """See ports.EventLog."""
        if types is not None and not types and not missing:
            return Page((), full=False)
        filters = _filters(after, until, missing, types)
        found, texts = self._client.ask(lambda client: _find(client, filters, limit))
        return Page(tuple(_events(self._site, found, texts)), full=len(found) >= limit, at=self._client.answered_at)

    def close(self) -> None:
        """See ports.EventLog."""
        self._client.close()

    def _first_id(self, filters: list[Any], direction: str) -> int | None:
        found = self._client.ask(
            lambda client: client.find_one("EventLogEntry", filters, ["id"], order=[{"field_name": "id", "direction": direction}])
        )
        return int(found["id"]) if found else None


def _find(client: RawShotgun, filters: list[Any], limit: int) -> tuple[list[dict[str, Any]], list[str | None]]:
    """Events as the client has them, and as the site wrote them."""
    texts: list[str | None] = []
    client.texts = texts
    order: Any = [{"field_name": "id", "direction": "asc"}]
    found: Any = client.find("EventLogEntry", filters, list(FIELDS), order=order, limit=limit)
    return found, texts


def _events(site: str, found: Sequence[Mapping[str, Any]], texts: Sequence[str | None]) -> Iterator[Event]:
    if len(texts) < len(found):  # it wrote them in a way that the texts can't be told apart
        return (Event(site, data) for data in found)
    return (Event(site, data, text) for data, text in zip(found, texts, strict=False))


def _filters(after: int, until: int | None, missing: Sequence[Gap], types: frozenset[str] | None) -> list[Any]:
    fresh: list[Any] = [["id", "greater_than", after] if until is None else ["id", "between", [after + 1, until]]]
    if types:
        fresh.append(["event_type", "in", sorted(types)])
    if not missing:
        return fresh
    single = sorted({gap.first for gap in missing if gap.first == gap.last})
    ranges = sorted({(gap.first, gap.last) for gap in missing if gap.first != gap.last})
    conditions: list[Any] = [["id", "between", [first, last]] for first, last in ranges]
    if single:
        conditions.append(["id", "in", single])
    if types is None or types:
        conditions.append(fresh[0] if len(fresh) == 1 else {"filter_operator": "all", "filters": fresh})
    return [{"filter_operator": "any", "filters": conditions}]
