"""A stand-in for ``sgtk`` while a plugin is described, outside of any project's Toolkit.

A plugin whose callbacks run in sessions may well say ``import sgtk`` at its head, and ``sgtk.platform.get_logger(__name__)`` next,
or derive a class from ``sgtk.Hook``. To learn what it registers, that must not fail; what it gives is never used for work.
"""

import importlib.util
import sys
from types import ModuleType
from typing import Any, Dict, Tuple

NAMES = ("sgtk", "tank", "tank_vendor")
_ERRORS = ("Error", "Exception", "Fault", "Warning")
"""How the names of exception classes end."""

HINT = (
    "While a plugin is described there is no project, and so no Toolkit: sgtk, tank and tank_vendor are stand-ins, with which the"
    " file's head and registerCallbacks can't do everything. Import them inside the function that needs them: it runs in the"
    " session of its event's project, where they are the real ones."
)


class Anything(str):
    """Whatever is asked of it: attributes, calls, base classes, decorators; and text, such as part of a path."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            return str.__getattribute__(self, name)
        return _TextMethod(f"{self!s}.{name}") if hasattr(str, name) else _named(f"{self!s}.{name}")

    def __call__(self, *arguments: Any, **_keywords: Any) -> Any:
        """Whatever it stands for is called for its effect, or to decorate."""
        if len(arguments) == 1 and callable(arguments[0]) and not isinstance(arguments[0], Anything):
            return arguments[0]  # a decorator leaves what it decorates
        return Anything(f"{self!s}()")

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_error: object) -> None:
        """There was nothing to enter."""

    def __mro_entries__(self, _bases: Tuple[Any, ...]) -> Tuple[Any, ...]:
        return (Nothing,)

    def __repr__(self) -> str:
        return f"<stand-in for {self!s}: the real one is in the project's session>"


class _TextMethod(Anything):
    """What may be a method of text, if it is called like that, or one of the same name."""

    __slots__ = ()

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """As text does it; what text can't do, another object can."""
        owner, _, name = f"{self!s}".rpartition(".")
        try:
            return getattr(owner, name)(*arguments, **keywords)
        except (TypeError, ValueError, LookupError):
            return super().__call__(*arguments, **keywords)


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
        return _named(f"{self.__name__}.{name}")


def _named(name: str) -> Any:
    """What stands for that: an exception class by its name, since plugins catch these, and derive theirs from them."""
    last = name.rpartition(".")[2]
    if not last.endswith(_ERRORS):
        return Anything(name)
    return _errors.setdefault(name, type(last, (Exception,), {"__module__": name.rpartition(".")[0], "__doc__": "A stand-in."}))


_errors: Dict[str, Any] = {}


class _Finder:
    """Finds ``sgtk`` and all that is said to be below it; below a real one, which ``import_sgtk`` may bring, it finds nothing."""

    @staticmethod
    def find_spec(name: str, _path: Any = None, _target: Any = None) -> Any:
        parent = name.rpartition(".")[0]
        known = isinstance(sys.modules.get(parent), SgtkStub) if parent else name in NAMES
        if not known:
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


def hint(error: BaseException) -> str:
    """What to add to the error of a plugin that could not be described; "" where it has nothing to do with Toolkit."""
    used = any(isinstance(sys.modules.get(name), SgtkStub) for name in NAMES)
    return HINT if used and not isinstance(error, SyntaxError) else ""


def _is_absent(name: str) -> bool:
    try:
        return name not in sys.modules and importlib.util.find_spec(name) is None
    except (ImportError, ValueError):
        return True
