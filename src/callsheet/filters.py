"""What a callback wants, as values: event types and attributes, and which links. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

EVERY_TYPE = "*"
"""The key of a Filter that stands for every event type; where it is present, no other key counts."""


class Rule(StrEnum):
    """How a filter decides on ``attribute_name``."""

    ANY = "any"  # whatever it is, also none
    AMONG = "among"  # one of `values`
    WITHIN = "within"  # a substring of `text`: what a string as matchEvents value means in shotgunEvents
    ASK = "ask"  # only the plugin's own object can tell: the worker asks it just before the call


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """Which attribute names one event type is wanted with."""

    rule: Rule
    values: frozenset[str] = frozenset()
    text: str = ""


Filter = Mapping[str, AttributeRule]
"""Event type (or EVERY_TYPE) → rule. An empty Filter wants nothing."""


@dataclass(frozen=True, slots=True)
class Links:
    """Which links are meant: those of one of these ids, names or types, or of exactly such a type and id."""

    ids: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    exact: frozenset[tuple[str, int]] = frozenset()

    def have(self, kind: str | None, number: int | None, name: str | None = None) -> bool:
        """Whether the link of that type, id and name is one of those meant."""
        return number in self.ids or name in self.names or kind in self.types or (kind, number) in self.exact

    def plain(self) -> dict[str, Any]:
        """The same as lists, sorted."""
        return {
            "ids": sorted(self.ids),
            "names": sorted(self.names),
            "types": sorted(self.types),
            "exact": sorted(map(list, self.exact)),
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Links:
        """What ``plain`` gave; a list that is missing is empty. Raises TypeError and ValueError for what can't be read."""
        return cls(
            frozenset(plain.get("ids", ())),
            frozenset(plain.get("names", ())),
            frozenset(plain.get("types", ())),
            frozenset((kind, number) for kind, number in plain.get("exact", ())),
        )
