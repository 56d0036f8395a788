"""What a session is started from, and who finds that out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from callsheet.domain.toolkit_entities import Project
from callsheet.errors import ToolkitError

UPGRADE = 600.0
"""Seconds that a core or a configuration may be in pieces while somebody puts another one in its place."""


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """All that a worker needs to have a project's Toolkit."""

    project: Project
    kind: str
    """``localized``, ``shared``, ``studio`` or ``distributed``."""
    configuration: str
    """What the configuration is called, for people."""
    told: Mapping[str, Any] = field(repr=False)
    """What ``agent.toolkit.open_toolkit.open_toolkit`` is told. Holds a key."""
    environ: Mapping[str, str] = field(repr=False)
    """All of the worker's environment."""
    python: str | None = None
    """The interpreter; None: that of the other workers."""
    patience: float = 120.0
    """Seconds that the worker may take to have it open."""
    made_of: Any = None
    """What the finder remembers of the files that it is made of."""


class RuntimeResolver(Protocol):
    """From a project to what its sessions are started from. Blocks, since it asks the site and the disk; any thread may call it."""

    def project(self, site: str, name: str) -> Project:
        """The project of that name, or folder name. Raises ToolkitError, or SiteError if the site does not answer."""

    def find(self, site: str, project: int) -> SessionSpec:
        """The opening for a project. Raises ToolkitError, or SiteError if the site does not answer."""

    def reconsidered(self, opening: SessionSpec, trouble: ToolkitError) -> ToolkitError:
        """The trouble that a worker met with ``opening``, as one that passes if it is likely to, by all that can be seen now."""

    def changed(self, site: str, opening: SessionSpec) -> str | None:
        """What has changed since ``opening`` was found: a file, or what the site says; None if nothing has."""
