"""What a site knows of a project and of the Toolkit configurations that it has."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from callsheet.domain.toolkit_entities import Project, SiteConfiguration
from callsheet.site.client import SiteClient

PATHS = ("linux_path", "mac_path", "windows_path")
HERE = {"darwin": "mac_path", "win32": "windows_path"}.get(sys.platform, "linux_path")
_FIELDS = ("code", "project", "users", "plugin_ids", "sg_plugin_ids", "descriptor", "sg_descriptor", "uploaded_config", *PATHS)


class ConfigurationCatalogue:
    """Reads them over a connection of its own, which is opened by the first question. Not for several threads at once."""

    def __init__(
        self, url: str, script: str, key: str, *, proxy: str | None = None, ca: str | None = None, timeout: float = 60.0
    ) -> None:
        self._client = SiteClient(url, script, key, proxy=proxy, ca=ca, timeout=timeout)

    def project(self, project: int | str) -> Project | None:
        """The project of that id, or of that name or folder name; None if the site shows none."""
        if isinstance(project, int):
            filters: list[Any] = [["id", "is", project]]
        else:
            named = [["name", "is", project], ["tank_name", "is", project]]
            filters = [{"filter_operator": "any", "filters": named}]
        found: list[Any] = self._client.ask(lambda client: client.find("Project", filters, ["name", "tank_name"]))
        if not found:
            return None
        first = min(found, key=lambda one: (one["name"] != project, one["id"]))
        return _project(first)

    def configurations(self, project: int) -> tuple[SiteConfiguration, ...]:
        """Those of a project and those of the whole site, the project's first, then by id."""
        link = {"type": "Project", "id": project}
        filters = [{"filter_operator": "any", "filters": [["project", "is", link], ["project", "is", None]]}]
        found: list[Any] = self._client.ask(lambda client: client.find("PipelineConfiguration", filters, list(_FIELDS)))
        return tuple(sorted(map(_configuration, found), key=lambda one: (one.project is None, one.id)))

    def projects(self) -> tuple[Project, ...]:
        """All that are not archived, by name."""
        fields = ["name", "tank_name", "archived"]
        found: list[Any] = self._client.ask(lambda client: client.find("Project", [], fields))
        shown = (one for one in found if not one.get("archived"))
        return tuple(sorted((_project(one) for one in shown), key=lambda one: one.name))

    def configured(self) -> frozenset[int | None]:
        """The ids of projects that have configurations; None among them where the whole site has one."""
        found: list[Any] = self._client.ask(lambda client: client.find("PipelineConfiguration", [], ["project"]))
        return frozenset(one["project"]["id"] if one.get("project") else None for one in found)

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()


def _project(data: Mapping[str, Any]) -> Project:
    return Project(data["id"], data["name"], data.get("tank_name") or data["name"])


def _configuration(data: Mapping[str, Any]) -> SiteConfiguration:
    patterns = f"{data.get('plugin_ids') or ''},{data.get('sg_plugin_ids') or ''}"
    users: Sequence[Any] = data.get("users") or ()
    return SiteConfiguration(
        id=data["id"],
        name=data["code"] or "",
        project=data["project"]["id"] if data.get("project") else None,
        path=data.get(HERE) or None,
        elsewhere=any(data.get(one) for one in PATHS if one != HERE),
        descriptor=data.get("descriptor") or data.get("sg_descriptor") or None,
        uploaded=bool(data.get("uploaded_config")),
        plugin_ids=tuple(one.strip() for one in patterns.split(",") if one.strip()),
        restricted=bool(users),
    )
