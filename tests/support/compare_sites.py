"""What two daemons left behind on identical copies of a site: held side by side.

The promise is the same writes, as a multiset, and each entity's in the same order. Two plugins that answer the same event write at
the same time in Callsheet, so order is that of the writes to each field of an entity, and of each plugin's writes to an entity:
where neither differs, nothing that the site keeps can.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

from callsheet.sandbox import Sandbox

Write = dict[str, Any]
_STAMPS = ("updated_at", "updated_by")


def by_script(writes: list[Write]) -> Counter[str]:
    """How many writes each script made."""
    return Counter(str(one["script"]) for one in writes)


def multiset(writes: list[Write]) -> Counter[str]:
    """The writes without their order."""
    return Counter(_text(one) for one in writes)


def by_field(writes: list[Write]) -> dict[str, list[str]]:
    """What was written to each field of each entity, by whom, in order. Creating and retiring count as fields."""
    told: dict[str, list[str]] = defaultdict(list)
    for one in writes:
        entity = f"{one['type']} {one['id']}"
        if one["method"] != "update":
            told[f"{entity} {one['method']}"].append(_text(one))
        for field, value in one["fields"].items():
            told[f"{entity}.{field}"].append(_text([one["script"], value]))
    return dict(told)


def by_writer(writes: list[Write]) -> dict[str, list[str]]:
    """What each script wrote to each entity, in order."""
    told: dict[str, list[str]] = defaultdict(list)
    for one in writes:
        told[f"{one['script']} {one['type']} {one['id']}"].append(_text(one))
    return dict(told)


def by_entity(writes: list[Write]) -> dict[str, list[str]]:
    """All that was written to each entity, in order."""
    told: dict[str, list[str]] = defaultdict(list)
    for one in writes:
        told[f"{one['type']} {one['id']}"].append(_text(one))
    return dict(told)


def kept(sandbox: Sandbox) -> dict[str, Any]:
    """All that the site keeps of entities, save when and by whom each was last touched. Scripts keep their names."""
    everything = {}
    for kind in sandbox.site.store.schema.types:
        for one in sandbox.site.store.all_of(kind):
            values = {name: value for name, value in one.values.items() if name not in _STAMPS and name != "created_at"}
            everything[f"{kind} {one.id}"] = json.loads(_text([one.retired, values]))
    return everything


def different(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys whose values differ, with both values; None stands for a key that is not there."""
    return {key: (ours.get(key), theirs.get(key)) for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
