"""A stand-in for ``sgtk`` while a plugin is described, outside of any project's Toolkit.

A plugin whose callbacks run in sessions may well say ``import sgtk`` at its head, and ``sgtk.platform.get_logger(__name__)`` next,
or derive a class from ``sgtk.Hook``. To learn what it registers, that must not fail; what it gives is never used for work.
"""

import importlib.util
import sys
from types import ModuleType
from typing import Any, Tuple

NAMES = ("sgtk", "tank")


class Anything:
    """Whatever is asked of it: attributes, calls, base classes and decorators."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Anything(f"{self._name}.{name}")

    def __call__(self, *arguments: Any, **_keywords: Any) -> Any:
        """Whatever it stands for is called for its effect, or to decorate."""
        if len(arguments) == 1 and callable(arguments[0]) and not isinstance(arguments[0], Anything):
            return arguments[0]  # a decorator leaves what it decorates
        return Anything(f"{self._name}()")

    def __mro_entries__(self, _bases: Tuple[Any, ...]) -> Tuple[Any, ...]:
        return (Nothing,)

    def __repr__(self) -> str:
        return f"<stand-in for {self._name}: the real one is in the project's session>"


class Nothing:
    """What classes are derived from in place of Toolkit's own."""


class SgtkStub(ModuleType):
    """The module; ``import sgtk.platform`` and ``from sgtk import anything`` work as well."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "A stand-in while the plugin is described; the real one is in the project's session.")
        self.__path__ = []  # a package, so that what is below it can be imported

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Anything(f"{self.__name__}.{name}")


class _Finder:
    """Finds ``sgtk`` and all that is said to be below it."""

    @staticmethod
    def find_spec(name: str, _path: Any = None, _target: Any = None) -> Any:
        if name.split(".", maxsplit=1)[0] not in NAMES:
            return None
        return importlib.util.spec_from_loader(name, _Finder, is_package=True)  # type: ignore[arg-type] # has what is needed

    @staticmethod
    def create_module(spec: Any) -> ModuleType:
        return SgtkStub(spec.name)

    @staticmethod
    def exec_module(_module: ModuleType) -> None:
        """There is nothing to execute."""


def install() -> None:
    """Have ``import sgtk`` and ``import tank`` give stand-ins, unless there is a real one."""
    if all(_is_absent(name) for name in NAMES):
        sys.meta_path.append(_Finder)


def _is_absent(name: str) -> bool:
    try:
        return name not in sys.modules and importlib.util.find_spec(name) is None
    except (ImportError, ValueError):
        return True
