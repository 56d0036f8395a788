"""A configuration that says nothing of its core, made so that the studio's core opens it.

A core opens no configuration that neither has a core of its own nor names one, and whatever it finds in ``install_location.yml``
it opens in place of what it was given. The configuration itself may belong to others, or stand on a share that can't be written;
so a session is given a view of it: a folder of links to all that is in it, in which these two files are ours.
"""

from __future__ import annotations

import json
import os
import shutil

from callsheet.runtimes.config_files import SYSTEM

_SYSTEMS = ("Linux", "Darwin", "Windows")
_LOCATION = "install_location.yml"


def view(config: str, root: str, home: str) -> str:
    """Make a view of the configuration in ``home``, a folder of the session's own, and return its path. ``root``: of the core."""
    made = os.path.join(home, "configuration")
    shutil.rmtree(made, ignore_errors=True)
    core = os.path.join(made, "config", "core")
    os.makedirs(core)
    _link(config, made, ("config", "install"))
    _link(os.path.join(config, "config"), os.path.join(made, "config"), ("core",))
    _link(os.path.join(config, "config", "core"), core, (_LOCATION,))
    with open(os.path.join(core, _LOCATION), "w", encoding="utf-8") as file:
        json.dump(dict.fromkeys(_SYSTEMS, made), file)  # which is YAML
    os.makedirs(os.path.join(made, "install", "core"))
    with open(os.path.join(made, "install", "core", f"core_{SYSTEM}.cfg"), "w", encoding="utf-8") as file:
        file.write(root)
    return made


def _link(source: str, target: str, but: tuple[str, ...]) -> None:
    for name in os.listdir(source):
        if name not in but:
            os.symlink(os.path.join(source, name), os.path.join(target, name))
