"""What a callback asks for that its site does not have: event types, attributes, fields, entity types, projects. Pure.

A misspelt name is no error to Python: the callback is registered, and never called.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from callsheet.domain.callback import EVERY_TYPE, AttributeRule, Callback, Rule

CHANGES = ("New", "Change", "Retirement", "Revival")
_TYPE = re.compile(r"Shotgun_(\w+)_([A-Za-z]+)").fullmatch


@dataclass(frozen=True, slots=True)
class Schema:
    """What a site has. ``fields``: entity type → the names of its fields. ``projects``: their names."""

    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    projects: frozenset[str] = frozenset()


def doubts(callback: Callback, schema: Schema) -> list[str]:
    """A sentence for each name that the site does not have, with the one that was probably meant."""
    found: list[str] = []
    for event_type, rule in callback.filter.items():
        if event_type == EVERY_TYPE:
            continue
        entity, doubt = _entity_of(event_type, schema)
        if doubt:
            found.append(doubt)
        if entity is not None:
            found += _attributes(rule, entity, schema)
            found += _fields(callback.fields, entity, schema)
    found += _only(callback, schema)
    return list(dict.fromkeys(found))


def entities(callbacks: Iterable[Callback]) -> frozenset[str]:
    """The entity types that event types and paths of these callbacks name, whether they exist or not."""
    found = set()
    for callback in callbacks:
        found |= {named[1] for event_type in callback.filter if (named := _TYPE(event_type))}
        found |= {step for path in callback.fields for step in path.split(".")[1::2]}
    return frozenset(found)


def _entity_of(event_type: str, schema: Schema) -> tuple[str | None, str]:
    """The entity type of an event type, where the site has it; and what is wrong with the event type."""
    if not event_type.strip():
        return None, 'it asks for the event type "", and no event has that; name one, such as "Shotgun_Task_Change"'
    if "*" in event_type:
        return None, f'it asks for the event type "{event_type}", which is no pattern; name each type, or "*" alone for all'
    known = [f"Shotgun_{entity}_{change}" for entity in schema.fields for change in CHANGES]
    named = _TYPE(event_type)
    if named is not None and named[1] in schema.fields and named[2] in CHANGES:
        return named[1], ""
    meant = _meant(event_type, known, cutoff=0.85)
    if meant or (named is not None and named[2] in CHANGES):
        return None, f'the site has no events of type "{event_type}"{meant}'
    return None, ""  # such as Shotgun_User_Login, or a studio's own


def _attributes(rule: AttributeRule, entity: str, schema: Schema) -> Iterator[str]:
    fields = schema.fields[entity]
    if rule.rule is Rule.AMONG:
        for name in sorted(rule.values - fields):
            yield f'{entity} has no field "{name}", which attribute names{_meant(name, fields)}'
    elif rule.rule is Rule.WITHIN and not any(name in rule.text for name in fields):
        yield f'{entity} has no field whose name stands in "{rule.text}"{_meant(rule.text, fields)}'


def _fields(paths: Iterable[str], entity: str, schema: Schema) -> Iterator[str]:
    """``entity.Shot.code``: a field, and then in turn the type that it links to and a field of that."""
    for path in paths:
        steps = path.split(".")
        for kind, name in zip([entity, *steps[1::2]], steps[::2], strict=False):
            if kind not in schema.fields:
                yield f'there is no entity type "{kind}", which fields names{_meant(kind, schema.fields)}'
            elif name not in schema.fields[kind] and name not in {"id", "type"}:
                yield f'{kind} has no field "{name}", which fields names{_meant(name, schema.fields[kind])}'


def _only(callback: Callback, schema: Schema) -> Iterator[str]:
    for what, links in callback.only.items():
        kinds = links.types | {kind for kind, _ in links.exact}
        for kind in sorted(kinds - schema.fields.keys()):
            yield f'there is no entity type "{kind}", which {what} names{_meant(kind, schema.fields)}'
        if what == "project":
            for name in sorted(links.names - schema.projects):
                yield f'there is no project "{name}"{_meant(name, schema.projects)}'


def _meant(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f'; did you mean "{close[0]}"?' if close else ""
