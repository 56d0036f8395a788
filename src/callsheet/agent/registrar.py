# ruff: noqa: N802, N803 - the names are shotgunEvents', and plugins call them, with keywords too
"""``registerCallbacks(reg)``: the registrar that a legacy plugin gets."""

import inspect
import logging
from typing import Any, Callable, List, Tuple, Union

from callsheet.agent.signatures import (
    WITHOUT_LOGGER,
    check_callable,
    check_runs,
    check_takes_one,
    form_of,
    is_coroutine_function,
    is_same,
    shown_name,
)

Emails = Union[bool, List[str]]


def _rest(matchEvents: Any = None, args: Any = None, stopOnError: Any = True) -> None:  # noqa: FBT002 - theirs
    """The arguments of registerCallback that may be left out; only its signature is used."""


_REST = inspect.signature(_rest)


def check_registers(function: Callable[..., Any]) -> None:
    """Raise TypeError unless ``registerCallbacks`` can be called with a registrar, and registers when it is."""
    if is_coroutine_function(function):
        raise TypeError("registerCallbacks can't be async def: it registers when it is called. Callbacks can be.")
    check_runs(function)
    check_takes_one(function, "the registrar")


class Registrar:
    """What ``registerCallbacks`` is given: ``logger``, ``getLogger``, ``setEmails`` and ``registerCallback``, and nothing else."""

    def __init__(
        self,
        logger: logging.Logger,
        register: Callable[..., None],
        set_emails: Callable[[Emails], None],
        late: Callable[[], bool] = lambda: False,
    ) -> None:
        """``late``: whether the plugin has been loaded by now, so that it registers more while it works."""
        self.__logger = logger
        self.__register = register
        self.__set_emails = set_emails
        self.__late = late
        self.__registered: List[Tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"type object 'Registrar' has no attribute {name!r}")

    @property
    def logger(self) -> logging.Logger:
        """The plugin's logger."""
        return self.__logger

    def getLogger(self) -> logging.Logger:
        """The plugin's logger."""
        return self.__logger

    def setEmails(self, *emails: Any) -> None:
        """Whom mails of this plugin go to: True, the configured addresses; False, nobody; or addresses, one by one or as a list.

        Raises ValueError for anything else.
        """
        given = emails[0] if len(emails) == 1 else emails
        if isinstance(given, bool):
            self.__set_emails(given)
            return
        addresses = [given] if isinstance(given, str) else given
        if not isinstance(addresses, (list, tuple, set)) or not all(isinstance(address, str) for address in addresses):
            raise ValueError(f"setEmails takes True, False or addresses; got {given!r}.")
        self.__set_emails(list(addresses) or False)

    def registerCallback(self, sgScriptName: Any, sgScriptKey: Any, callback: Any, *rest: Any, **named: Any) -> None:
        """``registerCallback(sgScriptName, sgScriptKey, callback, matchEvents=None, args=None, stopOnError=True)``.

        A fourth positional argument is ``args`` where the callback takes three arguments: the first framework's form,
        ``registerCallback(name, key, callback, args)``. Raises TypeError for what can't be called, or can't be a filter, and
        ValueError for what is registered already; once the plugin has been loaded, that is left as it is.
        """
        check_callable(callback)
        if not isinstance(sgScriptName, str) or not sgScriptName.strip():
            raise TypeError(
                f"registerCallback() needs the name of a script user, not {sgScriptName!r}. "
                "Where it comes from an environment variable, set that for the daemon."
            )
        form = form_of(callback)
        if form == WITHOUT_LOGGER and len(rest) == 1 and "args" not in named:
            named["args"], rest = rest[0], ()
        try:
            given = _REST.bind(*rest, **named)
        except TypeError as error:
            raise TypeError(f"registerCallback() {error}") from None
        given.apply_defaults()
        registration = (sgScriptName, callback, *given.arguments.values())
        if self.__has(registration):
            if self.__late():
                return  # by a delivery that is tried again
            raise ValueError(
                f"{shown_name(callback)} is registered already, with the same matchEvents and args: "
                "it would be called twice for each event. Register it once."
            )
        self.__register(sgScriptName, sgScriptKey, callback, form=form, **given.arguments)
        self.__registered.append(registration)

    def __has(self, registration: Tuple[Any, ...]) -> bool:
        return any(all(map(is_same, registration, other)) for other in self.__registered)
