"""From a project to its runtime."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from callsheet.domain.toolkit_entities import Project, SiteConfiguration
from callsheet.errors import ToolkitError
from callsheet.runtimes import centralized, config_errors, interpreters
from callsheet.runtimes.fingerprint import folder_of
from callsheet.runtimes.runtime import Runtime
from callsheet.runtimes.select_config import Choice, choose
from callsheet.settings import ToolkitPin, ToolkitSettings


def resolve(project: Project, known: Sequence[SiteConfiguration], settings: ToolkitSettings, *, worker_python: str) -> Runtime:
    """The project's runtime. ``known``: what the site has for it. Raises ToolkitError, of kind "no-toolkit" if it has none."""
    pin = settings.pin(str(project.id), project.name, project.folder)
    choice = choose(project, pin, known, settings.plugin_id) or _by_folder(project, settings)
    if choice.path is None:
        return _distributed(project, choice, pin, settings, worker_python)
    found = centralized.read(
        project, choice.path, named_in=choice.said_by, studio=None if settings.studio is None else str(settings.studio)
    )
    python = interpreters.choose(
        [
            (pin.python, "the configuration of Callsheet"),
            (found.python, "the core's interpreter file"),
            (settings.python, "toolkit.python"),
            (worker_python, "the workers' Python"),
        ]
    )
    _fits(project, choice.path, found, python)
    return Runtime(
        project,
        found.kind,
        choice.name,
        pin.engine or settings.engine,
        settings.apps if pin.apps is None else pin.apps,
        config=choice.path,
        core=found.core,
        version=found.version,
        python=python.path,
        python_pinned=pin.python is not None,
        configuration=choice.configuration,
        watched=found.watched,
        use_bundle_cache=found.use_bundle_cache,
    )


def _by_folder(project: Project, settings: ToolkitSettings) -> Choice:
    path = os.path.join(settings.configs, project.folder)
    if os.path.isdir(os.path.join(path, "config")):
        return Choice(path, "toolkit.configs", path=path)
    raise _no_toolkit(project, settings.configs, path)


def _no_toolkit(project: Project, configs: Path, path: str) -> ToolkitError:
    said = "it has no Toolkit: the site shows no PipelineConfiguration for it, and"
    # A studio without centralized configurations has never made the folder that is looked into by default.
    gone = config_errors.away(path) if os.path.isdir(path) else _gone(configs)
    if gone is not None:
        cure = "Mount it, or fix toolkit.configs; it is tried again."
        return config_errors.error("no-toolkit", project, "none", f"{said} {gone}.", cure, passing=True, file=str(configs))
    return config_errors.error(
        "no-toolkit",
        project,
        "none",
        f"{said} {f'there is no {path}' if configs.is_dir() else f'{configs} is not there'}.",
        "Set one up, or pin one in the configuration of Callsheet; or leave projects without Toolkit out with project=.",
    )


def _gone(configs: Path) -> str | None:
    found = config_errors.away(str(configs)) if configs.exists() else config_errors.emptied(str(configs))
    return found or (f"{configs} is not there" if configs != ToolkitSettings().configs and not configs.exists() else None)


def _distributed(project: Project, choice: Choice, pin: ToolkitPin, settings: ToolkitSettings, worker_python: str) -> Runtime:
    starter = None if settings.starter is None else _core_in(str(settings.starter))
    if starter is None:
        missing = "there is no core" if settings.starter is None else f"{settings.starter} is no core"
        gone = None if settings.starter is None else config_errors.away(str(settings.starter))
        raise config_errors.error(
            "no-starter",
            project,
            choice.name,
            f"it is distributed, and {missing} to prepare it with{f': {gone}' if gone else ''}.",
            "Mount it; it is tried again."
            if gone
            else "Set toolkit.starter to a Toolkit core that stands alone, the newest that there is.",
            passing=gone is not None,
        )
    python = interpreters.choose(
        [
            (pin.python, "the configuration of Callsheet"),
            (settings.python, "toolkit.python"),
            (worker_python, "the workers' Python"),
        ]
    )
    return Runtime(
        project,
        "distributed",
        choice.name,
        pin.engine or settings.engine,
        settings.apps if pin.apps is None else pin.apps,
        python=python.path,
        python_pinned=pin.python is not None,
        configuration=choice.configuration,
        starter=starter,
        plugin_id=settings.plugin_id,
        base=choice.base,
        source=None if choice.descriptor is None else folder_of(choice.descriptor),
    )


def _core_in(folder: str) -> str | None:
    """The folder to import from, whether the core was named by that, by its own folder, or by the root that it is installed in."""
    folders = (folder, os.path.join(folder, "python"), os.path.join(folder, "install", "core", "python"))
    return next((one for one in folders if os.path.isdir(os.path.join(one, "sgtk"))), None)


def _fits(project: Project, place: str, found: centralized.Centralized, python: interpreters.Interpreter) -> None:
    if found.minimum_python is not None and python.version < interpreters.numbers(found.minimum_python):
        raise config_errors.error(
            "python-too-old",
            project,
            place,
            f"its core {found.version} needs Python {found.minimum_python}, and {python.said_by} is {python.path}, a "
            f"{'.'.join(map(str, python.version))}.",
            "Name a newer Python in the core's interpreter file, or for this project in the configuration of Callsheet.",
        )
