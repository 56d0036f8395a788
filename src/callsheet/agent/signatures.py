"""What a plugin registers: whether it can be called as a callback at all, in which form, and whether it is a coroutine function.

What can't be meant is refused here, at registration, since calling it would do nothing and look as if it had worked.
"""

import functools
import inspect
from typing import Any, Callable, List, Optional

from callsheet.wire.texts import LONGEST_NAME, short_name

WITH_LOGGER, WITHOUT_LOGGER, CONTEXT = 4, 3, 1
FORMS = {WITH_LOGGER: "(sg, logger, event, args)", WITHOUT_LOGGER: "(sg, event, args)", CONTEXT: "(context)"}
"""Number of positional arguments → form. Where several fit, the first does: it is what shotgunEvents calls."""

_DEEPEST = 20  # wrappers around a function; more than that go round in a circle

ORDINAL = 10
"""Letters that a callback's name may take besides the function's: ``#2``."""


def is_same(one: Any, other: Any) -> bool:
    """Whether two things that were registered are the same: functions, if they have the same code, defaults and captured variables,
    as those have that a callback makes anew each time it is called.
    """
    try:
        if one is other or (type(one) is type(other) and bool(one == other)):
            return True
        code = getattr(one, "__code__", None)
        return code is not None and code is getattr(other, "__code__", None) and _bound(one) == _bound(other)
    except Exception:  # noqa: BLE001 - objects of the plugin's may compare as they like
        return False


def _bound(function: Any) -> List[Any]:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return [function.__defaults__, function.__kwdefaults__, getattr(function, "__self__", None), cells]


def form_of(callback: Callable[..., Any]) -> int:
    """A key of FORMS: how many positional arguments to call with. Raises TypeError when the callback can take none of these."""
    own = _signature_of(callback)
    if own is None:
        return WITH_LOGGER  # written in C without a signature: call it as shotgunEvents does
    possible = [count for count in FORMS if _takes(own, count)]
    if not possible:
        forms = ", ".join(FORMS.values())
        raise TypeError(f"{shown_name(callback)}{own} can't be called as a callback: it must take one of {forms}.")
    # A decorator's wrapper often takes anything. Then the function in it tells; unless it takes what the wrapper adds.
    inner = _signature_of(callback, follow_wrapped=True)
    return next((count for count in possible if inner is not None and _takes(inner, count)), possible[0])


def check_takes_one(function: Callable[..., Any], what: str) -> None:
    """Raise TypeError unless the function can be called with one positional argument, which ``what`` names."""
    signature = _signature_of(function)
    if signature is not None and not _takes(signature, 1):
        raise TypeError(f"{shown_name(function)}{signature} must take exactly one positional argument, {what}.")


def check_callable(callback: Any) -> None:
    """Raise TypeError unless ``callback`` is something that does its work when it is called, or whose coroutine does."""
    if not callable(callback):
        raise TypeError(f"The callback must be a callable object (function, method or callable class instance), not {callback!r}.")
    if inspect.isclass(callback):
        raise TypeError(
            f"The callback can't be the class {shown_name(callback)}: calling it only makes an object. "
            "Give a function, or an object of the class that can be called."
        )
    check_runs(callback)


def check_runs(function: Callable[..., Any]) -> None:
    """Raise TypeError for a generator function: calling it runs none of its code."""
    flags = _flags(executed(function))
    asynchronous = flags & inspect.CO_ASYNC_GENERATOR
    if asynchronous or (flags & inspect.CO_GENERATOR and not flags & inspect.CO_ITERABLE_COROUTINE):
        kind = "an asynchronous generator" if asynchronous else "a generator"
        raise TypeError(f"{shown_name(function)} is {kind}: calling it runs none of its code. Write it without yield.")


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether what the function returns is to be awaited: so with async def, also inside of wrappers that keep ``__wrapped__``."""
    inner: Any = executed(function)
    for _ in range(_DEEPEST):
        marked = inspect.iscoroutinefunction(inner) or getattr(inner, "_is_coroutine", None) is not None
        if marked or _flags(inner) & (inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE):
            return True
        inner = getattr(inner, "__wrapped__", None)
        if inner is None:
            return False
        inner = executed(inner)
    return False


def executed(callback: Any) -> Any:
    """The function that runs when ``callback`` is called: the one in a partial, of a bound method, of an object's ``__call__``."""
    for _ in range(_DEEPEST):
        if isinstance(callback, functools.partial):
            callback = callback.func
        elif inspect.ismethod(callback):
            callback = callback.__func__
        elif hasattr(callback, "__code__") or inspect.isclass(callback) or not callable(callback):
            break
        elif hasattr(type(callback).__call__, "__code__") or inspect.ismethod(type(callback).__call__):
            callback = type(callback).__call__
        else:
            break
    return callback


def shown_name(callback: Any) -> str:
    """What to call it in a message: the function that is executed, with its class."""
    function = executed(callback)
    return str(getattr(function, "__qualname__", None) or name_of(function)).rpartition("<locals>.")[2]


def place_of(callback: Any) -> str:
    """File and line where the function begins; empty where that is not known."""
    code = getattr(executed(callback), "__code__", None)
    return f"{code.co_filename}, line {code.co_firstlineno}" if code is not None else ""


def name_of(callback: Callable[..., Any]) -> str:
    """The function's name, in a form that can be kept; of an instance its class's, which is the same after a restart."""
    return short_name(str(getattr(callback, "__name__", None) or type(callback).__name__), LONGEST_NAME - ORDINAL)


def logger_name_of(callback: Callable[..., Any]) -> str:
    """The last part of the name of the callback's logger, as shotgunEvents makes it."""
    name = getattr(callback, "__name__", None)
    return str(name) if name else f"{type(callback).__name__}_{hex(id(callback))}"


def _signature_of(callback: Callable[..., Any], *, follow_wrapped: bool = False) -> Optional[inspect.Signature]:
    """None where there is none to be had. Raises TypeError for a partial whose arguments don't fit its function."""
    try:
        return inspect.signature(callback, follow_wrapped=follow_wrapped)
    except (TypeError, ValueError) as error:
        inner = _signature_of(callback.func) if isinstance(callback, functools.partial) else None
        if inner is not None:
            raise TypeError(f"A partial of {shown_name(callback)}{inner} can't be called: its arguments don't fit.") from error
        # Of a wrapper written in C, such as that of lru_cache, only the function in it tells.
        return None if follow_wrapped else _signature_of(callback, follow_wrapped=True)


def _takes(signature: inspect.Signature, count: int) -> bool:
    arguments: List[None] = [None] * count
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _flags(function: Any) -> int:
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return flags if isinstance(flags, int) else 0
