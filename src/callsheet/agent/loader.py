"""Imports a plugin's file the way shotgunEvents does, and a little better."""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any, Iterable, Optional

CLIENT = "shotgun_api3"


def module_name(path: str) -> str:
    """``__name__`` of the plugin: its basename without ``.py``, whatever letters that has."""
    return os.path.splitext(os.path.basename(path))[0]


def prepare(argv0: str, helpers: Iterable[str] = ()) -> None:
    """Make ``sys.argv`` and ``sys.path`` what plugins expect.

    ``sys.argv[0]`` is the daemon's script, and its folder is searched first, but for the agent's own archive. Studios kept helper
    modules in that folder under shotgunEvents, beside the conf: ``helpers`` are searched last, so that they shadow nothing, but
    before the plugin's own folder, which shotgunEvents did not search at all.
    """
    sys.argv[:] = [argv0]
    beside = os.path.dirname(os.path.abspath(argv0)) if argv0 else ""
    if beside and beside not in sys.path:
        sys.path.insert(1, beside)
    sys.path.extend(folder for folder in helpers if folder not in sys.path)


class _Client:
    """The last of all finders: ``shotgun_api3`` for a Python that has none. Nothing else of that folder is found."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> Any:
        """See importlib."""
        if name != CLIENT or path is not None:
            return None
        return importlib.machinery.PathFinder.find_spec(name, [self._folder])


def lend_client(folder: Optional[str]) -> None:
    """Let ``import shotgun_api3`` find the one in ``folder`` where this Python has none of its own."""
    if folder:
        sys.meta_path.append(_Client(folder))


def find_beside(path: str) -> None:
    """Let the plugin at ``path`` import its neighbours. Its folder comes last, so that it shadows nothing."""
    folder = os.path.dirname(os.path.abspath(path))
    if folder not in sys.path:
        sys.path.append(folder)


def load(path: str) -> ModuleType:
    """Execute the file as a module. Raises what reading, compiling or executing it raises.

    It is compiled from its text each time: a cached ``.pyc`` can't tell two edits of one second apart. While it executes, and from
    then on, the module is in ``sys.modules``, which dataclasses and pickle need; unless another module of that name exists.
    """
    name = module_name(path)
    with open(path, "rb") as file:
        source = file.read()
    code = compile(source, path, "exec", dont_inherit=True)
    spec = importlib.util.spec_from_file_location(name, path, loader=importlib.machinery.SourceFileLoader(name, path))
    if spec is None:
        raise ImportError(f"{path} can't be imported", name=name, path=path)
    module = importlib.util.module_from_spec(spec)
    known = not _is_taken(name, path)
    if known:
        sys.modules[name] = module
    try:
        exec(code, module.__dict__)  # noqa: S102 - running plugins is what a worker is for
    except BaseException:
        if known:
            sys.modules.pop(name, None)
        raise
    return module


def mentions(path: str, word: bytes) -> bool:
    """Whether the file's text has ``word``; an unreadable file has none."""
    try:
        with open(path, "rb") as file:
            return word in file.read()
    except OSError:
        return False


def try_import(name: str) -> None:
    """Import a module ahead of time; whether that works is said when it is needed."""
    with contextlib.suppress(Exception):
        importlib.import_module(name)


def _is_taken(name: str, path: str) -> bool:
    """Whether ``import name`` means something else than the plugin at ``path``."""
    if name in sys.modules:
        return getattr(sys.modules[name], "__file__", None) != path  # an earlier state of this very plugin gives way
    if "." in name:
        return False  # finding it would import what stands before the dot
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return False
    return found is not None and found.origin != os.path.abspath(path)
