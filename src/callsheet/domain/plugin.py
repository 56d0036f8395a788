"""A plugin: its file, what its worker said of it, and what the ledger knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from callsheet.domain.callback import Callback, PluginKey
from callsheet.domain.delivery import Stamp


class PluginState(StrEnum):
    """LOADING: its worker starts. READY: described, gets events. BROKEN: can't be described, keeps its place. GONE: no file."""

    LOADING = "loading"
    READY = "ready"
    BROKEN = "broken"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class PluginFile:
    """A plugin as found on disk. ``generation`` grows by one with each (re)load in this daemon's life."""

    key: PluginKey
    path: str
    ordinal: int
    mtime: float
    generation: int = 0
    stamp: Stamp | None = None
    fingerprint: str = ""
    """Tells it from another file at the same path, over restarts, too; empty where nobody looked."""
    as_is: bool = False
    """What it registers is all that it has, though the API may not answer it meanwhile."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a worker says of its plugin once it has registered it, or why it can't (``problem``, with ``where`` it went wrong)."""

    plugin: PluginKey
    generation: int
    callbacks: tuple[Callback, ...] = ()
    problem: str | None = None
    where: str = ""
    level: str = "ERROR"
    logger: str = ""
    pid: int = 0
    python: str = ""
    passing: bool = False
    """The problem goes away by itself: it is loaded again, ever later."""
    later: Mapping[str, int] = field(default_factory=dict)
    """Names of callbacks that were registered after loading, by a callback → the event that this one handled."""

    @property
    def site_failed(self) -> bool:
        """It has registered ``callbacks``, and maybe less than it would have, since the API did not answer meanwhile."""
        return self.where == "site"


class ImportedFile(NamedTuple):
    """A file that a module was imported from, with the time (epoch) and the size that the import met.

    Neither: there was no such file, and the plugin could not be loaded for want of it.
    """

    path: str
    mtime: float | None
    size: int | None


@dataclass(frozen=True, slots=True)
class PluginImports:
    """Modules that a plugin has imported, from its folder or from beside the configuration, while it loaded or later on."""

    plugin: PluginKey
    generation: int
    files: tuple[ImportedFile, ...]


DAEMON = "callsheet"
"""Who holds a plugin that came back far behind, after its file was gone: nobody but the daemon itself."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A plugin, or one ``lane`` of it, that stands still on purpose until an operator releases it.

    Where ``who`` is DAEMON it came back far behind, and stands still until an operator has decided how it goes on.
    """

    lane: str | None
    since: float
    who: str
    why: str = ""

    @property
    def undecided(self) -> bool:
        """Whether it is the daemon's, and asks for a decision."""
        return self.who == DAEMON


@dataclass(frozen=True, slots=True)
class EarlierCallbacks:
    """What a plugin had registered up to the event ``until_event``, and ``at`` which time that changed."""

    until_event: int
    at: float
    callbacks: tuple[Callback, ...]


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """A plugin as the ledger knows it. ``waiting`` counts its open deliveries; ``callbacks`` as last described.

    ``held`` counts deliveries at which a lane stands still since they failed; ``holds`` are operators'. ``own`` counts deliveries
    that were not made, since the plugin itself caused the event.
    """

    key: PluginKey
    path: str
    ordinal: int
    state: PluginState
    mtime: float
    position: int | None
    waiting: int
    held: int
    problem: str = ""
    callbacks: tuple[Callback, ...] = ()
    updated_at: float = 0.0
    own: int = 0
    holds: tuple[Hold, ...] = ()
    fingerprint: str = ""
    """Of the file that was last described without a problem (see ``domain.plugin.PluginFile``)."""
    began_after: int | None = None
    """Events up to this one came before the plugin; 0: not known, None: the site has not been read yet."""
    earlier: tuple[EarlierCallbacks, ...] = ()
    """What it had registered before, the oldest first."""
    called: Mapping[str, float] = field(default_factory=dict)
    """Callback name → when its last call ended; absent: never so far."""

    @property
    def hold(self) -> Hold | None:
        """That of the whole plugin, where there is one."""
        return next((one for one in self.holds if one.lane is None), None)
