"""``summarize``: counts, sums and the like over what filters find, in nested groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from callsheet.sandbox.paths import Path, path, shown
from callsheet.sandbox.reads import Reader
from callsheet.sandbox.refusal import bad_request
from callsheet.sandbox.store import Entity, Store
from callsheet.sandbox.values import Link, moment

_STEPS = {
    "tens": 10,
    "hundreds": 100,
    "thousands": 1000,
    "tensofthousands": 10_000,
    "hundredsofthousands": 100_000,
    "millions": 1_000_000,
}


def summarize(store: Store, reader: Reader, params: Any, now: float) -> dict[str, Any]:
    """``{"summaries": {field: value}, "groups": [{"group_name", "group_value", "summaries", "groups"?}]}``."""
    entity_type = store.schema.entity_type(params.get("type") if isinstance(params, Mapping) else None, "summarize").name
    wanted = []
    for one in params.get("summaries") or ():
        kind = one.get("type")
        if kind not in _SUMMARIES:
            raise bad_request("summarize", f"type must be one of: {', '.join(_SUMMARIES)}; got {kind!r}")
        wanted.append((one.get("field"), path(store, entity_type, one.get("field"), "summarize"), _SUMMARIES[kind]))
    grouping = []
    for one in params.get("grouping") or ():
        kind = one.get("type", "exact")
        if kind not in _GROUPS and kind not in _STEPS:
            raise bad_request("summarize", f"grouping type must be one of: {', '.join([*_GROUPS, *_STEPS])}; got {kind!r}")
        grouping.append((path(store, entity_type, one.get("field"), "summarize"), kind, one.get("direction") == "desc"))
    found = reader.matching(entity_type, params.get("filters"), now, "summarize")
    groups = _grouped(store, found, wanted, grouping)
    return {"summaries": _summaries(found, wanted), "groups": groups}


Summary = Callable[[list[Any]], Any]
Wanted = Sequence[tuple[str, Path, Summary]]
Grouping = Sequence[tuple[Path, str, bool]]


def _summaries(entities: list[Entity], wanted: Wanted) -> dict[str, Any]:
    return {name: summary([_first(way, one) for one in entities]) for name, way, summary in wanted}


def _grouped(store: Store, entities: list[Entity], wanted: Wanted, grouping: Grouping) -> list[dict[str, Any]]:
    if not grouping:
        return []
    (way, kind, descending), *rest = grouping
    groups: dict[str, tuple[Any, list[Entity]]] = {}
    for entity in entities:
        value = shown(store, way.field, _first(way, entity))
        name, representative = _group(kind, value)
        groups.setdefault(name, (representative, []))[1].append(entity)
    made = []
    for name, (value, members) in sorted(groups.items(), key=lambda item: _order(item[1][0], item[0]), reverse=descending):
        group = {"group_name": name, "group_value": value, "summaries": _summaries(members, wanted)}
        if rest:
            group["groups"] = _grouped(store, members, wanted, rest)
        made.append(group)
    return made


def _order(value: Any, name: str) -> tuple[int, float, str]:
    """Numbers by size, everything else by name, nothing last."""
    if value is None:
        return 2, 0, name
    return (0, value, name) if isinstance(value, int | float) else (1, 0, name)


def _group(kind: str, value: Any) -> tuple[str, Any]:
    """The name and the value of the group that a value belongs to."""
    if value is None or value == []:
        return "", None
    if kind in _STEPS:
        start = int(value) // _STEPS[kind] * _STEPS[kind]
        return f"{start}-{start + _STEPS[kind] - 1}", start
    return _GROUPS[kind](value)


def _exact(value: Any) -> tuple[str, Any]:
    if isinstance(value, list):
        return ", ".join(_named(one) for one in value), value
    return _named(value), value


def _named(value: Any) -> str:
    return str(value["name"]) if isinstance(value, dict) and "name" in value else str(value)


def _period(label: Callable[[Any], str]) -> Callable[[Any], tuple[str, Any]]:
    def group(value: Any) -> tuple[str, Any]:
        name = label(moment(value))
        return name, name

    return group


def _of_week(when: Any) -> str:
    return str((when - timedelta(days=when.weekday())).date())


_GROUPS: dict[str, Callable[[Any], tuple[str, Any]]] = {
    "exact": _exact,
    "day": _period(lambda when: str(when.date())),
    "oneday": _period(lambda when: str(when.date())),
    "fivedays": _period(lambda when: str((when - timedelta(days=when.toordinal() % 5)).date())),
    "week": _period(_of_week),
    "month": _period(lambda when: f"{when:%Y-%m}"),
    "clustered_date": _period(lambda when: f"{when:%Y-%m}"),
    "quarter": _period(lambda when: f"{when.year}-Q{(when.month + 2) // 3}"),
    "year": _period(lambda when: str(when.year)),
    "entitytype": lambda value: (value["type"], value["type"]),
    "firstletter": lambda value: (_named(value)[:1].upper(), _named(value)[:1].upper()),
}


def _first(way: Path, entity: Entity) -> Any:
    return next(iter(way.values(entity)), None)


def _there(values: list[Any]) -> list[Any]:
    return [one for one in values if one is not None and one != []]


def _numbers(values: list[Any]) -> list[float]:
    return [one for one in values if isinstance(one, int | float)]


def _average(values: list[Any]) -> float | None:
    numbers = _numbers(values)
    return sum(numbers) / len(numbers) if numbers else None


def _percentage(values: list[Any]) -> int:
    return round(100 * sum(map(bool, values)) / len(values)) if values else 0


def _status_percentage(values: list[Any]) -> int:
    return round(100 * sum(one in ("fin", "cmpt", "apr", "clsd") for one in values) / len(values)) if values else 0


def _status_list(values: list[Any]) -> str | None:
    """The status of all; ``ip`` where they differ."""
    kinds = Counter(_there(values))
    return next(iter(kinds)) if len(kinds) == 1 else ("ip" if kinds else None)


_SUMMARIES: dict[str, Summary] = {
    "record_count": len,
    "count": lambda values: len(_there(values)),
    "unique_count": lambda values: len({one if isinstance(one, Link) else str(one) for one in _there(values)}),
    "sum": lambda values: sum(_numbers(values)),
    "maximum": lambda values: max(_there(values), default=None),
    "minimum": lambda values: min(_there(values), default=None),
    "average": _average,
    "earliest": lambda values: min(_there(values), default=None),
    "latest": lambda values: max(_there(values), default=None),
    "percentage": _percentage,
    "status_percentage": _status_percentage,
    "status_percentage_as_float": lambda values: _status_percentage(values) / 100,
    "status_list": _status_list,
    "checked": lambda values: sum(one is True for one in values),
    "unchecked": lambda values: sum(one is not True for one in values),
}
