"""The event log of a site, read with the vendor's client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self

from callsheet.domain.event import LARGEST_ID, Event
from callsheet.domain.reading import Fingerprint, Gap
from callsheet.errors import SiteError
from callsheet.policy.log_identity import fingerprint
from callsheet.ports import OddEvent, Page
from callsheet.settings import SiteSettings
from callsheet.site.client import RawShotgun, SiteClient
from callsheet.site.event_checks import checked
from callsheet.wire.texts import storable

FIELDS = ("event_type", "attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at")
"""What plugins get of an event, besides ``type`` and ``id``."""

_ASKABLE = 2**31 - 1
"""The largest id that a site takes in a filter."""

_MOST_ODD = 10_000
"""Events in a row without usable ids behind which another is looked for."""


class SiteEventLog:
    """Implements ports.EventLog. Not for several threads at once: the client's connection isn't either."""

    def __init__(
        self, site: str, url: str, script: str, key: str, *, proxy: str | None = None, ca: str | None = None, timeout: float = 60.0
    ) -> None:
        self._site = site
        self._url = url
        self._client = SiteClient(url, script, key, proxy=proxy, ca=ca, timeout=timeout)

    @classmethod
    def of(cls, site: SiteSettings, *, timeout: float | None = None) -> Self:
        """The log of a site as it is configured."""
        url, key = site.full_url, site.key.reveal()
        return cls(site.name, url, site.script, key, proxy=site.proxy, ca=site.ca_file, timeout=timeout or site.timeout)

    def newest_id(self) -> int:
        """See ports.EventLog."""
        return self._first_id([], "desc") or 0

    def fingerprints(self, ids: Sequence[int]) -> dict[int, Fingerprint]:
        """See ports.EventLog."""
        if not ids:
            return {}
        wanted = [["id", "in", list(ids)]]
        found = self._client.ask(lambda client: client.find("EventLogEntry", wanted, ["event_type", "created_at"]))
        events = (checked(self._site, data, None)[0] for data in found)
        return {event.id: fingerprint(event) for event in events if event is not None}

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
        if types is not None and any(one != storable(one) for one in types):
            types = None  # a site can't be asked for half a character
        filters = _filters(after, until, missing, types)
        while True:
            found, texts = self._client.ask(partial(_find, filters=filters, limit=limit))
            events, odd = _events(self._site, found, texts)
            full = len(found) >= limit
            if events or not full:
                return Page(events, full=full, at=self._client.answered_at, odd=odd)
            if limit > _MOST_ODD:
                raise SiteError(f"{self._url} shows nothing but events without usable ids, such as {odd[0].event_id}.")
            limit *= 2  # there is no id behind which to read on, but there may be one behind these

    def close(self) -> None:
        """See ports.EventLog."""
        self._client.close()

    def _first_id(self, filters: list[Any], direction: str) -> int | None:
        found = self._first(filters, direction)
        if found is None or found < LARGEST_ID:
            return found
        found = self._first([*filters, ["id", "less_than", _ASKABLE]], direction)
        if found is not None and found >= LARGEST_ID:
            raise SiteError(f"{self._url} was asked for events below id {_ASKABLE}, and shows event {found}.")
        return found

    def _first(self, filters: list[Any], direction: str) -> int | None:
        found = self._client.ask(
            lambda client: client.find_one("EventLogEntry", filters, ["id"], order=[{"field_name": "id", "direction": direction}])
        )
        if not found:
            return None
        if type(found.get("id")) is not int:
            raise SiteError(f"{self._url} shows an event whose id is {found.get('id')!r:.100}, and no number.")
        return int(found["id"])


def _find(client: RawShotgun, filters: list[Any], limit: int) -> tuple[list[dict[str, Any]], list[str | None]]:
    """Events as the client has them, and as the site wrote them."""
    texts: list[str | None] = []
    client.texts = texts
    order: Any = [{"field_name": "id", "direction": "asc"}]
    found: Any = client.find("EventLogEntry", filters, list(FIELDS), order=order, limit=limit)
    return found, texts


def _events(
    site: str, found: Sequence[Mapping[str, Any]], texts: Sequence[str | None]
) -> tuple[tuple[Event, ...], tuple[OddEvent, ...]]:
    if len(texts) < len(found):  # it wrote them in a way that the texts can't be told apart
        texts = [None] * len(found)
    pairs = [checked(site, data, text) for data, text in zip(found, texts, strict=False)]
    return tuple(event for event, _ in pairs if event is not None), tuple(odd for _, odd in pairs if odd is not None)


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
