"""Failures as data: what an exception becomes when it crosses to the daemon."""

import pprint
import traceback
from types import TracebackType
from typing import Any, Dict, List, Optional

from callsheet.agent.toolkit.howto import cure_for

STARS = "***"
_MANY = 50  # members of one container shown
_LONG = 2000  # letters of one value shown
_DEEP = 5  # levels of containers shown
_TEXT = 20000  # letters of a whole traceback, or of all locals, shown
_LETTERS = 4  # a shorter secret would star out ordinary text

Failure = Dict[str, str]


class Secrets:
    """The keys that this worker knows; they are cut out of everything it says."""

    def __init__(self) -> None:
        self._known: List[str] = []

    def add(self, value: Any) -> None:
        """Hide ``value`` from now on, unless it is too short to be a key."""
        if isinstance(value, str) and len(value) >= _LETTERS and value not in self._known:
            self._known.append(value)
            self._known.sort(key=len, reverse=True)  # one may be part of another

    def cut(self, text: str) -> str:
        """``text`` with stars for secrets."""
        for value in self._known:
            if value in text:
                text = text.replace(value, STARS)
        return text


def failure_of(error: BaseException, secrets: Secrets, *, skip: int = 1) -> Failure:
    """What the daemon keeps of an exception. The first ``skip`` frames of the traceback are the agent's and left out."""
    frames = beyond(error.__traceback__, skip)
    return {
        "kind": kind_of(error),
        "text": secrets.cut(_cut(_text(error), _LONG) + cure_for(error)),
        "traceback": secrets.cut(_cut(traceback_of(error, frames), _TEXT)),
        "locals": secrets.cut(locals_of(frames)),
    }


def kind_of(error: BaseException) -> str:
    """The exception's type, with its module unless that is Python's own or ours."""
    kind = type(error)
    known = kind.__module__ in ("builtins", "callsheet.agent.api")
    return kind.__qualname__ if known else f"{kind.__module__}.{kind.__qualname__}"


def beyond(frames: Optional[TracebackType], skip: int) -> Optional[TracebackType]:
    """The traceback without its first ``skip`` frames."""
    while frames is not None and skip:
        frames, skip = frames.tb_next, skip - 1
    return frames


def traceback_of(error: BaseException, frames: Optional[TracebackType]) -> str:
    """The traceback as Python prints it, from ``frames`` on."""
    try:
        return "".join(traceback.format_exception(type(error), error, frames)).rstrip()
    except Exception:  # noqa: BLE001 - an exception whose own text fails must still be reported
        return f"{kind_of(error)}: {_text(error)}"


def locals_of(frames: Optional[TracebackType]) -> str:
    """The local variables of the first frame, one value as pprint shows it per name, what is huge cut short."""
    if frames is None:
        return ""
    shown = {name: _shortened(value, _DEEP) for name, value in frames.tb_frame.f_locals.items()}
    return _cut(pprint.pformat(shown), _TEXT)


class _Shown:
    """Stands in a structure for a value, with the text to show for it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _shortened(value: Any, depth: int) -> Any:
    # Rebuilds plain containers, so that printing a list of a million members costs nothing.
    kind = type(value)
    if kind in (int, float, bool, type(None)):
        return value
    if kind in (str, bytes):
        return value if len(value) <= _LONG else _Shown(f"{value[:_LONG]!r}... {len(value) - _LONG} more")
    if kind in (dict, list, tuple, set, frozenset):
        return _shortened_container(value, depth) if depth else _Shown("...")
    try:
        return _Shown(_cut(repr(value), _LONG))
    except Exception as error:  # noqa: BLE001 - a broken __repr__ of the plugin's must not hide its failure
        return _Shown(f"<{kind.__name__} whose repr raises {type(error).__name__}>")


def _shortened_container(value: Any, depth: int) -> Any:
    kind = type(value)
    more = len(value) - _MANY
    if kind is dict:
        short = {
            key if type(key) is str else _shortened(key, depth - 1): _shortened(one, depth - 1)
            for _, (key, one) in zip(range(_MANY), value.items())
        }
        if more > 0:
            short[_Shown("...")] = _Shown(f"{more} more")
        return short
    members = [_shortened(one, depth - 1) for _, one in zip(range(_MANY), value)]
    if more > 0:
        members.append(_Shown(f"... {more} more"))
    if kind is list:
        return members
    return tuple(members) if kind is tuple else _Shown(f"{kind.__name__}({members!r})")


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - as above, for __str__
        return f"<an exception whose text raises, of type {type(error).__name__}>"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}... ({len(text) - most} letters more)"
