"""A miniature core: state in globals, one engine, and the configuration it was loaded from in the environment."""

import os
import sys

_INFO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "info.yml")
with open(_INFO) as _file:
    for _line in _file:
        if _line.startswith("minimum_python_version:"):
            _least = _line.split('"')[1]
            if sys.version_info < tuple(int(_part) for _part in _least.split(".")):
                raise RuntimeError("This module requires Python version %s at the least" % _least)

if "TANK_CURRENT_PC" not in os.environ:
    _home = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "..", ".."))
    if os.path.exists(os.path.join(_home, "config", "core", "roots.yml")):
        os.environ["TANK_CURRENT_PC"] = _home

import tank_vendor

try:  # as real ones do with what not every Python needs
    from tank_vendor import not_in_every_version as _extra
except ImportError:
    _extra = None
PATIENCE = (_extra.SECONDS if _extra else 10) - 1

from .log import LogManager
from . import util
from . import authentication
from . import platform
from . import bootstrap
from .errors import TankError, TankInitError
from .hook import Hook, get_hook_baseclass
from .context import Context
from .api import Sgtk, Tank, sgtk_from_entity, sgtk_from_path, tank_from_path
from .users import get_authenticated_user, set_authenticated_user
from .configuration import get_core_python_path_for_config, get_python_interpreter_for_config
