"""A site's projects and Toolkit configurations, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Project:
    """A project of a site. ``folder``: what its folders are called on disk."""

    id: int
    name: str
    folder: str

    def __str__(self) -> str:
        return f"{self.name} (id {self.id})"


@dataclass(frozen=True, slots=True)
class SiteConfiguration:
    """A PipelineConfiguration entity. ``project``: None for one of the whole site. ``path``: for this platform."""

    id: int
    name: str
    project: int | None
    path: str | None = None
    elsewhere: bool = False
    """It has a path for another platform."""
    descriptor: str | None = None
    uploaded: bool = False
    plugin_ids: tuple[str, ...] = ()
    restricted: bool = False
    """Only some people may use it."""
