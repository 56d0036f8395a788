"""Which callbacks want an event. Pure; one dict look-up per event, whatever the number of callbacks that don't want its type."""

from __future__ import annotations

from collections.abc import Iterable

from callsheet.model import EVERY_TYPE, AttributeRule, Callback, Event, NewDelivery, Rule
from callsheet.policy import lanes


class Routes:
    """Callbacks indexed by event type. Callbacks keep the order in which they are given."""

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        self._callbacks = tuple(callbacks)
        self._wanted: dict[str, list[tuple[Callback, AttributeRule]]] = {}
        self._every: list[tuple[Callback, AttributeRule]] = []
        types = {name for callback in self._callbacks for name in callback.filter if EVERY_TYPE not in callback.filter}
        for callback in self._callbacks:
            rule = callback.filter.get(EVERY_TYPE)
            if rule is not None:
                self._every.append((callback, rule))
            for name in types:
                wanted = rule or callback.filter.get(name)
                if wanted is not None:
                    self._wanted.setdefault(name, []).append((callback, wanted))

    def route(self, event: Event) -> list[NewDelivery]:
        """The deliveries that this event makes, in the callbacks' order."""
        candidates = self._wanted.get(event.type, self._every)
        if not candidates:
            return []
        attribute = event.data.get("attribute_name")
        return [
            NewDelivery(callback.key, callback.ordinal, event, lanes.key(callback.lane, event, callback.key.name))
            for callback, rule in candidates
            if admits(rule, attribute)
        ]


def admits(rule: AttributeRule, attribute: str | None) -> bool:
    """Whether an event with that ``attribute_name`` passes. ASK passes here: the worker decides."""
    if rule.rule is Rule.ANY or rule.rule is Rule.ASK:
        return True
    if not attribute:
        return False
    return attribute in rule.values if rule.rule is Rule.AMONG else attribute in rule.text
