# ruff: noqa: N802, N803 - the names are shotgunEvents', and plugins call them, with keywords too
"""``registerCallbacks(reg)``: the registrar that a legacy plugin gets."""

import inspect
import logging
from typing import Any, Callable, List, Union

from callsheet.agent.signatures import WITHOUT_LOGGER, check_callable, form_of

Emails = Union[bool, List[str]]


def _rest(matchEvents: Any = None, args: Any = None, stopOnError: Any = True) -> None:  # noqa: FBT002 - theirs
    """The arguments of registerCallback that may be left out; only its signature is used."""


_REST = inspect.signature(_rest)


class Registrar:
    """What ``registerCallbacks`` is given: ``logger``, ``getLogger``, ``setEmails`` and ``registerCallback``, and nothing else."""

    def __init__(self, logger: logging.Logger, register: Callable[..., None], set_emails: Callable[[Emails], None]) -> None:
        self.__logger = logger
        self.__register = register
        self.__set_emails = set_emails

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
        ``registerCallback(name, key, callback, args)``. Raises TypeError for what can't be called, or can't be a filter.
        """
        check_callable(callback)
        form = form_of(callback)
        if form == WITHOUT_LOGGER and len(rest) == 1 and "args" not in named:
            named["args"], rest = rest[0], ()
        try:
            given = _REST.bind(*rest, **named)
        except TypeError as error:
            raise TypeError(f"registerCallback() {error}") from None
        given.apply_defaults()
        self.__register(sgScriptName, sgScriptKey, callback, form=form, **given.arguments)
