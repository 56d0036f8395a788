"""What a site has: entity types, their fields, its projects. Read when a plugin asks for something, and kept for a day."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from callsheet.policy.schema_check import Schema
from callsheet.site.client import SiteClient

DAY = 86400.0
"""Seconds for which an answer is good: fields are added now and then, and a doubt about a new one must not last."""


class SiteSchema:
    """Reads a site's schema over a connection of its own, an entity type at a time. Not for several threads at once.

    ``file``: where it is kept for the next start; what can't be read or written there is read from the site. None: nowhere.
    """

    def __init__(self, client: SiteClient, file: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._file = file
        self._now = clock

    def read(self, entities: Iterable[str]) -> Schema:
        """The site's entity types, the fields of those named, and its projects. Raises SiteError where the site does not answer."""
        kept = self._kept()
        if not kept:
            types: dict[str, Any] = self._client.ask(lambda client: client.schema_entity_read())
            found: list[Any] = self._client.ask(lambda client: client.find("Project", [], ["name"]))
            kept = {"at": self._now(), "types": sorted(types), "fields": {}, "projects": [one["name"] for one in found]}
        for entity in sorted(set(entities) & set(kept["types"]) - set(kept["fields"])):
            kept["fields"][entity] = sorted(self._fields(entity))
            kept["changed"] = True
        if kept.pop("changed", False):
            self._keep(kept)
        fields = {entity: frozenset(kept["fields"].get(entity, ())) for entity in kept["types"]}
        return Schema(fields, frozenset(kept["projects"]))

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def _fields(self, entity: str) -> dict[str, Any]:
        return self._client.ask(lambda client: client.schema_field_read(entity))

    def _kept(self) -> dict[str, Any]:
        if self._file is None:
            return {}
        with suppress(OSError, ValueError, TypeError, KeyError):
            kept: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            if 0 <= self._now() - kept["at"] < DAY and {"types", "fields", "projects"} <= kept.keys():
                return kept
        return {}

    def _keep(self, kept: dict[str, Any]) -> None:
        if self._file is None:
            return
        with suppress(OSError):
            unfinished = self._file.with_suffix(".new")
            unfinished.write_text(json.dumps(kept), encoding="utf-8")
            unfinished.replace(self._file)
