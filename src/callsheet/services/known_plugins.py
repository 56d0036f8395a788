"""A plugin as its registry knows it: which loads were in vain, and what is said of one that is of no use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from callsheet import telemetry
from callsheet.domain.callback import Callback
from callsheet.domain.plugin import Manifest, PluginFile, PluginState

LOADING_LOADS = 4
"""With so many loads in vain, a plugin does not count as loading any more: a drain does not wait for it, nor do plugins that run in
turn with it."""

AS_IS_LOADS = 8
"""After so many, in all of which the plugin registered the same, and the site answered its reading, that is taken for all there is:
whatever it asks for is not going to be answered. They take a minute."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The plugins of a site that can be routed to, in order. A new ``version`` with every change."""

    version: int = 0
    callbacks: Mapping[str, tuple[Callback, ...]] = field(default_factory=dict)


class LateCallback(NamedTuple):
    """A callback that a plugin registered after loading, while that event was being handled."""

    plugin: str
    callback: str
    event_id: int


@dataclass(slots=True)
class KnownPlugin:
    """A plugin in the folders, as it was last loaded and described."""

    file: PluginFile
    state: PluginState
    callbacks: tuple[Callback, ...] = ()
    problem: str | None = None
    in_vain: int = 0
    """How many loads in a row had a problem that passes."""
    unchanged: int = 0
    """How many of the last of these registered the same, while the site answered its reading."""

    def loaded_in_vain(self, manifest: Manifest, *, answers: bool) -> None:
        """Take note of another load that met a problem which passes. ``answers``: whether the site answers its reading."""
        self.in_vain += 1
        if not manifest.site_failed or not manifest.callbacks or not answers:
            self.unchanged = 0
        else:
            self.unchanged = self.unchanged + 1 if manifest.callbacks == self.callbacks else 1


def tell_broken(manifest: Manifest, path: str) -> None:
    """Say why the plugin of the file ``path`` can't be used."""
    telemetry.emit(
        "plugin.broken",
        site=manifest.plugin.site,
        plugin=manifest.plugin.name,
        path=path,
        where=manifest.where,
        problem=manifest.problem,
        level=manifest.level,
        logger=manifest.logger,
        passing=manifest.passing,
    )
