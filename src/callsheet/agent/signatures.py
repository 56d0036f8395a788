"""Which of the three forms a callback has."""

import inspect
from typing import Any, Callable

from callsheet.texts import short_name

WITH_LOGGER, WITHOUT_LOGGER, CONTEXT = 4, 3, 1
FORMS = {WITH_LOGGER: "(sg, logger, event, args)", WITHOUT_LOGGER: "(sg, event, args)", CONTEXT: "(context)"}
"""Number of positional arguments → form. Where several fit, the first does: it is what shotgunEvents calls."""


def form_of(callback: Callable[..., Any]) -> int:
    """A key of FORMS: how many positional arguments to call with. Raises TypeError when the callback can take none of these."""
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):
        return WITH_LOGGER  # written in C without a signature: call it as shotgunEvents does
    for count in FORMS:
        try:
            signature.bind(*[None] * count)
        except TypeError:
            continue
        return count
    forms = ", ".join(FORMS.values())
    raise TypeError(f"{name_of(callback)}{signature} can't be called as a callback: it must take one of {forms}.")


def check_callable(callback: Any) -> None:
    """Raise TypeError unless ``callback`` can be called."""
    if not callable(callback):
        raise TypeError(f"The callback must be a callable object (function, method or callable class instance), not {callback!r}.")


def name_of(callback: Callable[..., Any]) -> str:
    """The function's name, in a form that can be kept; of an instance its class's, which is the same after a restart."""
    return short_name(str(getattr(callback, "__name__", None) or type(callback).__name__))


def logger_name_of(callback: Callable[..., Any]) -> str:
    """The last part of the name of the callback's logger, as shotgunEvents makes it."""
    name = getattr(callback, "__name__", None)
    return str(name) if name else f"{type(callback).__name__}_{hex(id(callback))}"
