"""What a site shows as an event, made into one that everybody can take: the ledger, the policies, a worker.

A site may show anything, and keeps it for good. So an odd event is handed on without what can't be taken of it, and one without a
usable id is left out; each is told, and neither holds up the page that it stands in.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from callsheet.domain.event import LARGEST_ID, Event
from callsheet.ports import OddEvent
from callsheet.wire.texts import cut_short

DEEPEST = 100
"""Lists and objects within one another that an event may have; a JSON decoder gives up at some hundreds."""

LONGEST = 10_000_000
"""Letters of a text in an event. No plugin can have meant to get a longer one, and a run of such would be too long for a worker."""

_TEXT = (str, type(None))
_LINK = (dict, type(None))
_KINDS: dict[str, tuple[type, ...]] = {
    "event_type": (str,),
    "attribute_name": _TEXT,
    "meta": (dict, str, type(None)),
    "entity": _LINK,
    "user": _LINK,
    "project": _LINK,
    "session_uuid": _TEXT,
    "created_at": _TEXT,
}
"""What the documented keys hold."""

_USUAL = frozenset(itertools.product(*_KINDS.values()))
"""All that, as the types of an event's values one by one: nearly every event is known by one look-up."""


def checked(site: str, data: Mapping[str, Any], text: str | None) -> tuple[Event | None, OddEvent | None]:
    """The event, and what is odd about it; no event where it has no id that can be one. ``text``: ``data`` as JSON, if known."""
    number = data.get("id")
    if type(number) is not int or not 0 < number < LARGEST_ID:
        return None, OddEvent(_shown(number), f"its id is no whole number from 1 to {LARGEST_ID - 1}", taken=False)
    whole, why = (data, "") if text is not None and _is_plain(text) else _reduced(data)
    if not why and tuple(map(type, map(whole.get, _KINDS))) in _USUAL:
        return Event(site, data, text), None
    unfit = [name for name, kinds in _KINDS.items() if type(whole.get(name)) not in kinds]
    whole = {**whole, **{name: "" if name == "event_type" else None for name in unfit}}
    why = "; ".join([*filter(None, [why]), *(f"its {name} is {_shown(data.get(name))}" for name in unfit)])
    return Event(site, whole), OddEvent(number, why, taken=True)


def _is_plain(text: str) -> bool:
    """Whether there is surely nothing in it that has to be left out: seen at the cost of a look at the text."""
    if len(text) > LONGEST or text.count("[") + text.count("{") > DEEPEST:
        return False
    return "NaN" not in text and "Infinity" not in text


def _reduced(data: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The same without what is nested too deeply, too long, and numbers that are none; and which of that it had."""
    found: set[str] = set()

    def reduce(value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is float and not math.isfinite(value):
            found.add("it has a number that can't be written")
            return None
        if kind is str and len(value) > LONGEST:
            found.add(f"it has a text of more than {LONGEST:,} letters")
            return cut_short(value, LONGEST)
        if kind is not dict and kind is not list:
            return value
        if depth > DEEPEST and value:
            found.add(f"it is nested deeper than {DEEPEST} levels")
            return None
        if kind is list:
            return [reduce(one, depth + 1) for one in value]
        return {key: reduce(one, depth + 1) for key, one in value.items()}

    reduced: dict[str, Any] = reduce(dict(data), 1)
    return reduced, " and ".join(sorted(found))


def _shown(value: object) -> str:
    try:
        return f"{value!r:.100}"
    except (ValueError, RecursionError):
        return f"of type {type(value).__name__}"
