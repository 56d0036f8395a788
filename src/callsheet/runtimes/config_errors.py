"""ToolkitErrors in one form: the project, the configuration, what is wrong, and the cure."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any

from callsheet.domain.toolkit_entities import Project
from callsheet.errors import ToolkitError

_PASSING = {
    errno.ESTALE,
    errno.EIO,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EAGAIN,
    errno.EMFILE,
}


def error(
    kind: str, project: Project, place: str, problem: str, cure: str, *, passing: bool = False, file: str | None = None
) -> ToolkitError:
    """``place``: the configuration, by its folder or its name. ``problem`` and ``cure`` are sentences."""
    said = f"Toolkit of project {project}, configuration {place}: {problem}"
    made = ToolkitError(kind, said, cure, passing=passing, file=file)
    made.project, made.configuration = project.name, place
    return made


def of_agent(told: Mapping[str, Any]) -> ToolkitError:
    """Trouble as a worker or a prepare told it (``agent.toolkit.diagnosis``)."""
    return ToolkitError(
        told["kind"], told["problem"], told["cure"], passing=bool(told["passing"]), traceback=str(told.get("traceback") or "")
    )


def unreadable(project: Project, place: str, path: str, why: OSError) -> ToolkitError:
    """A file or folder that can't be read, and what that means."""
    if isinstance(why, PermissionError):
        return error(
            "no-permission",
            project,
            place,
            f"{path} can't be read ({why.strerror}).",
            "Let the user who runs Callsheet read it.",
            file=path,
        )
    if why.errno in _PASSING:
        return error(
            "share",
            project,
            place,
            f"{path} can't be read now ({why.strerror}).",
            "See whether its share is up; it is tried again.",
            passing=True,
            file=path,
        )
    return error("unreadable", project, place, f"{path} can't be read ({why.strerror or why}).", "Mend or restore it.", file=path)


def missing(project: Project, place: str, path: str, named_in: str) -> ToolkitError:
    """A folder that isn't there: gone for now where all of what it should be on is gone, else gone for good."""
    parent = os.path.dirname(os.path.abspath(path))
    try:
        mounted = bool(os.listdir(parent))
    except OSError:
        mounted = False
    if mounted:
        return error(
            "missing",
            project,
            place,
            f"{path} does not exist, though {parent} does.",
            f"Mend the path in {named_in}, or restore it.",
            file=path,
        )
    return error(
        "missing-mount",
        project,
        place,
        f"{path} does not exist, and {parent} is empty or not there.",
        f"Mount it; it is tried again. If it is mounted, mend the path in {named_in}.",
        passing=True,
        file=path,
    )
