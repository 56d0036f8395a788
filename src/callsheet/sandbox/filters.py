"""Filters: conditions of path, relation and values, in nested and/or groups, made into one function over entities.

A relation that says no (``is_not``, ``not_in``, ``not_contains`` …) is true wherever its opposite is false, so also where
nothing is held. ``is`` and ``in`` compare text as it is, all others without regard to case. On a link to several entities
``is`` and ``in`` mean that one of them is among those named.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from callsheet.sandbox.paths import Path, name_of, path
from callsheet.sandbox.periods import around, calendar
from callsheet.sandbox.refusal import bad_request
from callsheet.sandbox.schema import Field
from callsheet.sandbox.store import Entity, Store
from callsheet.sandbox.values import Link, checked, timestamp

Test = Callable[[Entity], bool]
ValueTest = Callable[[Any], bool]

OPPOSITES = {
    "is_not": "is",
    "not_in": "in",
    "not_contains": "contains",
    "not_between": "between",
    "type_is_not": "type_is",
    "name_not_contains": "name_contains",
    "not_in_last": "in_last",
    "not_in_next": "in_next",
}

_CHOICE = ("is", "is_not", "in", "not_in")
_ORDER = (*_CHOICE, "less_than", "greater_than", "between", "not_between")
_NAMES = ("name_contains", "name_not_contains", "name_is", "name_starts_with", "name_ends_with")
_CALENDAR = ("in_calendar_day", "in_calendar_week", "in_calendar_month", "in_calendar_year")
_DATES = (*_ORDER, "in_last", "not_in_last", "in_next", "not_in_next", *_CALENDAR)
_TEXT = (*_CHOICE, "contains", "not_contains", "starts_with", "ends_with")
_LINKS = (*_CHOICE, "type_is", "type_is_not", *_NAMES)

RELATIONS: dict[str, tuple[str, ...]] = {
    "checkbox": ("is", "is_not"),
    "color": _TEXT,
    "currency": _ORDER,
    "date": _DATES,
    "date_time": _DATES,
    "duration": _ORDER,
    "entity": _LINKS,
    "entity_type": _CHOICE,
    "float": _ORDER,
    "image": ("is", "is_not"),
    "list": _CHOICE,
    "multi_entity": _LINKS,
    "number": _ORDER,
    "percent": _ORDER,
    "status_list": _CHOICE,
    "tag_list": ("is", "is_not", "name_contains", "name_not_contains"),
    "text": _TEXT,
    "timecode": _ORDER,
    "uuid": _CHOICE,
}
"""Which relations a data type can be filtered by. Data types that are not here can't be filtered by at all."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What filters are made with: the store they look into, the time that "now" is, and the API method to name in errors."""

    store: Store
    now: float
    method: str = "read"

    def compile(self, entity_type: str, filters: Any) -> Test:
        """One function for a group as the client sends it; Refusal for what a site would not take."""
        return self._group(entity_type, filters or {"logical_operator": "and", "conditions": []})

    def _group(self, entity_type: str, group: Any) -> Test:
        if not isinstance(group, Mapping) or not isinstance(group.get("conditions"), list):
            raise bad_request(self.method, f"invalid/missing 'filters': {group!r}")
        tests = [self._any(entity_type, one) for one in group["conditions"]]
        match group.get("logical_operator"):
            case "and":
                return lambda entity: all(test(entity) for test in tests)
            case "or":
                return lambda entity: any(test(entity) for test in tests)
            case other:
                raise bad_request(self.method, f"invalid/missing 'logical_operator': {other!r}. Valid values: and, or")

    def _any(self, entity_type: str, condition: Any) -> Test:
        if isinstance(condition, Mapping) and "conditions" in condition:
            return self._group(entity_type, condition)
        if not isinstance(condition, Mapping) or not isinstance(condition.get("values"), list):
            raise bad_request(self.method, f"invalid/missing 'values' in condition: {condition!r}")
        return self.condition(path(self.store, entity_type, condition.get("path"), self.method), entity_type, condition)

    def condition(self, way: Path, entity_type: str, condition: Mapping[str, Any]) -> Test:
        """One condition over an entity."""
        relation = condition.get("relation")
        known = RELATIONS.get(way.field.data_type)
        where = f"{entity_type}.{condition['path']}"
        if known is None:
            raise bad_request(self.method, f"{where} cannot be used in a filter.")
        if relation not in known:
            kind = way.field.data_type
            message = f"{where}'s '{kind}' data type doesn't support '{relation}' 'relation'. Valid relations: {list(known)}"
            raise bad_request(self.method, message)
        test = self._value_test(way.field, entity_type, OPPOSITES.get(relation, relation), condition["values"])
        values = way.values
        if relation in OPPOSITES:
            return lambda entity: not any(map(test, values(entity) or (None,)))
        return lambda entity: any(map(test, values(entity) or (None,)))

    def _value_test(self, field: Field, entity_type: str, relation: str, values: Sequence[Any]) -> ValueTest:
        if relation in ("is", "in", "between", "less_than", "greater_than", "contains", "starts_with", "ends_with"):
            wanted = [self._wanted(field, entity_type, one) for one in values]
            return _comparison(relation, wanted)
        if relation in ("in_last", "in_next", *_CALENDAR):
            first, last = self._span(relation, values, is_date=field.data_type == "date")
            return lambda value: value is not None and first <= value <= last
        text = values[0] if values else None
        if relation == "type_is":
            return lambda value: any(one.type == text for one in _several(value)) or (text is None and not value)
        return self._name_test(relation.removeprefix("name_"), str(text or ""))

    def _wanted(self, field: Field, entity_type: str, value: Any) -> Any:
        """A value to compare with, in the form in which the field holds its own."""
        if value is None:
            return None
        match field.data_type:
            case "entity" | "multi_entity":
                if not isinstance(value, Mapping) or "type" not in value or "id" not in value:
                    raise bad_request(
                        self.method, f"{entity_type}.{field.name} expected [Hash, NilClass] data type(s) but got {value!r}"
                    )
                return Link(value["type"], value["id"])
            case "list" | "status_list" | "image" | "color" | "tag_list":
                return value
            case "number" | "percent" | "duration" if isinstance(value, str) and value.removeprefix("-").isdecimal():
                return int(value)  # a site takes a number as text in filters, though not in writes
            case _:
                return checked(field, entity_type, value, self.method)

    def _name_test(self, relation: str, text: str) -> ValueTest:
        compare = _TEXT_TESTS[relation]

        def test(value: Any) -> bool:
            names = (self._name(one) for one in _several(value))
            return any(compare(name.lower(), text.lower()) for name in names)

        return test

    def _name(self, one: Link | str) -> str:
        if isinstance(one, str):
            return one
        found = self.store.get(one)
        return name_of(self.store, found) if found else ""

    def _span(self, relation: str, values: Sequence[Any], *, is_date: bool) -> tuple[str, str]:
        """The first and the last moment (or date) that ``in_last 2 WEEK``, ``in_calendar_month -1`` … stand for."""
        try:
            number = int(values[0])
            if relation.startswith("in_calendar_"):
                start, end = calendar(relation.removeprefix("in_calendar_"), number, datetime.fromtimestamp(self.now, UTC))
            else:
                start, end = around(number if relation == "in_next" else -number, str(values[1]), self.now)
        except (IndexError, KeyError, TypeError, ValueError, OverflowError):
            raise bad_request(self.method, f"'{relation}' can't be used with the values {list(values)!r}") from None
        first, last = timestamp(start.timestamp()), timestamp(end.timestamp())
        return (first[:10], last[:10]) if is_date else (first, last)


def _comparison(relation: str, wanted: list[Any]) -> ValueTest:
    match relation:
        case "is":
            return _one_of(wanted[:1] or [None])
        case "in":
            return _one_of(wanted)
        case "less_than":
            return _ordered(operator.lt, wanted)
        case "greater_than":
            return _ordered(operator.gt, wanted)
        case "between":
            low, high = (*wanted, None, None)[:2]
            return lambda value: value is not None and (low is None or value >= low) and (high is None or value <= high)
    text, compare = str(wanted[0] or "").lower() if wanted else "", _TEXT_TESTS[relation]
    return lambda value: value is not None and compare(value.lower(), text)


def _one_of(wanted: list[Any]) -> ValueTest:
    def test(value: Any) -> bool:
        if isinstance(value, list):
            return any(one in wanted for one in value) or (not value and None in wanted)
        return value in wanted

    return test


def _ordered(compare: Callable[[Any, Any], bool], wanted: list[Any]) -> ValueTest:
    limit = wanted[0] if wanted else None
    return lambda value: value is not None and limit is not None and compare(value, limit)


_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "is": operator.eq,
    "contains": operator.contains,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
