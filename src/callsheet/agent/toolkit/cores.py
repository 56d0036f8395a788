"""Where a centralized configuration's core is, as its files say; for the in-process swap, which has no daemon to ask."""

import os
import sys
from typing import Optional

PYTHON = os.path.join("install", "core", "python")
SYSTEM = {"darwin": "Darwin", "win32": "Windows"}.get(sys.platform, "Linux")
CONFIGS = "/mnt/sgtk/configs"


class NoCoreError(ImportError):
    """A project has no core that could be imported. The text names the file to look at."""


def configuration_of(project: str, configs: Optional[str] = None) -> str:
    """The folder of a project's configuration: ``project`` below ``configs``, or itself if it is a path.

    Without ``configs``: ``$SHOTGUN_BASE``, else /mnt/sgtk/configs.
    """
    return os.path.abspath(os.path.join(configs or os.environ.get("SHOTGUN_BASE") or CONFIGS, project))


def core_of(config: str, studio: Optional[str] = None) -> str:
    """The folder to import ``sgtk`` from for a configuration. Raises NoCoreError.

    A core of its own comes first, then the shared one that ``core_<system>.cfg`` names, then ``studio``, a root like the latter.
    """
    if not os.path.isdir(config):
        raise NoCoreError(f"There is no configuration in {config}; see the name, SHOTGUN_BASE, and whether it is mounted.")
    if os.path.exists(os.path.join(config, "install", "core", "_core_upgrader.py")):
        return _checked(os.path.join(config, PYTHON), config)
    linked = os.path.join(config, "install", "core", f"core_{SYSTEM}.cfg")
    if os.path.exists(linked):
        with open(linked, encoding="utf-8") as file:
            root = os.path.expanduser(os.path.expandvars(file.read().strip()))
        if root in ("", "None", "undefined"):
            raise NoCoreError(f"{linked} names no core for this system; write the shared core's root into it.")
        return _checked(os.path.join(root, PYTHON), linked)
    if studio is None:
        raise NoCoreError(f"{config} has no core of its own, and no {os.path.basename(linked)} that names a shared one.")
    return _checked(os.path.join(studio, PYTHON), config)


def _checked(core: str, says: str) -> str:
    if not os.path.isdir(os.path.join(core, "tank")):
        raise NoCoreError(f"There is no core in {core}, where {says} says that it is; fix that, or mount it.")
    return core
