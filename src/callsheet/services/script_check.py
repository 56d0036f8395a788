"""Finds scripts that write without making events: whatever waits for what they do waits in vain, and nothing else tells why."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from callsheet.domain.overview import Condition
from callsheet.errors import SiteError
from callsheet.services.plugin_registry import PluginRegistry
from callsheet.services.service import Service

FIRST = 10.0
"""Seconds after the start until sites are asked: it has more urgent questions."""
HOURLY = 3600.0
AGAIN = 60.0
"""Seconds until a site is asked again that did not answer."""


class ScriptSource(Protocol):
    """A site's scripts, see ``site.scripts``."""

    def silent(self, names: Collection[str]) -> frozenset[str]:
        """Those of these whose writes make no events. Raises SiteError."""


class ScriptCheckService(Service):
    """Asks each site soon after the start, and hourly, about its own script and those that plugins register with."""

    name = "script check"
    limit = 600.0

    def __init__(
        self,
        registry: PluginRegistry,
        scripts: Mapping[str, tuple[str, ScriptSource]],
        *,
        first: float = FIRST,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``scripts``: by site, the name of the one that it is read with, and whom to ask."""
        super().__init__()
        self._registry = registry
        self._scripts = scripts
        self._first: float | None = first
        self._now = clock
        self._known: dict[str, dict[str, Condition]] = {}

    def step(self) -> float:
        """Ask every site; where one does not answer, what it said last still holds."""
        if self._first is not None:
            wait, self._first = self._first, None
            return wait
        delay = HOURLY
        for site, (own, source) in self._scripts.items():
            writers = self._writers(site, own)
            try:
                silent = source.silent(writers)
            except SiteError:
                delay = AGAIN
                continue
            before = self._known.get(site, {})
            self._known[site] = {
                name: before.get(name) or self._condition(site, name, writers[name]) for name in silent & set(writers)
            }
            self.got_on()
        return delay

    def conditions(self) -> list[Condition]:
        """The scripts of all sites that write without events."""
        return [one for known in list(self._known.values()) for one in known.values()]

    def _writers(self, site: str, own: str) -> dict[str, list[str]]:
        """Script → the plugins that write with it."""
        writers: dict[str, list[str]] = defaultdict(list, {own: []})
        for plugin, callbacks in self._registry.ready(site).callbacks.items():
            for script in {one.script or own for one in callbacks}:
                writers[script].append(plugin)
        return writers

    def _condition(self, site: str, script: str, plugins: list[str]) -> Condition:
        whose = f"plugins {', '.join(plugins)} write" if plugins else "is written"
        what = f"Script {script} of site {site} makes no events: what {whose} with it appears in no event log, and calls no plugin."
        return Condition("script-silent", what, self._now(), site=site, place=script)
