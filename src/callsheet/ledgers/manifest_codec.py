"""Callbacks as JSON text, for ledgers to keep.

Reading is tolerant both ways: what an older version did not write takes its default, what a newer one wrote besides is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any

from callsheet.domain.callback import AttributeRule, Callback, CallbackKey, Links, PluginKey, RetryPolicy, Rule

_POLICY = frozenset(field.name for field in fields(RetryPolicy))
_PLAIN = frozenset({"lane", "on_dead", "timeout", "slots", "where", "toolkit", "legacy", "ignore_own", "script", "batch", "settle"})


def encode(callbacks: Sequence[Callback]) -> str:
    """A JSON list with an object per callback. The plugin is not in it: whoever keeps the text knows whose it is."""
    return json.dumps([_to_json(callback) for callback in callbacks], separators=(",", ":"), sort_keys=True)


@lru_cache(maxsize=1024)
def decode(plugin: PluginKey, text: str) -> tuple[Callback, ...]:
    """The callbacks of ``plugin`` that ``encode`` wrote. Cached, since the manifests of a studio hardly change."""
    return tuple(_from_json(plugin, item) for item in json.loads(text))


def _to_json(callback: Callback) -> dict[str, Any]:
    item = {name: getattr(callback, name) for name in _PLAIN}
    rules = {
        event_type: {"rule": rule.rule.value, "values": sorted(rule.values), "text": rule.text}
        for event_type, rule in callback.filter.items()
    }
    return item | {
        "name": callback.key.name,
        "ordinal": callback.ordinal,
        "filter": rules,
        "retry": asdict(callback.retry),
        "fields": list(callback.fields),
        "only": {what: links.plain() for what, links in callback.only.items()},
    }


def _from_json(plugin: PluginKey, item: Mapping[str, Any]) -> Callback:
    rules = {
        event_type: AttributeRule(Rule(rule["rule"]), frozenset(rule.get("values", ())), rule.get("text", ""))
        for event_type, rule in item["filter"].items()
    }
    return Callback(
        key=CallbackKey(plugin, item["name"]),
        ordinal=item["ordinal"],
        filter=rules,
        retry=RetryPolicy(**{name: value for name, value in item.get("retry", {}).items() if name in _POLICY}),
        fields=tuple(item.get("fields", ())),
        only={what: Links.of(links) for what, links in item.get("only", {}).items()},
        **{name: value for name, value in item.items() if name in _PLAIN},
    )
