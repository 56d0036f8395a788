"""What a worker is told of the site it serves. The daemon builds one of these per site from its settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from callsheet.domain.callback import RetryPolicy
from callsheet.settings import Secret


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """A site as its workers need it, and how they are started."""

    site: str
    url: str
    script: str
    key: Secret
    proxy: str | None = None
    use_session_uuid: bool = False
    timeout: float = 60.0
    """Seconds after which a socket of the worker gives up."""
    level: int = 20
    """The level of the plugin's logger."""
    argv0: str = ""
    """``sys.argv[0]`` in the worker: the daemon's script, whose folder is on ``sys.path``."""
    helpers: tuple[str, ...] = ()
    """Folders of modules that plugins import, besides their own: that of the configuration, as of its target where it is a link."""
    config: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Sections and values of ``logger.config``. Holds keys, so it is not shown."""
    python: str | None = None
    """The interpreter of the workers; None: the daemon's own."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Set in the workers' environment, in addition to the daemon's."""
    hidden: frozenset[str] = frozenset()
    """Variables of the daemon's environment that hold secrets, and that workers do not get."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """For callbacks that name no policy; one that names a part of it takes the rest from here."""
    cascade: int = 8
    """How many plugins' writes may stand behind one another before a plugin that had a part in them is not called any more."""
    deadline: float | None = None
    """Seconds that a call may take where neither the callback nor ``deadlines`` says otherwise; None: as long as it likes."""
    deadlines: Mapping[str, float] = field(default_factory=dict)
    """The same by plugin name."""

    hosted: frozenset[str] = frozenset()
    """Names of plugins all of whose callbacks run in the Toolkit session of their event's project, whatever they say themselves."""

    def process_environ(self) -> dict[str, str]:
        """All of a worker's environment."""
        return {name: value for name, value in os.environ.items() if name not in self.hidden} | dict(self.environ)

    def deadline_of(self, plugin: str) -> float | None:
        """Seconds that a call of the plugin may take, if the callback itself says nothing."""
        return self.deadlines.get(plugin, self.deadline)
