"""What a session is started from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from callsheet.domain.toolkit_entities import Project
from callsheet.runtimes import fingerprint, interpreters

Kind = Literal["localized", "shared", "studio", "distributed"]


@dataclass(frozen=True, slots=True)
class Runtime:
    """A project's Toolkit. One that is ``distributed`` has no ``config``, ``core`` and ``version`` until it is ``prepared``."""

    project: Project
    kind: Kind
    name: str
    """What the configuration is called, for people: its path, or its name on the site."""
    engine: str
    apps: tuple[str, ...] = ()
    config: str | None = None
    """The folder that ``sgtk_from_path`` is given."""
    core: str | None = None
    """The folder that ``sgtk`` is imported from."""
    version: str | None = None
    python: str | None = None
    """The interpreter; None: the workers'."""
    python_pinned: bool = False
    """The configuration of Callsheet names it for this project, whatever the Toolkit configuration says."""
    configuration: int | None = None
    """Id of the PipelineConfiguration; None where the site was not asked, or knows none."""
    starter: str | None = None
    """The folder to import the core from that a distributed one is prepared with."""
    plugin_id: str = ""
    """As whom a distributed one is asked for."""
    base: str | None = None
    """Descriptor that a distributed one is prepared from without asking the site."""
    source: str | None = None
    """The folder that a distributed one comes from, if it is one."""
    descriptor: Mapping[str, Any] | None = None
    """What it was prepared from."""
    watched: tuple[str, ...] = ()
    """Files and folders whose change makes another session necessary."""
    use_bundle_cache: bool = False
    """A centralized one whose bundles are in the user's bundle cache."""

    @property
    def key(self) -> str:
        """What it is locked by while it is prepared: the same for all who would write the same configuration."""
        return f"p{self.project.id}c{self.configuration or 0}"

    def prepared(self, answer: Mapping[str, Any]) -> Runtime:
        """The runtime as the prepare process left it, with the interpreter that the configuration names, if that can be used."""
        own = answer["python"]
        usable = own is not None and not self.python_pinned and interpreters.version_of(own) >= interpreters.OLDEST
        return replace(
            self,
            config=answer["config"],
            core=answer["core"],
            version=answer["version"],
            descriptor=answer["descriptor"],
            watched=fingerprint.of_source(answer["descriptor"]),
            python=own if usable else self.python,
        )

    def opening(self, *, host: str, script: str, key: str, proxy: str | None, home: str, level: int = 30) -> dict[str, Any]:
        """What ``agent.toolkit.open_toolkit.open_toolkit`` is told."""
        return {
            "project": {"type": "Project", "id": self.project.id, "name": self.project.name},
            "core": self.core,
            "config": self.config,
            "version": self.version,
            "descriptor": None if self.descriptor is None else dict(self.descriptor),
            "plugin_id": self.plugin_id,
            "configuration": self.configuration,
            "base": self.base,
            "engine": self.engine,
            "apps": list(self.apps),
            "host": host,
            "script": script,
            "key": key,
            "proxy": proxy,
            "home": home,
            "log_level": level,
        }
