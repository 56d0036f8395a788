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
    return error("unreadable", project, place, f"{path} can't be read ({why.strerror or why}).", "Fix or restore it.", file=path)


def missing(project: Project, place: str, path: str, named_in: str) -> ToolkitError:
    """A file or folder that isn't there, or is an empty folder: gone for now where a share seems to be away, else for good."""
    gone = away(path)
    if gone is not None:
        return unmounted(project, place, path, gone, named_in)
    parent = os.path.dirname(os.path.abspath(path))
    return error(
        "missing",
        project,
        place,
        f"{path} does not exist, though {parent} does.",
        f"Fix the path in {named_in}, or restore it.",
        file=path,
    )


def away(path: str) -> str | None:
    """Why ``path``, which ought to be there, seems to be on a share that is away, as "… is empty"; None if it does not seem so.

    An unmounted mount point is an empty folder, or none: where more than the last name of a path is missing, it is taken for one.
    """
    path = os.path.abspath(path)
    try:
        os.stat(path)
    except OSError as why:
        if why.errno in _PASSING:
            return f"{path} can't be read ({why.strerror})"
        parent = os.path.dirname(path)
        return emptied(path) or (None if os.path.exists(parent) else f"{parent} is not there")
    return f"{path} is empty" if _is_empty(path) else None


def emptied(path: str) -> str | None:
    """The same for what is missing from a place that was read well: whether a mount point above it stands empty."""
    unmounted = next((one for one in _mount_points() if _is_below(path, one) and not os.path.ismount(one)), None)
    if unmounted is not None:
        return f"{unmounted} is not mounted"
    folder = os.path.dirname(path)
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return f"{folder} is empty" if _is_empty(folder) else None


def unmounted(project: Project, place: str, path: str, gone: str, named_in: str) -> ToolkitError:
    """What seems to be on a share that is away, by ``gone``, which ``away`` or ``emptied`` said."""
    said = f"{path} does not exist, and {gone}" if not os.path.exists(path) and not gone.startswith(f"{path} ") else gone
    return error(
        "missing-mount",
        project,
        place,
        f"{said}.",
        f"Mount it; it is tried again. If it is mounted, fix the path in {named_in}.",
        passing=True,
        file=path,
    )


def _is_empty(folder: str) -> bool:
    try:
        return not os.listdir(folder)
    except OSError:
        return False


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def _mount_points() -> list[str]:
    """Where /etc/fstab says that shares are mounted, whether they are or not."""
    try:
        with open("/etc/fstab", encoding="utf-8") as file:
            rows = [line.split() for line in file if not line.lstrip().startswith("#")]
    except (OSError, UnicodeDecodeError):
        return []
    return [row[1] for row in rows if len(row) > 1 and row[1].startswith("/") and row[1] != "/"]
