"""Callbacks as JSON: read by other versions than the one that wrote them."""

from __future__ import annotations

import json

from callsheet.domain.callback import AttributeRule, Links, PluginKey, RetryPolicy, Rule
from callsheet.ledgers import manifest_codec
from tests.support.events import callback

KEY = PluginKey("studio", "plugin")


def test_what_a_newer_version_adds_is_ignored() -> None:
    (item,) = json.loads(manifest_codec.encode([callback("react", "Shotgun_Task_Change")]))
    item |= {"priority": 7}
    item["retry"] |= {"patience": 9}
    (read,) = manifest_codec.decode(KEY, json.dumps([item]))
    assert read == callback("react", "Shotgun_Task_Change")


def test_what_an_older_version_lacks_takes_its_default() -> None:
    text = json.dumps([{"name": "react", "ordinal": 0, "filter": {"*": {"rule": "any"}}}])
    (read,) = manifest_codec.decode(KEY, text)
    assert (read.lane, read.retry, read.slots) == ("entity", RetryPolicy(), 1)
    assert read.filter == {"*": AttributeRule(Rule.ANY)}


def test_the_same_callbacks_are_the_same_text() -> None:
    one = callback("react", attributes=("b", "a", "c"))
    other = callback("react", attributes=("c", "b", "a"))
    assert manifest_codec.encode([one]) == manifest_codec.encode([other])


def test_filters_come_back_as_they_were() -> None:
    only = {"entity": Links(frozenset({5}), types=frozenset({"Shot"}), exact=frozenset({("Task", 14)})), "user": Links()}
    one = callback("react", only=only, ignore_own="script", script="daemon", fields=("code",))
    assert manifest_codec.decode(KEY, manifest_codec.encode([one])) == (one,)
