"""A centralized configuration as its files describe it: is it whole, is it this project's, whose core has it, which Python."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from callsheet.domain.toolkit_entities import Project
from callsheet.runtimes import config_errors, fingerprint
from callsheet.runtimes.config_files import NOWHERE, SYSTEM, Reader
from callsheet.runtimes.runtime import Kind

_CORE = ("python", "hooks", "info.yml")


class Centralized(NamedTuple):
    """What the files say. ``python``: the interpreter that they name, None where they name none."""

    kind: Kind
    core: str
    version: str
    python: str | None
    minimum_python: str | None
    watched: tuple[str, ...]
    use_bundle_cache: bool
    """Its bundles are in the user's bundle cache; else in the ``install`` folder beside its core."""


def read(project: Project, config: str, *, named_in: str, studio: str | None = None) -> Centralized:
    """Look at all that is needed to open it. ``named_in``: who says that it is there. ``studio``: root of the studio's core.

    Raises ToolkitError for the first thing that would keep it from being opened, or would open another one in its place.
    """
    reader = Reader(project, config)
    if not os.path.isdir(config) or config_errors.away(config) is not None:
        raise config_errors.missing(project, config, config, named_in)
    core_folder = os.path.join(config, "config", "core")
    if reader.text(os.path.join(core_folder, "roots.yml")) is None:
        raise reader.error(
            "not-a-configuration",
            "it has no config/core/roots.yml, so it is none.",
            f"Fix the path in {named_in}.",
            file=config,
            absent=os.path.join(core_folder, "roots.yml"),
            named_in=named_in,
        )
    metadata = _metadata(reader, core_folder, project, config)
    kind, root = _root(reader, config, studio)
    core = os.path.join(root, "install", "core")
    absent = [one for one in _CORE if not os.path.exists(os.path.join(core, one))]
    if absent:
        problem = f"the core in {core} lacks {', '.join(absent)}."
        raise reader.error("core-location", problem, "Install it anew.", file=core, absent=os.path.join(core, absent[0]))
    info = reader.yaml(os.path.join(core, "info.yml"))
    python = _interpreter(reader, root)
    least = info.get("minimum_python_version")
    watched = fingerprint.of_configuration(config, (*reader.read, os.path.join(core, "info.yml")))
    return Centralized(
        kind,
        os.path.join(core, "python"),
        str(info.get("version", "unknown")),
        python,
        None if least is None else str(least),
        watched,
        bool(metadata.get("use_bundle_cache")),
    )


def _metadata(reader: Reader, folder: str, project: Project, config: str) -> dict[str, Any]:
    """What pipeline_configuration.yml says, once it is sure that this is the project's, and is where it says that it is."""
    for name in ("roots.yml", "shotgun.yml"):
        if os.path.exists(os.path.join(folder, name)):
            reader.yaml(os.path.join(folder, name))
    file = os.path.join(folder, "pipeline_configuration.yml")
    metadata = reader.yaml(file)
    found = os.path.expandvars(str(metadata.get("project_id")))
    if found != str(project.id):
        raise reader.error(
            "wrong-project", f"it belongs to the project with id {found}, says {file}.", "Fix that, or the path.", file=file
        )
    file = os.path.join(folder, "install_location.yml")
    place = reader.yaml(file).get(SYSTEM)
    if place is None or str(place).strip() in NOWHERE:
        raise reader.error("other-platform", f"{file} has no path for {SYSTEM}.", f"Write {config} there.", file=file)
    place = os.path.expandvars(str(place).strip())
    if os.path.realpath(place) != os.path.realpath(config):
        raise reader.error(
            "elsewhere",
            f"{file} says that it is {place}, and Toolkit would open that in its place.",
            f"Write {config} there: a copied configuration still names the one that it was copied from.",
            file=file,
        )
    return metadata


def _root(reader: Reader, config: str, studio: str | None) -> tuple[Kind, str]:
    if os.path.exists(os.path.join(config, "install", "core", "_core_upgrader.py")):
        return "localized", config
    file = os.path.join(config, "install", "core", f"core_{SYSTEM}.cfg")
    root = reader.path(file)
    if root is None:
        if studio is None:
            raise reader.error(
                "core-location",
                f"it has no core of its own, and no {file} that names a shared one.",
                "Run share_core or attach_to_core for it, or set toolkit.studio to the studio's core.",
                file=file,
            )
        if not os.path.isdir(studio) or config_errors.away(studio) is not None:
            raise config_errors.missing(reader.project, reader.place, studio, "toolkit.studio")
        return "studio", studio
    if root in NOWHERE:
        raise reader.error(
            "other-platform", f"{file} names no core for {SYSTEM}.", "Write the root of the shared core there.", file=file
        )
    if not os.path.isdir(root) or config_errors.away(root) is not None:
        raise config_errors.missing(reader.project, reader.place, root, file)
    return "shared", root


def _interpreter(reader: Reader, root: str) -> str | None:
    file = os.path.join(root, "config", "core", f"interpreter_{SYSTEM}.cfg")
    python = reader.path(file)
    if python is None or python in NOWHERE:
        return None
    if not os.path.exists(python):
        raise reader.error(
            "interpreter",
            f"{file} names the Python {python}, which is not there.",
            "Name one that exists on this machine, or set toolkit.projects.NAME.python.",
            file=file,
            absent=python,
            named_in=file,
        )
    return python
