"""A plugin's and a callback's identity, and what a callback wants and how it is run, as its plugin declared it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple

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
        """Whether the link of that type, id and name is one of those meant. What is none of these is not meant."""
        try:
            return number in self.ids or name in self.names or kind in self.types or (kind, number) in self.exact
        except TypeError:  # a list, an object
            return False

    def plain(self) -> dict[str, Any]:
        """The same as lists, sorted."""
        return {
            "ids": sorted(self.ids),
            "names": sorted(self.names),
            "types": sorted(self.types),
            "exact": sorted(map(list, self.exact)),
        }

    def in_words(self) -> str:
        """``Moth or 14``, ``Shot or Task:14``; ``none`` where none is meant."""
        exact = (f"{kind}:{number}" for kind, number in sorted(self.exact))
        return " or ".join([*map(str, sorted(self.ids)), *sorted(self.names), *sorted(self.types), *exact]) or "none"

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Links:
        """What ``plain`` gave; a list that is missing is empty. Raises TypeError and ValueError for what can't be read."""
        return cls(
            frozenset(plain.get("ids", ())),
            frozenset(plain.get("names", ())),
            frozenset(plain.get("types", ())),
            frozenset((kind, number) for kind, number in plain.get("exact", ())),
        )


GLOBAL = "global"
"""The lane of legacy callbacks where the site's order is global: the lanes of that key, one per plugin, take turns by event and
then by the plugins' order, as if they were one."""


SETTLING = "settle:"
"""How the keys of lanes begin in which a burst of events is folded into the last one."""


class PluginKey(NamedTuple):
    """A plugin's identity, the same after a restart."""

    site: str
    name: str

    def __str__(self) -> str:
        return f"{self.site}/{self.name}"


class CallbackKey(NamedTuple):
    """A callback's identity: ``name`` is the function's (an instance's class), plus ``#2``, ``#3``… among equals."""

    plugin: PluginKey
    name: str

    def __str__(self) -> str:
        return f"{self.plugin.name}.{self.name}"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed delivery is tried again.

    ``attempts`` counts all tries, the first included. The n-th wait is ``min(first * factor ** (n - 1), longest)`` seconds,
    spread by ``jitter`` (0.2: 20 % either way). No further try once it is older than ``max_age`` seconds (None: no limit).
    ``crashes``: how many times a delivery may take its worker down before that counts as its failure for good.
    """

    attempts: int = 5
    first: float = 1.0
    factor: float = 4.0
    longest: float = 900.0
    jitter: float = 0.2
    max_age: float | None = None
    crashes: int = 3


OnDead = Literal["continue", "hold"]
IgnoreOwn = Literal[True, False, "script"]


@dataclass(frozen=True, slots=True)
class Callback:
    """One registered function, as its worker described it."""

    key: CallbackKey
    ordinal: int
    """Place in the plugin's registration order: the order of callbacks of one event within a lane."""
    filter: Filter
    lane: str = "entity"
    """``plugin``, ``project``, ``entity``, ``none``, or a path into the event: ``meta.entity_id`` (several joined by ``,``)."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    on_dead: OnDead = "continue"
    timeout: float | None = None
    slots: int = 1
    fields: tuple[str, ...] = ()
    where: bool = False
    toolkit: bool = False
    legacy: bool = False
    only: Mapping[str, Links] = field(default_factory=dict)
    """``project``, ``user``, ``entity`` → which of these it wants events of; one that is not named may be any."""
    ignore_own: IgnoreOwn = False
    """True: events that its own plugin caused are not for it (policy.loop_protection). "script": nor what its script user wrote."""
    batch: int = 1
    """How many deliveries that follow one another in a lane it is called for at once."""
    settle: float = 0.0
    """Seconds for which a lane must be quiet before it is called, for the last event, which stands for all; 0: it is not so."""
    script: str = ""
    """Name of the script user that it writes as; empty: not known."""
