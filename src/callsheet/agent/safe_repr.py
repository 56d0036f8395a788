"""Local variables as text: bounded in length and in time whatever they hold, and without secrets.

Showing is done in a thread of its own, since a ``__repr__`` of the plugin's may ask a server, or never come back; what is not shown
in time is left out, and said.
"""

import pprint
import re
import threading
from typing import Any, Callable, Dict, Mapping, Optional

from callsheet.wire.texts import cut_short

STARS = "***"
PATIENCE = 2.0
"""Seconds for all the values of a failure."""

_MANY = 50  # members of one container shown
_LONG = 2000  # letters of one value shown
_DEEP = 5  # levels of containers shown
_TEXT = 20000  # letters of all shown
_BITS = 4096  # of a number that is shown
_VALUES = 2000  # values shown in all, each member of a container for itself

_HIDDEN = re.compile(r"passw|secret|token|credential|(api|script|auth|access|private)_?key|^key$", re.IGNORECASE)

Cut = Callable[[str], str]


def shown(variables: Mapping[str, Any], cut: Cut) -> str:
    """The variables, a name per line as pprint prints them. ``cut`` takes secrets out of a text; names that promise one hide it."""
    gathering = _Gathering(cut)
    thread = threading.Thread(target=gathering.gather, args=(dict(variables),), name="callsheet-locals", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    gathering.late = True
    found = dict(gathering.found)
    for name in variables:
        if name not in found:
            found[name] = _Shown("<not shown in time>")
    return cut_short(cut(pprint.pformat(found)), _TEXT)


class _Shown:
    """Stands in a structure for a value, with the text to show for it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class _Gathering:
    """Makes of values what can be printed at little cost: plain containers are rebuilt, with few members."""

    def __init__(self, cut: Cut) -> None:
        self.found: Dict[str, Any] = {}
        self.late = False
        """Nobody waits any more."""
        self._cut = cut
        self._left = _VALUES

    def gather(self, variables: Dict[str, Any]) -> None:
        """Fill ``found``."""
        for name, value in variables.items():
            if self.late:
                return
            self.found[name] = self._named(name, value, _DEEP)

    def _named(self, name: Any, value: Any, depth: int) -> Any:
        hidden = isinstance(name, str) and value is not None and _HIDDEN.search(name) is not None
        return _Shown(STARS) if hidden and type(value) in (str, bytes, int) else self._short(value, depth)

    def _short(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            return _Shown("...")
        kind = type(value)
        if kind in (int, float, bool, type(None)):
            huge = kind is int and value.bit_length() > _BITS  # Python may refuse to write it down, and nobody reads it
            return _Shown(f"<a number of {value.bit_length()} bits>") if huge else value
        if kind is str:
            return self._text(value)
        if kind is bytes:
            return value if len(value) <= _LONG else _Shown(f"{value[:_LONG]!r}... {len(value) - _LONG} more")
        if kind in (dict, list, tuple, set, frozenset):
            return self._container(value, depth) if depth else _Shown("...")
        return _Shown(cut_short(self._cut(_said_of_itself(value)), _LONG))

    def _text(self, value: str) -> Any:
        more = len(value) - _LONG
        # Cut before it is shortened and before quotes are escaped: half a secret, or one that reads differently, is one still.
        text = self._cut(value if more <= 0 else value[: 2 * _LONG])
        return text if more <= 0 else _Shown(f"{text[:_LONG]!r}... {more} more")

    def _container(self, value: Any, depth: int) -> Any:
        kind = type(value)
        more = len(value) - _MANY
        if kind is dict:
            short = {
                self._cut(key) if type(key) is str else self._short(key, depth - 1): self._named(key, one, depth - 1)
                for _, (key, one) in zip(range(_MANY), list(value.items()))
            }
            if more > 0:
                short[_Shown("...")] = _Shown(f"{more} more")
            return short
        members = [self._short(one, depth - 1) for _, one in zip(range(_MANY), value)]
        if more > 0:
            members.append(_Shown(f"... {more} more"))
        if kind is list:
            return members
        return tuple(members) if kind is tuple else _Shown(f"{kind.__name__}({members!r})")


def _said_of_itself(value: Any) -> str:
    said: Optional[str] = None
    try:
        said = repr(value)
    except BaseException as error:  # noqa: BLE001 - a broken __repr__ of the plugin's must not hide its failure
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return said
