"""Opens a project's Toolkit in this process, and proves that it is the right one before anybody works with it.

One process, one project, once: a core keeps its state in globals, and what was opened can't be opened again.

The description that ``open_toolkit`` takes is plain data::

    {"project": {"type": "Project", "id": int, "name": str}, "core": folder to import sgtk from, "config": folder of the
     configuration, "version": what the core's info.yml said | null, "descriptor": the configuration's descriptor | null,
     "plugin_id", "configuration", "base": as in ``prepare``, needed by its ``descriptor_now`` alone,
     "engine": str | null, "apps": [str], "host": str, "script": str, "key": str, "proxy": str | null,
     "home": SHOTGUN_HOME | null, "log_level": int}
"""

import importlib
import importlib.machinery
import logging
import os
import re
import sys
import threading
import weakref
from typing import Any, Dict, Mapping, Optional

from callsheet.agent.loader import CLIENT
from callsheet.agent.toolkit.diagnosis import ToolkitOpenError, recognised, subject
from callsheet.agent.toolkit.environment import DROPPED

_VENDORED = "tank_vendor.shotgun_api3"
_VERSION = re.compile(r"^version:\s*[\"']?([^\"'\s#]+)", re.MULTILINE)


class Toolkit:
    """A project's open Toolkit: ``sgtk``, ``tk``, ``engine`` (None if none was asked for), the core's ``version`` and ``core``."""

    def __init__(self, told: Mapping[str, Any], sgtk: Any, tk: Any, version: str, connections: "Connections") -> None:
        self.sgtk = sgtk
        self.tk = tk
        self.engine: Any = None
        self.version = version
        self.core = str(told["core"])
        self._told = told
        self._project: Any = None
        self.mark = connections.mark
        self.client = ""
        """The file of the ``shotgun_api3`` that plugins get here; why there is none, if so."""

    def context_for(self, entity: Optional[Mapping[str, Any]] = None) -> Any:
        """The ``sgtk.Context`` of an entity's link; of the project without one."""
        if entity is None or entity.get("type") == "Project":
            if self._project is None:
                self._project = self.tk.context_from_entity("Project", self._told["project"]["id"])
            return self._project
        return self.tk.context_from_entity(entity["type"], entity["id"])

    def facts(self) -> Dict[str, Any]:
        """What was opened, for those who want to know."""
        return {
            "version": self.version,
            "core": self.core,
            "config": self.tk.pipeline_configuration.get_path(),
            "descriptor": _descriptor(self.tk),
            "engine": getattr(self.engine, "name", None),
            "apps": sorted(self.engine.apps) if self.engine is not None else [],
            "python": "{}.{}.{}".format(*sys.version_info[:3]),
            "client": self.client,
        }

    def destroy(self) -> Optional[str]:
        """End the engine; what that raises is returned as text, since whoever ends a session has nothing else to do about it."""
        engine, self.engine = self.engine, None
        try:
            engine = engine or self.sgtk.platform.current_engine()
            if engine is not None:
                engine.destroy()
        except Exception as error:  # noqa: BLE001 - apps and hooks are strangers' code
            return f"{type(error).__name__}: {error}"
        return None


def open_toolkit(told: Mapping[str, Any]) -> Toolkit:
    """The Toolkit that the description means, verified. Raises ToolkitOpenError; then the process is of no use any more."""
    _clean(told)
    version = version_of(told["core"])
    _expect(
        told.get("version") in (None, version),
        told,
        "changed",
        "The core in {} was {} and is {} now.".format(told["core"], told.get("version"), version),
        "It was upgraded meanwhile; it is tried again.",
        passing=True,
    )
    doing = "importing the core {} from {}".format(version, told["core"])
    toolkit: Optional[Toolkit] = None
    try:
        sgtk = import_core(told["core"])
        _check_core(told, sgtk)
        forward_log(int(told.get("log_level") or logging.WARNING))
        doing = "logging in as script {}".format(told["script"])
        connections = Connections(log_in(sgtk, told))
        doing = f"opening the configuration with core {version}"
        toolkit = Toolkit(told, sgtk, sgtk.sgtk_from_path(told["config"]), version, connections)
        _check_configuration(told, toolkit.tk)
        toolkit.client = _client()
        if told.get("engine"):
            doing = "reading the project from {}".format(told["host"])
            context = toolkit.context_for()
            doing = "starting the engine {}".format(told["engine"])
            toolkit.engine = sgtk.platform.start_engine(told["engine"], toolkit.tk, context)
            _check_engine(told, toolkit)
    except Exception as error:
        if toolkit is not None:
            toolkit.destroy()
        raise recognised(error, told, doing) from error
    return toolkit


def version_of(core: str) -> str:
    """The version that a core's info.yml names now; "unknown" without one. ``tk.version`` reads it again, and later."""
    try:
        with open(os.path.join(os.path.dirname(core), "info.yml"), encoding="utf-8") as file:
            found = _VERSION.search(file.read())
    except (OSError, ValueError):
        return "unknown"
    return found.group(1) if found else "unknown"


def import_core(core: str) -> Any:
    """The module ``sgtk`` of the core in that folder, which is searched first from now on."""
    sys.path[:] = [core] + [one for one in sys.path if one != core]
    importlib.invalidate_caches()
    return importlib.import_module("sgtk")


