"""Which configuration a project has: what is pinned, else what the site says, else the folder of its name. Touches no disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from callsheet.domain.toolkit_entities import Project, SiteConfiguration
from callsheet.errors import ToolkitError
from callsheet.runtimes import config_errors
from callsheet.settings import ToolkitPin

PRIMARY = "Primary"


@dataclass(frozen=True, slots=True)
class Choice:
    """Either ``path``, of a centralized configuration, or how to prepare a distributed one. ``said_by``: who decided on it."""

    name: str
    said_by: str
    path: str | None = None
    configuration: int | None = None
    base: str | None = None
    descriptor: str | None = None
    """What it is prepared from, where that is known as text."""


def choose(project: Project, pin: ToolkitPin, known: Sequence[SiteConfiguration], plugin_id: str) -> Choice | None:
    """The configuration that was decided on; None if nobody has decided. Raises ToolkitError where that can't be used."""
    if pin.config is not None:
        return Choice(str(pin.config), "the configuration of Callsheet", path=str(pin.config))
    if pin.descriptor is not None:
        return Choice(pin.descriptor, "the configuration of Callsheet", base=pin.descriptor, descriptor=pin.descriptor)
    if pin.configuration is not None:
        found = [one for one in known if pin.configuration in (one.name, str(one.id))]
        if not found:
            raise config_errors.error(
                "no-configuration",
                project,
                pin.configuration,
                f"the site has no such PipelineConfiguration for it, only {_listed(known)}.",
                "Fix the pin in the configuration of Callsheet, or what the script user may see.",
            )
        return _usable(project, found[0], plugin_id)
    found = [one for one in known if one.project is not None and not one.restricted]
    found = found or [one for one in known if one.project is None and not one.restricted]
    if not found:
        return None
    primaries = [one for one in found if one.name == PRIMARY] or found
    if len(primaries) > 1 and primaries[0].name != PRIMARY:
        raise config_errors.error(
            "ambiguous",
            project,
            "not decided",
            f"the site has {_listed(found)}, and none is called {PRIMARY}.",
            "Call one Primary, or pin one in the configuration of Callsheet.",
        )
    # As Toolkit has it: of several primaries a centralized one wins, then the oldest.
    return _usable(project, min(primaries, key=lambda one: (one.path is None, one.id)), plugin_id)


def _usable(project: Project, one: SiteConfiguration, plugin_id: str) -> Choice:
    said_by = f"PipelineConfiguration {one.name} (id {one.id})"
    if one.path is not None:
        return Choice(one.path, said_by, path=one.path, configuration=one.id)
    if one.descriptor is None and not one.uploaded:
        raise _unusable(project, one, said_by)
    if not any(fnmatchcase(plugin_id, pattern) for pattern in one.plugin_ids):
        raise config_errors.error(
            "plugin-ids",
            project,
            one.name,
            f"{said_by} lets in {', '.join(one.plugin_ids) or 'no plugin id'}, not {plugin_id}.",
            "Add basic.* to its plugin ids, or set toolkit.plugin_id to one that it lets in.",
        )
    return Choice(one.name, said_by, configuration=one.id, descriptor=one.descriptor)


def _unusable(project: Project, one: SiteConfiguration, said_by: str) -> ToolkitError:
    if one.elsewhere:
        return config_errors.error(
            "other-platform", project, one.name, f"{said_by} has paths for other platforms only.", "Fill in its path for this one."
        )
    return config_errors.error(
        "no-configuration", project, one.name, f"{said_by} has no path, no descriptor and no upload.", "Fill one of them in."
    )


def _listed(known: Iterable[SiteConfiguration]) -> str:
    return ", ".join(f"{one.name} (id {one.id})" for one in known) or "none"
