"""What a session was started from, file by file, so that a change can be seen and named."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from callsheet.runtimes.config_files import SYSTEM

HERE = {"darwin": "mac_path", "win32": "windows_path"}.get(sys.platform, "linux_path")
"""The key of this system's path, in descriptors and in PipelineConfigurations."""
_FOLDERS = ("config/env", "config/core", "config/hooks")
_SUFFIXES = (".yml", ".cfg", ".py")  # hooks too: a core keeps what it has loaded


class Print(NamedTuple):
    """A file's fingerprint: it tells a file that was edited, and one that was moved into another's place."""

    modified: int
    size: int
    inode: int


def of_configuration(config: str, more: Iterable[str] = ()) -> tuple[str, ...]:
    """What to watch of a configuration: its folders of settings, its core, and the files ``more``."""
    core = os.path.join(config, "install", "core")
    own = (
        *(os.path.join(config, one) for one in _FOLDERS),
        os.path.join(core, "info.yml"),
        os.path.join(core, f"core_{SYSTEM}.cfg"),
    )
    inside = tuple(os.path.join(config, one, "") for one in _FOLDERS)
    return tuple(dict.fromkeys((*own, *(one for one in more if not one.startswith(inside)))))


def of_source(descriptor: Mapping[str, Any]) -> tuple[str, ...]:
    """What to watch of the place that a distributed configuration comes from, where that is a folder on this machine."""
    path = folder_of(descriptor)
    return () if path is None else tuple(os.path.join(path, one) for one in ("core", "env", "hooks"))


def folder_of(descriptor: Mapping[str, Any] | str) -> str | None:
    """The folder that a descriptor names, as a dict or as text (``sgtk:descriptor:path?linux_path=$SHOW/config``); None if it names
    none on this system.
    """
    if isinstance(descriptor, str):
        kind, _, rest = descriptor.removeprefix("sgtk:descriptor:").partition("?")
        descriptor = {"type": kind, **{name: values[0] for name, values in parse_qs(rest).items()}}
    path = descriptor.get("path") or descriptor.get(HERE)
    if descriptor.get("type") not in ("path", "dev") or not isinstance(path, str):
        return None
    return os.path.normpath(os.path.expanduser(os.path.expandvars(path)))


def folders(root: str) -> dict[str, Print | None]:
    """The fingerprint of a folder and all folders in it: something is put into them, or taken out, while another version comes."""
    return {folder: _print(folder) for folder, _, _ in os.walk(root)}


def prints(watched: Iterable[str]) -> dict[str, Print | None]:
    """The fingerprint of each file, those below a folder included; None for what isn't there."""
    found: dict[str, Print | None] = {}
    for path in watched:
        if os.path.isdir(path):
            for folder, _, names in os.walk(path):
                found |= {
                    one: _print(one) for one in (os.path.join(folder, name) for name in sorted(names)) if one.endswith(_SUFFIXES)
                }
        else:
            found[path] = _print(path)
    return found


def changed(before: Mapping[str, Print | None], now: Mapping[str, Print | None]) -> str | None:
    """The first file that is new, gone or another one; None if there is none."""
    return next((one for one in sorted({*before, *now}) if before.get(one) != now.get(one)), None)


def _print(path: str) -> Print | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return Print(stat.st_mtime_ns, stat.st_size, stat.st_ino)