def log_in(sgtk: Any, told: Mapping[str, Any]) -> Any:
    """Make the script user the one that Toolkit works as, before its first connection. Returns that user."""
    authenticator = sgtk.authentication.ShotgunAuthenticator()
    user = authenticator.create_script_user(
        api_script=told["script"], api_key=told["key"], host=told["host"], http_proxy=told.get("proxy")
    )
    sgtk.set_authenticated_user(user)
    return user


def _client() -> str:
    """Have plugins find a ``shotgun_api3``: this Python's own, else the core's, which older ones have under another name."""
    if CLIENT not in sys.modules and importlib.machinery.PathFinder.find_spec(CLIENT) is None:
        importlib.import_module(_VENDORED)
        for name, module in list(sys.modules.items()):
            if name == _VENDORED or name.startswith(_VENDORED + "."):
                sys.modules[name.partition(".")[2]] = module
    try:
        return str(importlib.import_module(CLIENT).__file__)
    except Exception as error:  # noqa: BLE001 - most plugins can't do without, but that is for them to say
        return f"none: {type(error).__name__}: {error}"


class Connections:
    """The connections that a core makes for itself: one for each thread, and others where it likes.

    A core writes through these alone (publishes, folders), as whoever is logged in; that user makes them.
    """

    def __init__(self, user: Any) -> None:
        self._make = user.create_sg_connection
        self._made: "weakref.WeakSet[Any]" = weakref.WeakSet()
        self._lock = threading.Lock()
        self._mark: Optional[str] = None
        user.create_sg_connection = self._connect

    def mark(self, session_uuid: Optional[str]) -> None:
        """Have all that they write from now on carry this session uuid, those that are there and those to come."""
        with self._lock:
            self._mark = session_uuid
            for one in self._made:
                one.set_session_uuid(session_uuid)

    def _connect(self) -> Any:
        made = self._make()
        with self._lock:
            self._made.add(made)
            made.set_session_uuid(self._mark)
        return made


class _Forward(logging.Handler):
    """Gives Toolkit's records to the root's handlers: its own logger does not propagate."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        logging.getLogger().handle(record)


def forward_log(level: int) -> None:
    """Let what Toolkit logs at ``level`` and above be seen where everything else is; once, however often it is asked for."""
    logger = logging.getLogger("sgtk")
    for handler in list(logger.handlers):
        if type(handler).__name__ == _Forward.__name__:
            logger.removeHandler(handler)
    handler = _Forward(level)
    logger.addHandler(handler)


def _clean(told: Mapping[str, Any]) -> None:
    for name in list(os.environ):
        if (name in DROPPED and not name.startswith("PYTHON")) or name.startswith("SHOTGUN_ENTITY_"):
            del os.environ[name]
    if told.get("home"):
        os.environ["SHOTGUN_HOME"] = told["home"]


def _check_core(told: Mapping[str, Any], sgtk: Any) -> None:
    for name in ("sgtk", "tank", "tank_vendor"):
        module = sgtk if name == "sgtk" else sys.modules.get(name)
        file = getattr(module, "__file__", None) or ""
        _expect(
            _same(os.path.dirname(os.path.dirname(file)), told["core"]),
            told,
            "wrong-core",
            "import {} gave {} and not the core in {}.".format(name, file or "a module without a file", told["core"]),
            f"See what else puts a core on this Python's path: a .pth file, a sitecustomize, a package called {name}.",
        )


def _check_configuration(told: Mapping[str, Any], tk: Any) -> None:
    opened = tk.pipeline_configuration.get_path()
    _expect(
        _same(opened, told["config"]),
        told,
        "elsewhere",
        f"It was to be opened, and its config/core/install_location.yml led to {opened}.",
        "Write its own path into that file: a copied configuration still names the one that it was copied from.",
    )
    found = tk.pipeline_configuration.get_project_id()
    _expect(
        found == told["project"]["id"],
        told,
        "wrong-project",
        f"It belongs to the project with id {found}.",
        "Fix project_id in its config/core/pipeline_configuration.yml, or the path that the site's PipelineConfiguration has.",
    )
    descriptor = _descriptor(tk)
    _expect(
        told.get("descriptor") in (None, descriptor),
        told,
        "changed",
        "It was prepared from {} and now is {}.".format(told.get("descriptor"), descriptor),
        "It was deployed anew meanwhile; it is tried again.",
        passing=True,
    )


def _check_engine(told: Mapping[str, Any], toolkit: Toolkit) -> None:
    missing = sorted(set(told.get("apps") or ()) - set(toolkit.engine.apps))
    _expect(
        not missing,
        told,
        "no-app",
        "The engine {} started without {}.".format(told["engine"], ", ".join(missing)),
        "See the log for why an app failed to start, or whether the environment has it at all.",
    )


def _descriptor(tk: Any) -> Any:
    return dict(tk.configuration_descriptor.get_dict())


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _expect(fact: object, told: Mapping[str, Any], kind: str, problem: str, cure: str, *, passing: bool = False) -> None:
    if not fact:
        raise ToolkitOpenError(kind, f"{subject(told)} {problem}", cure, passing=passing)
