"""The form that values take between a plugin and a session: data, never pickled objects.

JSON's own values stay what they are. Others become ``{"~": [kind, data]}``: tuples, sets, dicts with keys that are no text, bytes,
dates and times, paths, and ``sgtk.Context``. A context arrives as a real one where there is a Toolkit, and elsewhere as a
CarriedContext, which becomes a real one again when it is sent back.
"""

import base64
import datetime as dt
import pathlib
from typing import Any, Callable, Dict, List, Optional, Tuple

MARK = "~"
_DEEPEST = 100
_CONTEXTS = ("tank.context", "sgtk.context")
_KNOWN = {
    "Sgtk": "it stays in its session; send what you read from it",
    "Engine": "it stays in its session; send what you read from it",
    "Template": "send its name or its definition",
    "TemplatePath": "send its name or its definition",
    "TemplateString": "send its name or its definition",
    "Shotgun": "every worker has its own connection, ctx.sg",
    "generator": "send a list of it",
    "coroutine": "nobody awaits it there; declare the function with def, and let it run what is asynchronous",
    "module": "import it where it is needed",
    "function": "give it to call(), and send it data",
}


class CarryError(TypeError):
    """A value can't be carried; the text says where in what was sent it stands, and what to send in its place."""


class CarriedContext:
    """A ``sgtk.Context`` where there is no Toolkit: its links, as ``project``, ``entity``, ``step``, ``task`` and ``user``."""

    def __init__(self, data: Dict[str, Any]) -> None:
        self._data = data

    def to_dict(self) -> Dict[str, Any]:
        """As ``sgtk.Context.to_dict``."""
        return dict(self._data)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._data:
            raise AttributeError(f"a context that was carried here has {', '.join(sorted(self._data))}, not {name}")
        return self._data[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CarriedContext) and other._data == self._data

    def __hash__(self) -> int:
        return hash(repr(sorted(self._data)))

    def __repr__(self) -> str:
        return f"CarriedContext({self._data!r})"


def pack(value: Any, what: str = "the value") -> Any:
    """``value`` as JSON can write it. ``what``: how to call it in an error. Raises CarryError."""
    return _pack(value, what, 0)


def unpack(data: Any, tk: Any = None, context: Optional[Callable[[Any, Dict[str, Any]], Any]] = None) -> Any:
    """The value again. ``tk``, ``context`` (``sgtk.Context.from_dict``): what contexts are made with, where there is a Toolkit."""
    if type(data) is list:
        return [unpack(one, tk, context) for one in data]
    if type(data) is dict:
        if MARK in data:
            return _unmarked(data[MARK], tk, context)
        return {key: unpack(one, tk, context) for key, one in data.items()}
    return data


def _unmarked(marked: List[Any], tk: Any, context: Any) -> Any:
    kind, inner = marked
    if kind == "context":
        links = unpack(inner, tk, context)
        return CarriedContext(links) if context is None else context(tk, links)
    if kind == "dict":
        return {unpack(key, tk, context): unpack(one, tk, context) for key, one in inner}
    if kind in _COLLECTIONS:
        return _COLLECTIONS[kind](unpack(one, tk, context) for one in inner)
    return unpack(inner, tk, context) if kind == "plain" else _MADE_OF_TEXT[kind](inner)


def _pack(value: Any, what: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise CarryError(f"{what} is nested more than {_DEEPEST} levels deep, or contains itself; send less of it.")
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is list:
        return [_pack(one, f"{what}[{place}]", depth + 1) for place, one in enumerate(value)]
    if kind is dict and MARK not in value and all(type(key) is str for key in value):
        return {key: _pack(one, f"{what}[{key!r}]", depth + 1) for key, one in value.items()}
    return {MARK: _marked(value, what, depth)}


def _marked(value: Any, what: str, depth: int) -> List[Any]:
    if isinstance(value, CarriedContext) or (type(value).__name__ == "Context" and type(value).__module__ in _CONTEXTS):
        return ["context", _pack(value.to_dict(), what, depth + 1)]
    if isinstance(value, dict):
        pairs = (
            [_pack(key, f"a key of {what}", depth + 1), _pack(one, f"{what}[{key!r}]", depth + 1)] for key, one in value.items()
        )
        return ["dict", list(pairs)]
    for kind, collection in _COLLECTIONS.items():
        if isinstance(value, collection):
            return [kind, [_pack(one, f"a member of {what}", depth + 1) for one in value]]
    for base, kind, text in _AS_TEXT:
        if isinstance(value, base):
            return [kind, text(value)]
    plain: Any  # enumerations and other subclasses count as what they are made of
    for plain in (int, float, str, list):
        if isinstance(value, plain):
            return ["plain", _pack(plain(value), what, depth + 1)]
    name = type(value).__name__
    cure = next((text for kind in type(value).__mro__ for known, text in _KNOWN.items() if kind.__name__ == known), None)
    cure = cure or "send text, numbers, lists, dicts, links, dates, paths or an sgtk.Context"
    raise CarryError(f"{what} is a {type(value).__module__}.{name}, which can't be carried to another process: {cure}.")


_COLLECTIONS: Dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_AS_TEXT: Tuple[Tuple[Any, str, Callable[[Any], Any]], ...] = (
    (dt.datetime, "datetime", lambda value: value.isoformat()),  # before date, which it is one of
    (dt.date, "date", lambda value: value.isoformat()),
    (dt.time, "time", lambda value: value.isoformat()),
    (dt.timedelta, "timedelta", lambda value: value.total_seconds()),
    (pathlib.PurePath, "path", str),
    ((bytes, bytearray), "bytes", lambda value: base64.b64encode(bytes(value)).decode("ascii")),
)
_MADE_OF_TEXT: Dict[str, Callable[[Any], Any]] = {
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "timedelta": lambda seconds: dt.timedelta(seconds=seconds),
    "path": pathlib.Path,
    "bytes": base64.b64decode,
}
