"""Holds what plugins ask for against what their sites have, so that a misspelt name is told instead of never called."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from callsheet import telemetry
from callsheet.domain.callback import Callback
from callsheet.errors import SiteError
from callsheet.policy.schema_check import Schema, doubts, entities
from callsheet.services.plugin_registry import PluginRegistry
from callsheet.services.service import Service

LOOK_EVERY = 2.0
"""Seconds between two looks whether a plugin has been loaded anew."""
PATIENCE = 10.0
"""Seconds for which a plugin has been ready before its site is asked: a start has more urgent questions."""
AGAIN = 60.0
"""Seconds until a site is asked again that did not answer."""
DAILY = 86400.0


@dataclass(slots=True)
class _Plugin:
    """What a plugin had registered when it was seen first, when its next check is due, and what the last one found."""

    callbacks: tuple[Callback, ...]
    due: float
    found: list[str] = field(default_factory=list)


class SchemaSource(Protocol):
    """What a site has, see ``site.schema``."""

    def read(self, entities: Iterable[str]) -> Schema:
        """The schema, with the fields of these entity types. Raises SiteError."""


class SchemaCheckService(Service):
    """Checks each plugin once it is ready, and all of them daily. Nothing waits for it."""

    name = "schema check"
    limit = 600.0

    def __init__(
        self,
        registry: PluginRegistry,
        schemas: Mapping[str, SchemaSource],
        *,
        patience: float = PATIENCE,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """``schemas``: by site."""
        super().__init__()
        self._registry = registry
        self._schemas = schemas
        self._patience = patience
        self._steady = steady
        self._plugins: dict[tuple[str, str], _Plugin] = {}

    def step(self) -> float:
        """Check what is due. Where a site does not answer, its plugins wait for that; the others do not."""
        now, delay = self._steady(), LOOK_EVERY
        for site, source in self._schemas.items():
            due = [
                name for name, callbacks in self._registry.ready(site).callbacks.items() if self._is_due(site, name, callbacks, now)
            ]
            if not due:
                continue
            try:
                schema = source.read(entities(one for name in due for one in self._plugins[site, name].callbacks))
            except SiteError:
                delay = AGAIN
                continue
            for name in due:
                self._check(site, name, self._plugins[site, name], schema, now)
        return delay

    def _is_due(self, site: str, name: str, callbacks: tuple[Callback, ...], now: float) -> bool:
        plugin = self._plugins.get((site, name))
        if plugin is None or plugin.callbacks != callbacks:
            plugin = self._plugins[site, name] = _Plugin(callbacks, now + self._patience)
        return plugin.due <= now

    def _check(self, site: str, name: str, plugin: _Plugin, schema: Schema, now: float) -> None:
        found = [f"{callback.key.name}: {doubt}" for callback in plugin.callbacks for doubt in doubts(callback, schema)]
        if found != plugin.found and not self._registry.remark(site, name, plugin.callbacks, "\n".join(found)):
            return  # it has been loaded anew meanwhile
        for text in found:
            if text not in plugin.found:
                telemetry.emit("plugin.doubtful", site=site, plugin=name, doubt=text)
        plugin.found, plugin.due = found, now + DAILY
