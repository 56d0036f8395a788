"""``import_sgtk``: another project's core in the same process, for plugins that were written that way."""

import importlib
import logging
import os
import sys
import threading
from typing import Any, Dict, List, Optional, Tuple

from callsheet.agent.toolkit.core_modules import CoreModules
from callsheet.agent.toolkit.cores import configuration_of, core_of
from callsheet.agent.toolkit.open_toolkit import forward_log

_lock = threading.RLock()
_known: Dict[Tuple[str, str], Tuple[Any, CoreModules, Any]] = {}
"""Module, belongings, and the state of info.yml when it was imported, by core and configuration."""
_inside: List[Tuple[str, str]] = []
"""The key of the project whose core is in the process now; empty at first."""


def import_sgtk(project: str, configs: Optional[str] = None, studio: Optional[str] = None) -> Any:
    """The module ``sgtk`` of a project: the name of its configuration's folder, or a path.

    Takes the place of the function of that name in the how-to for shotgunEvents; from now on ``import sgtk`` means this project's
    core too. ``configs``: where configurations are, else ``$SHOTGUN_BASE``, else /mnt/sgtk/configs. ``studio``: root of the core
    for configurations that say nothing of theirs, else ``studio`` below ``configs``. A core that was upgraded on disk is imported
    anew. Raises ImportError, naming the file to look at, when the project has no core.

    **A session is better**, ``callsheet.toolkit.session(project)`` or ``@on(…, toolkit=True)``: a process that has this project's
    core and no other. Here all cores of all projects stay in one process (30 to 60 MB each, for good); what is imported late, by a
    function of one project, is taken from whichever core is in at that moment; cores of one process share the standard library
    and Python; threads must not use it beside each other; and an engine that a project still runs when the next one comes in stays
    where it is, so destroy it first.
    """
    config = configuration_of(project, configs)
    core = core_of(config, studio or os.path.join(os.path.dirname(config), "studio"))
    key = (core, config)
    with _lock:
        state = _state_of(core)
        found = _known.get(key)
        if found is not None and found[2] != state:
            if _inside == [key]:
                _leave()
            del _known[key]
            found = None
        if _inside == [key] and found is not None:
            return found[0]
        _leave()
        if found is None:
            found = _known[key] = (*_enter(core, config), state)
        else:
            found[1].put_back()
        _inside[:] = [key]
        return found[0]


def _enter(core: str, config: str) -> Tuple[Any, CoreModules]:
    belongings = CoreModules(core, config)
    belongings.take()  # what a plugin imported by itself before, without this function
    belongings.make_room()
    os.environ.pop("TANK_CURRENT_PC", None)
    sys.path.insert(0, core)
    importlib.invalidate_caches()
    try:
        sgtk = importlib.import_module("sgtk")
    except BaseException:
        belongings.take()
        raise
    forward_log(logging.WARNING)
    return sgtk, belongings


def _leave() -> None:
    for key in _inside:
        _known[key][1].take()
    del _inside[:]


def _state_of(core: str) -> Any:
    try:
        stat = os.stat(os.path.join(os.path.dirname(core), "info.yml"))
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
