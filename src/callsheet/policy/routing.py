"""Which callbacks want an event. Pure; one dict look-up per event, whatever the number of callbacks that don't want its type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from callsheet.domain.callback import EVERY_TYPE, AttributeRule, Callback, Links, PluginKey, Rule
from callsheet.domain.delivery import NewDelivery
from callsheet.domain.event import Event
from callsheet.policy import lanes, loop_protection
from callsheet.wire.event_facts import without_version


class Routes:
    """Callbacks indexed by event type. Callbacks keep the order in which they are given."""

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        """``callbacks``: all of each plugin that is among theirs."""
        self._callbacks = tuple(callbacks)
        self._wanted: dict[str, list[tuple[Callback, AttributeRule]]] = {}
        self._every: list[tuple[Callback, AttributeRule]] = []
        self._signs: dict[PluginKey, str] = {}
        self._scripts: dict[PluginKey, set[str]] = {}
        types = {name for callback in self._callbacks for name in callback.filter if EVERY_TYPE not in callback.filter}
        for callback in self._callbacks:
            plugin = callback.key.plugin
            self._signs[plugin] = self._signs.get(plugin) or loop_protection.sign(plugin)
            self._scripts.setdefault(plugin, set()).add(callback.script)
            rule = callback.filter.get(EVERY_TYPE)
            if rule is not None:
                self._every.append((callback, rule))
            for name in types:
                wanted = rule or callback.filter.get(name)
                if wanted is not None:
                    self._wanted.setdefault(name, []).append((callback, wanted))

    @property
    def types(self) -> frozenset[str] | None:
        """The event types that any of them wants; None where one wants all."""
        return None if self._every else frozenset(self._wanted)

    def route(self, event: Event, own: Counter[str] | None = None) -> list[NewDelivery]:
        """The deliveries that this event makes, in the callbacks' order.

        ``own`` counts, by the plugin's name, those that it does not make since the plugin caused it.
        """
        candidates = self._wanted.get(event.type, self._every)
        if not candidates:
            return []
        attribute = event.data.get("attribute_name")
        made: loop_protection.Origin | None = None
        found: list[NewDelivery] = []
        for callback, rule in candidates:
            if not admits(rule, attribute) or (callback.only and not means(callback.only, event)):
                continue
            if callback.ignore_own:
                made = made or loop_protection.origin(event)
                if (made.script or made.mark) and self._is_own(made, callback):
                    if own is not None:
                        own[callback.key.plugin.name] += 1
                    continue
            found.append(NewDelivery(callback.key, callback.ordinal, event, lanes.of(callback, event), callback.settle))
        return found

    def _is_own(self, made: loop_protection.Origin, callback: Callback) -> bool:
        plugin = callback.key.plugin
        if callback.ignore_own == "script" and loop_protection.is_by(made, callback.script):
            return True
        return loop_protection.is_own(made, self._signs[plugin], self._scripts[plugin])


class Refusal(NamedTuple):
    """Why a callback does not want an event. ``part``: the part of its filter that says no: "type", "attribute", "project", "user",
    "entity", or "own" and "script" (ignore_own). ``asked``, ``found``: what it asks for, and what the event has, in few words.
    """

    part: str
    asked: str
    found: str


def refusal(callback: Callback, event: Event, scripts: Iterable[str]) -> Refusal | None:
    """Why the callback does not want the event; None if it does, as far as can be told without its plugin.

    ``scripts``: the script users of all callbacks of its plugin. Answers as ``Routes.route`` decides.
    """
    rule = callback.filter.get(EVERY_TYPE) or callback.filter.get(event.type)
    if rule is None:
        return Refusal("type", " or ".join(sorted(callback.filter)) or "nothing", event.type)
    attribute = event.data.get("attribute_name")
    if not admits(rule, attribute):
        asked = " or ".join(sorted(rule.values)) if rule.rule is Rule.AMONG else f"an attribute within {rule.text!r}"
        return Refusal("attribute", asked or "no attribute", str(attribute) if attribute else "none")
    for what, links in callback.only.items():
        if not means({what: links}, event):
            return Refusal(what, links.in_words(), _linked(what, event))
    made = loop_protection.origin(event)
    if callback.ignore_own and loop_protection.is_own(made, loop_protection.sign(callback.key.plugin), scripts):
        return Refusal("own", "events that it did not cause itself", "its own write")
    if callback.ignore_own == "script" and loop_protection.is_by(made, callback.script):
        return Refusal("script", f"events not caused by script {callback.script}", str(made.script))
    return None


def _linked(what: str, event: Event) -> str:
    """The project, user or entity of the event, in few words."""
    if what == "entity":
        found = event.entity
        return "none" if found is None else found[0] if found[1] is None else f"{found[0]}:{found[1]}"
    link = event.data.get(what)
    return str(link.get("name") or link.get("id")) if isinstance(link, Mapping) else "none"


def admits(rule: AttributeRule, attribute: str | None) -> bool:
    """Whether an event with that ``attribute_name`` passes. ASK passes here: the worker decides."""
    if rule.rule is Rule.ANY or rule.rule is Rule.ASK:
        return True
    if not attribute or not isinstance(attribute, str):
        return False
    return attribute in rule.values if rule.rule is Rule.AMONG else attribute in rule.text


def means(only: Mapping[str, Links], event: Event) -> bool:
    """Whether the event is of the projects, users and entities that ``only`` names (domain.callback.Callback.only)."""
    for what, links in only.items():
        if what == "entity":
            found = event.entity
            if found is None or not links.have(*found):
                return False
            continue
        link = event.data.get(what)
        if not isinstance(link, Mapping) or not _is_one_of(links, link.get("type"), link.get("id"), link.get("name")):
            return False
    return True


def _is_one_of(links: Links, kind: str | None, number: int | None, name: str | None) -> bool:
    if links.have(kind, number, name):
        return True
    return kind == "ApiUser" and isinstance(name, str) and without_version(name) in links.names
