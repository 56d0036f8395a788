"""Filters over the event log as SQL, as far as SQL can tell exactly; the rest is told by ``filters``.

Ids are kept apart as spans. The poll asks for "after N, or between A and B, or …": as one SQL condition SQLite would
read the whole log for it, as spans it reads only what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callsheet.sandbox.event_store import key
from callsheet.sandbox.filters import OPPOSITES
from callsheet.sandbox.store import Store
from callsheet.sandbox.values import Link

Span = tuple[int, int]
"""First and last id, both included."""

EVERYTHING: list[Span] = [(0, 2**62)]

Sql = tuple[str, list[Any]]

_TEXTS = ("event_type", "attribute_name", "session_uuid", "created_at")
_LINKS = ("project", "user", "entity")
_TRUE: Sql = ("1", [])


@dataclass(frozen=True, slots=True)
class Plan:
    """How to read the log for a filter: in these spans, where this SQL holds. ``whole``: that is all of the filter."""

    spans: list[Span]
    where: str
    values: list[Any]
    whole: bool


def plan(store: Store, filters: Any) -> Plan:
    """The plan for a filter that ``filters.compile`` has accepted."""
    if not filters:
        return Plan(EVERYTHING, "1", [], whole=True)
    parts, whole = _spine(store, filters)
    where = " AND ".join(f"({text})" for text, _ in parts) or "1"
    return Plan(_spans(filters), where, [value for _, values in parts for value in values], whole)


def _spine(store: Store, group: Mapping[str, Any]) -> tuple[list[Sql], bool]:
    """SQL of what must hold in any case, and whether that is everything. Groups that are all about ids are left to the spans."""
    if _only_ids(group):
        return [], True
    if group["logical_operator"] == "or":
        made = _group(store, group)
        return ([made], True) if made else ([], False)
    parts: list[Sql] = []
    whole = True
    for condition in group["conditions"]:
        if "conditions" in condition:
            inner, complete = _spine(store, condition)
            parts += inner
        else:
            made = _TRUE if _only_ids(condition) else _condition(store, condition)
            complete = made is not None
            parts += [made] if made else []
        whole = whole and complete
    return parts, whole


def _group(store: Store, group: Mapping[str, Any]) -> Sql | None:
    """A whole group as SQL; None if a part of it can't be."""
    parts = [_group(store, one) if "conditions" in one else _condition(store, one) for one in group["conditions"]]
    made = [one for one in parts if one is not None]
    if len(made) < len(parts):
        return None
    joint, empty = (" AND ", "1") if group["logical_operator"] == "and" else (" OR ", "0")
    return joint.join(f"({text})" for text, _ in made) or empty, [value for _, values in made for value in values]


def _condition(store: Store, condition: Mapping[str, Any]) -> Sql | None:
    relation = condition["relation"]
    positive = OPPOSITES.get(relation, relation)
    made = _positive(store, condition["path"], positive, condition["values"])
    if made is None or positive == relation:
        return made
    return f"NOT COALESCE({made[0]}, 0)", made[1]


def _positive(store: Store, column: str, relation: str, values: Sequence[Any]) -> Sql | None:  # noqa: PLR0911 - one per relation
    if column in _LINKS and relation in ("is", "in"):
        return _link(store, column, values if relation == "in" else values[:1])
    if column not in (*_TEXTS, "id"):
        return None
    # created_at is compared as text, so only in the one form in which it is kept.
    if column == "created_at" and not all(one is None or (isinstance(one, str) and len(one) == 20) for one in values):  # noqa: PLR2004
        return None
    match relation:
        case "is" | "in":
            wanted = list(values if relation == "in" else values[:1] or [None])
            null = f" OR {column} IS NULL" if None in wanted else ""
            return f"{column} IN ({', '.join('?' * len(wanted))}){null}", wanted
        case "less_than" | "greater_than":
            return f"{column} {'<' if relation == 'less_than' else '>'} ?", list(values[:1]) or [None]
        case "between":
            low, high = (*values, None, None)[:2]
            return f"{column} >= COALESCE(?, {column}) AND {column} <= COALESCE(?, {column})", [low, high]
    return None


def _link(store: Store, column: str, values: Sequence[Any]) -> Sql | None:
    """Which links are shown as null depends on their entities, so null is not for SQL to find."""
    if not values or None in values:
        return None
    wanted = [Link(one["type"], one["id"]) for one in values]
    there = [one for one in wanted if not store.gone(one) and (column != "project" or one.type == "Project")]
    marks = ", ".join("?" * len(there))
    return f"{column} IN ({marks})", [one.id if column == "project" else key(one) for one in there]


def _only_ids(condition: Mapping[str, Any]) -> bool:
    """Whether spans say all there is to say about it."""
    if "conditions" in condition:
        return bool(condition["conditions"]) and all(map(_only_ids, condition["conditions"]))
    return condition["path"] == "id" and condition["relation"] in _ID_SPANS


def _spans(condition: Mapping[str, Any]) -> list[Span]:
    """Where the ids of all matching events are: exact for conditions on ids, everything for others."""
    if "conditions" not in condition:
        return _ID_SPANS[condition["relation"]](condition["values"]) if _only_ids(condition) else EVERYTHING
    made = [_spans(one) for one in condition["conditions"]]
    if condition["logical_operator"] == "or":
        return _united(made)
    kept = EVERYTHING
    for one in made:
        kept = [(max(a, c), min(b, d)) for a, b in kept for c, d in one if max(a, c) <= min(b, d)]
    return kept


def _united(spans: list[list[Span]]) -> list[Span]:
    united: list[Span] = []
    for first, last in sorted(span for some in spans for span in some):
        if united and first <= united[-1][1] + 1:
            united[-1] = (united[-1][0], max(last, united[-1][1]))
        else:
            united.append((first, last))
    return united


def _above(values: Sequence[Any]) -> list[Span]:
    return [] if not values or values[0] is None else [(int(values[0]) + 1, EVERYTHING[0][1])]


def _below(values: Sequence[Any]) -> list[Span]:
    return [] if not values or values[0] is None or int(values[0]) <= 0 else [(0, int(values[0]) - 1)]


def _between(values: Sequence[Any]) -> list[Span]:
    low, high = (*values, None, None)[:2]
    span = (0 if low is None else int(low), EVERYTHING[0][1] if high is None else int(high))
    return [span] if span[0] <= span[1] else []


def _among(values: Sequence[Any]) -> list[Span]:
    return _united([[(int(one), int(one))] for one in values if one is not None])


_ID_SPANS: dict[str, Callable[[Sequence[Any]], list[Span]]] = {
    "is": lambda values: _among(values[:1]),
    "in": _among,
    "greater_than": _above,
    "less_than": _below,
    "between": _between,
}
