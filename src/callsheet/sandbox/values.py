"""Values of fields: links, times, and whether a value fits its field."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from callsheet.sandbox.refusal import bad_request, failed
from callsheet.sandbox.schema import Field


class Link(NamedTuple):
    """A reference to an entity, as kept in another one's field."""

    type: str
    id: int


_TIME = "%Y-%m-%dT%H:%M:%SZ"
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_INT32 = range(-(2**31), 2**31)

_RUBY_NAMES = {str: "String", int: "Integer", float: "Float", bool: "TrueClass", dict: "Hash", list: "Array"}


def timestamp(seconds: float) -> str:
    """Epoch seconds as the site writes times: UTC, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime(_TIME)


def moment(text: str) -> datetime:
    """A time as the site writes it, or a date (its midnight in UTC), as an aware datetime; ValueError if it is neither."""
    parsed = datetime.fromisoformat(text)
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def checked(field: Field, entity_type: str, value: Any, method: str) -> Any:
    """``value`` as it is kept, links as Link; Refusal if it does not fit the field."""
    try:
        if value is None:
            return [] if field.data_type in ("multi_entity", "tag_list") else False if field.data_type == "checkbox" else None
        return _CHECKS[field.data_type](field, value)
    except _MisfitError as misfit:
        expected = ", ".join((*misfit.expected, "NilClass"))
        got = _RUBY_NAMES.get(type(value), type(value).__name__)
        raise bad_request(
            method, f"{entity_type}.{field.name} expected [{expected}] data type(s) but got {got}: {value!r}"
        ) from None
    except ValueError as problem:
        done = {"create": "Create", "update": "Update"}.get(method)
        if done is None:
            raise bad_request(method, f"{entity_type}.{field.name}: {problem}") from None
        raise failed(method, f"{done} failed for [{entity_type}.{field.name}]: {problem}") from None


def link(value: Any) -> Link:
    """``{"type": …, "id": …}`` as a Link; ValueError if it isn't one."""
    if isinstance(value, dict) and isinstance(value.get("type"), str) and _is_int(value.get("id")):
        return Link(value["type"], value["id"])
    raise ValueError(f"an entity is given as type and id, got {value!r}")


class _MisfitError(Exception):
    """The value has a type that the field can't take."""

    def __init__(self, *expected: str) -> None:
        self.expected = expected


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(_field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise _MisfitError("String")
    return value


def _whole(_field: Field, value: Any) -> int:
    if not _is_int(value):
        raise _MisfitError("Integer")
    if value not in _INT32:
        raise ValueError(f"value {value} is out of range for type integer")
    return int(value)


def _decimal(_field: Field, value: Any) -> float:
    if not _is_int(value) and not isinstance(value, float):
        raise _MisfitError("Float", "Integer")
    return float(value)


def _checkbox(_field: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _MisfitError("TrueClass", "FalseClass")
    return value


def _date(field: Field, value: Any) -> str:
    text = _text(field, value)
    if not _DATE.fullmatch(text):
        raise ValueError(f"Invalid date format: {text}. Correct format is 2011-01-21")
    moment(text)
    return text


def _date_time(field: Field, value: Any) -> str:
    text = _text(field, value)
    try:
        return moment(text).strftime(_TIME)
    except ValueError:
        raise ValueError(f"Invalid date time format: {text}. Correct format is 2011-01-21T13:26:09Z (UTC)") from None


def _choice(field: Field, value: Any) -> str:
    text = _text(field, value)
    if field.values and text not in field.values:
        raise ValueError(f"{text!r} is not a legal value. Legal values: {', '.join(field.values)}")
    return text


def _entity(field: Field, value: Any) -> Link:
    if not isinstance(value, dict):
        raise _MisfitError("Hash")
    made = link(value)
    if not field.leads_to(made.type):
        raise ValueError(f"{made.type} is not a type that it can link to ({', '.join(field.to)})")
    return made


def _entities(field: Field, value: Any) -> list[Link]:
    if not isinstance(value, list):
        raise _MisfitError("Array")
    return list(dict.fromkeys(_entity(field, one) for one in value))


def _tags(_field: Field, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _MisfitError("Array")
    return value


def _url(_field: Field, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _MisfitError("Hash")
    return value


def _image(_field: Field, _value: Any) -> None:
    raise ValueError("thumbnails are not here: the sandbox keeps no files. Leave it out, or test against a real site")


_CHECKS: dict[str, Callable[[Field, Any], Any]] = {
    "checkbox": _checkbox,
    "color": _text,
    "currency": _decimal,
    "date": _date,
    "date_time": _date_time,
    "duration": _whole,
    "entity": _entity,
    "entity_type": _text,
    "float": _decimal,
    "image": _image,
    "list": _choice,
    "multi_entity": _entities,
    "number": _whole,
    "password": _text,
    "percent": _whole,
    "serializable": lambda _field, value: value,
    "status_list": _choice,
    "tag_list": _tags,
    "text": _text,
    "timecode": _whole,
    "url": _url,
    "uuid": _text,
}
