"""What a core leaves in a process, taken out whole and put back whole.

A core lives in sys.modules (under its names, under random ones for hooks and apps, and, in newer ones, under the real names of
the libraries that it brings in a zip), on sys.path, on sys.meta_path, as attributes of sys, as handlers of its loggers, and in
TANK_CURRENT_PC. Throwing these away would leak the core with every swap, since much of it is referred to from elsewhere, and
would break what is still held of it; so they are kept.
"""

import contextlib
import glob
import logging
import os
import re
import sys
import zipfile
from types import ModuleType
from typing import Any, Dict, List, Optional, Set, Tuple

_NAMES = ("sgtk", "tank", "tank_vendor")
_RANDOM = re.compile(r"[0-9a-f]{32}")
"""What the names of hooks and apps begin with, and those of a core that a bootstrap put aside."""
CURRENT = "TANK_CURRENT_PC"


class CoreModules:
    """All that one core has in the process; ``take`` fills it and leaves the process without, ``put_back`` is the way back."""

    def __init__(self, core: str, config: str) -> None:
        self._roots = tuple(os.path.join(os.path.realpath(one), "") for one in (os.path.dirname(core), config))
        self._vendored = vendored_names(core)
        self._modules: Dict[str, ModuleType] = {}
        self._path: List[str] = []
        self._finders: List[Any] = []
        self._attributes: Dict[str, Any] = {}
        self._handlers: Dict[str, List[logging.Handler]] = {}
        self._current: Optional[str] = None
        self._hidden: Dict[str, ModuleType] = {}

    def make_room(self) -> None:
        """Set the process's own libraries aside that the core brings itself, so that neither gets the other's."""
        self._hidden = {name: sys.modules.pop(name) for name in _below(self._vendored)}

    def take(self) -> None:
        """Take all of it out of the process, and give that its own libraries back."""
        self._modules = {name: sys.modules.pop(name) for name in self._owned()}
        self._finders = [one for one in sys.meta_path if self._is_mine(one)]
        sys.meta_path[:] = [one for one in sys.meta_path if one not in self._finders]
        self._attributes = {name: one for name, one in list(vars(sys).items()) if self._is_mine(one)}
        for name in self._attributes:
            delattr(sys, name)
        self._path = [one for one in sys.path if self._is_below(one)]
        sys.path[:] = [one for one in sys.path if not self._is_below(one)]
        self._handlers = {}
        for logger in _loggers():
            self._handlers[logger.name] = list(logger.handlers)
            logger.handlers[:] = []
        self._current = os.environ.pop(CURRENT, None)
        sys.modules.update(self._hidden)

    def put_back(self) -> None:
        """Put all of it into the process again, in front of everything."""
        self.make_room()
        sys.modules.update(self._modules)
        sys.meta_path[:0] = self._finders
        for name, value in self._attributes.items():
            setattr(sys, name, value)
        sys.path[:0] = self._path
        for name, handlers in self._handlers.items():
            logging.getLogger(name).handlers[:] = handlers
        os.environ.pop(CURRENT, None)
        if self._current is not None:
            os.environ[CURRENT] = self._current

    def _owned(self) -> Set[str]:
        found = set(_below(self._vendored + _NAMES))
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if _RANDOM.match(name) or (isinstance(file, str) and self._is_below(file)):
                found.add(name)
        return found

    def _is_mine(self, one: Any) -> bool:
        kind = one if isinstance(one, type) else type(one)
        home = getattr(kind, "__module__", None) or ""
        if home.split(".", 1)[0] in _NAMES or _RANDOM.match(home):
            return True
        # Of a library that both have, such as six, each has its own class.
        return getattr(self._modules.get(home), kind.__name__, None) is kind

    def _is_below(self, path: str) -> bool:
        return bool(path) and (os.path.realpath(path) + os.sep).startswith(self._roots)


def vendored_names(core: str) -> Tuple[str, ...]:
    """The packages that a core brings in zips, for this Python, under their real names; () for an older core."""
    root = os.path.dirname(core)
    python = "{}.{}".format(*sys.version_info[:2])
    folders = [os.path.join(root, "requirements", python), os.path.join(root, "requirements", "any")]
    folders.append(os.path.join(core, "tank_vendor", "vendor_any"))
    names: Set[str] = set()
    for path in [one for folder in folders for one in sorted(glob.glob(os.path.join(folder, "*.zip")))]:
        with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(
            path
        ) as file:  # the core says so itself when imported
            names.update(one.split("/")[0] for one in file.namelist())
    tops = {name[:-3] if name.endswith(".py") else name for name in names}
    return tuple(sorted(one for one in tops if one.isidentifier() and one != "__pycache__"))


def _below(names: Tuple[str, ...]) -> List[str]:
    return [one for one in list(sys.modules) if one.split(".", 1)[0] in names]


def _loggers() -> List[logging.Logger]:
    known = list(logging.root.manager.loggerDict.items())
    return [one for name, one in known if isinstance(one, logging.Logger) and name.split(".", 1)[0] in _NAMES and one.handlers]
