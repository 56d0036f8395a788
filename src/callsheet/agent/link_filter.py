"""``project=``, ``user=`` and ``entity=`` as plain data, with which the daemon decides without asking the plugin."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Dict, List, Optional

Links = Dict[str, List[Any]]
"""``ids``, ``names``, ``types`` and ``exact`` ([type, id]): what the manifest has of such a filter."""

_TYPE = re.compile(r"[A-Z][A-Za-z0-9_]*(:[0-9]+)?").fullmatch
_KINDS = {
    "project": "an id, a name, a link, or several of these",
    "user": "an id, a name, a link, or several of these",
    "entity": 'a link, an id, a type ("Shot"), a type with an id ("Shot:14"), or several of these',
}


def links_of(option: str, which: Any) -> Optional[Links]:
    """What ``option=which`` means; None for None. Raises TypeError, naming what is possible, for anything else."""
    if which is None:
        return None
    found: Links = {"ids": [], "names": [], "types": [], "exact": []}
    several = isinstance(which, Iterable) and not isinstance(which, (str, bytes, Mapping))
    for one in which if several else (which,):
        _add(option, one, found)
    return found


def _add(option: str, one: Any, found: Links) -> None:
    if isinstance(one, int) and not isinstance(one, bool):
        found["ids"].append(one)
    elif isinstance(one, Mapping) and isinstance(one.get("id"), int) and isinstance(one.get("type"), (str, type(None))):
        if one.get("type") is None:
            found["ids"].append(one["id"])
        else:
            found["exact"].append([one["type"], one["id"]])
    elif isinstance(one, str) and option != "entity":
        found["names"].append(one)
    elif isinstance(one, str) and _TYPE(one):
        kind, _, number = one.partition(":")
        found["exact" if number else "types"].append([kind, int(number)] if number else kind)
    else:
        raise TypeError(f"{option}= takes {_KINDS[option]}, not {one!r}.")
