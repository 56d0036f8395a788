"""What goes wrong between a project and its Toolkit: recognised by what cores say, told with project, place and cure."""

import sys
import traceback
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from callsheet.agent.failures import kind_of
from callsheet.wire.transient import is_transient


class ToolkitOpenError(Exception):
    """A project's Toolkit can't be had. The text says of which project and configuration, what happened and what to do next.

    ``kind``: one word for the sort of trouble, as ``TROUBLES`` lists them. ``passing``: it may well go away by itself.
    """

    def __init__(self, kind: str, problem: str, cure: str, *, passing: bool = False, trace: str = "") -> None:
        super().__init__(f"{problem} {cure}")
        self.kind = kind
        self.problem = problem
        self.cure = cure
        self.passing = passing
        self.traceback = trace

    def told(self) -> Dict[str, Any]:
        """As it crosses to the daemon."""
        return {
            "kind": self.kind,
            "problem": self.problem,
            "cure": self.cure,
            "passing": self.passing,
            "traceback": self.traceback,
        }


class _Known(NamedTuple):
    """A sort of trouble. ``types`` and ``words``: one of the names, and all of the words, that an error has; () for any."""

    kind: str
    types: Tuple[str, ...]
    words: Tuple[str, ...]
    cure: str
    passing: bool = False


TROUBLES = (
    _Known(
        "core-location",
        ("TankInvalidCoreLocationError",),
        (),
        "Write the root of the shared core into the file that the message names, or mount what it names.",
    ),
    _Known(
        "interpreter",
        ("TankInvalidInterpreterLocationError",),
        (),
        "Write an interpreter that exists on this machine into that file, or name one in the configuration of Callsheet.",
    ),
    _Known("broken-file", (), ("config file is corrupt",), "Fix the file that the message names, or restore it."),
    _Known("broken-file", ("ParserError", "ScannerError", "ComposerError"), (), "Fix the file that the message names."),
    _Known("broken-file", (), ("Could not open", "file"), "Fix the file that the message names, or restore it."),
    _Known(
        "install",
        (),
        ("Configuration could not be installed",),
        "See that the place which its descriptor names can be reached from this machine.",
    ),
    _Known(
        "install",
        ("TankDescriptorError",),
        (),
        "See that the place which that descriptor names can be reached from this machine; a bundle cache that lost files can be"
        " deleted, and is filled anew.",
    ),
    _Known(
        "distributed",
        (),
        ("use the Bootstrap API instead",),
        "The configuration is distributed: name a starter core, or remove the pin that says otherwise.",
    ),
    _Known("wrong-core", (), ("You are loading the Toolkit platform from",), "Open each project in a session of its own."),
    _Known(
        "core-too-old",
        (),
        ("You are running Toolkit", "or higher"),
        "Upgrade the core that the configuration uses to the version that the message asks for.",
    ),
    _Known(
        "script-user",
        ("AuthenticationFault",),
        (),
        "See that the script exists on the site, with this very key; the one in the configuration's shotgun.yml wins over yours.",
    ),
    _Known("script-user", (), ("Can't authenticate script",), "See that the script exists on the site, with this very key."),
    _Known(
        "python-too-old",
        (),
        ("This module requires Python version",),
        "Name a newer Python for this project: in interpreter_<OS>.cfg of the core, or in the configuration of Callsheet.",
    ),
    _Known(
        "python-unsupported",
        ("ImportError", "ModuleNotFoundError", "SyntaxError"),
        ("tank_vendor",),
        "The core brings no libraries for this Python. Name one that it supports, or install them into that Python.",
    ),
    _Known(
        "no-bundle",
        (),
        ("does not exist on disk",),
        "Run tank cache_apps for the configuration, or see where its bundles are: in the install folder beside its core, or in a"
        " bundle cache (SHOTGUN_BUNDLE_CACHE_PATH and ..._FALLBACK_PATHS of the daemon are heeded).",
    ),
    _Known("no-engine", ("TankMissingEngineError",), (), "Add the engine to the environment that the message names."),
    _Known("engine", ("TankEngineInitError",), (), "Start the engine by hand (./tank in the configuration) to see why."),
    _Known(
        "no-sgtk",
        ("ModuleNotFoundError", "ImportError"),
        ("sgtk",),
        "Look into that folder: no core is installed there, or it can't be read.",
    ),
    _Known("prompt", (), ("prompt",), "Give the script user that Toolkit shall work as."),
    _Known("disk-full", (), ("No space left on device",), "Make room on the disk of the state folder.", passing=True),
    _Known(
        "storage",
        ("FileNotFoundError", "PermissionError"),
        ("tank/cache",),
        "The storage root of the project, or its folder in there, is missing: mount it, or create the project's folders.",
        passing=True,
    ),
    _Known(
        "race", ("FileNotFoundError", "FileExistsError", "PermissionError"), (), "See who else works in that folder.", passing=True
    ),
    _Known(
        "too-old-for-python",
        ("ImportError", "ModuleNotFoundError", "SyntaxError", "AttributeError"),
        (),
        "The core does not run with this Python. Name an older one for this project, or upgrade the core.",
    ),
)


def recognised(error: BaseException, told: Mapping[str, Any], doing: str) -> ToolkitOpenError:
    """The error as trouble of the project that ``told`` describes; ``doing``: what was under way, to be read after "while"."""
    if isinstance(error, ToolkitOpenError):
        return error
    text = " ".join(str(error).split())
    said = f"{kind_of(error)}: {text}" if text else kind_of(error)
    known = _match(error, text)
    passing = is_transient(error) or bool(known and known.passing)
    if known is not None:
        kind, cure = known.kind, known.cure
    elif passing:
        kind, cure = "network", "It is tried again; if it stays, see whether this machine reaches the site and its shares."
    else:
        kind, cure = "other", "Read the traceback; the same should happen with this core and this Python outside of Callsheet."
    problem = "{} While {} (Python {}.{}): {}.".format(subject(told), doing, *sys.version_info[:2], said.rstrip(".!"))
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()
    return ToolkitOpenError(kind, problem, cure, passing=passing, trace=trace)


def subject(told: Mapping[str, Any]) -> str:
    """Which project's Toolkit is spoken of, and where that is."""
    project = told.get("project") or {}
    name = project.get("name") or "without a name"
    place = told.get("config") or told.get("configuration") or told.get("base") or "not known yet"
    return "Toolkit of project {} (id {}), configuration {}:".format(name, project.get("id"), place)


def _match(error: BaseException, text: str) -> Optional[_Known]:
    names = {one.__name__ for one in type(error).__mro__}
    for one in TROUBLES:
        if one.types and not names.intersection(one.types):
            continue
        if all(word in text for word in one.words):
            return one
    # What a project that isn't on the site, or can't be seen by the script, gives in a bootstrap.
    if isinstance(error, TypeError) and "'NoneType' object is not subscriptable" in text:
        return _NO_PROJECT
    return None


_NO_PROJECT = _Known(
    "no-project",
    (),
    (),
    "See that the project exists, is not retired, and that the script user is allowed to see it.",
)
