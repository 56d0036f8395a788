"""Patches every copy of ``shotgun_api3`` in this process (``client_patch``), when it is imported and not before."""

import sys
from importlib.abc import Loader
from types import ModuleType
from typing import Any

_MODULE = "shotgun_api3.shotgun"


def install() -> None:
    """Patch all copies that this process has imported, and each one that it is going to import."""
    patch_imported()
    if not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def patch_imported() -> None:
    """Patch all copies that this process has imported by now."""
    for name, module in list(sys.modules.items()):
        if _is_copy(name) and isinstance(module, ModuleType):
            _patch(module)


def _is_copy(name: str) -> bool:
    # A Toolkit core has a copy of its own, under a longer name.
    return name == _MODULE or name.endswith("." + _MODULE)


def _patch(module: ModuleType) -> None:
    from callsheet.wire import client_patch  # noqa: PLC0415 - with what it imports it takes as long as the rest of a worker

    client_patch.patch(module)


class _Finder:
    """Has the other finders find the module, and patches it once it is executed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """See ``importlib.abc.MetaPathFinder``."""
        if not _is_copy(name):
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                executes = hasattr(spec.loader, "exec_module")
                spec.loader = _PatchingLoader(spec.loader) if executes else _PatchingOldLoader(spec.loader)
                return spec
        return None


class _PatchingLoader(Loader):
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _patch(module)


class _PatchingOldLoader:
    """The same of a zip's, before Python 3.10."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def load_module(self, name: str) -> ModuleType:
        module: ModuleType = self._loader.load_module(name)
        _patch(module)
        return module
