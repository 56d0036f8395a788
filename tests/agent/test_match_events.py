"""matchEvents as a filter, held against what shotgunEvents decides: its rule is written out here once more, as the yardstick."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from callsheet.agent.match_events import filter_of, wanted

names = some.sampled_from(["sg_status_list", "status", "code", "*", "", "s", None])
types = some.sampled_from(["Shotgun_Task_Change", "Shotgun_Task_New", "*"])
containers = some.one_of(
    some.none(),
    some.sampled_from(["sg_status_list", "code", "", "*", "a*b"]),
    some.lists(names),
    some.lists(names).map(tuple),
    some.sets(names),
    some.frozensets(names),
    some.dictionaries(names, some.none()),
)


def by_the_reference(match_events: Any, event_type: str, attribute: str | None) -> bool:
    if not match_events:
        return True
    which = "*" if "*" in match_events else event_type
    if which not in match_events:
        return False
    attributes = match_events[which]
    if attributes is None or "*" in attributes:
        return True
    return bool(attribute and attribute in attributes)


def by_the_filter(match_events: Any, event_type: str, attribute: str | None) -> bool:
    """What routing does with a filter."""
    rules = filter_of(match_events)
    rule = rules.get("*") or rules.get(event_type)
    if rule is None:
        return False
    if rule["rule"] == "among":
        return attribute in rule["values"] and bool(attribute)
    if rule["rule"] == "within":
        return bool(attribute) and attribute in rule["text"]
    assert rule["rule"] == "any"
    return True


@given(some.dictionaries(types, containers), types.filter(lambda one: one != "*"), names)
def test_a_filter_decides_as_the_reference(match_events: Any, event_type: str, attribute: str | None) -> None:
    expected = by_the_reference(match_events, event_type, attribute)

    assert by_the_filter(match_events, event_type, attribute) == expected


class Prefix:
    """A container of its own kind: everything that begins with "sg_"."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.startswith("sg_")


class Nothing(list[str]):
    """A subclass may answer as it likes."""

    def __contains__(self, name: object) -> bool:
        return False


@pytest.mark.parametrize("container", [Prefix(), Nothing(["sg_status_list"]), range(3), [Prefix()]])
def test_other_containers_are_asked_each_time(container: Any) -> None:
    match_events = {"Shotgun_Task_Change": container}

    assert filter_of(match_events) == {"Shotgun_Task_Change": {"rule": "ask"}}
    event = {"event_type": "Shotgun_Task_Change", "attribute_name": "sg_status_list"}
    assert wanted(match_events, event) == by_the_reference(match_events, "Shotgun_Task_Change", "sg_status_list")


@pytest.mark.parametrize(
    ("match_events", "what"),
    [
        (["Shotgun_Task_Change"], "matchEvents can't be ['Shotgun_Task_Change']. It is a dict such as"),
        ("Shotgun_Task_Change", "matchEvents can't be 'Shotgun_Task_Change'. It is a dict such as"),
        ({"Shotgun_Task_Change": 5}, "matchEvents['Shotgun_Task_Change'] can't be 5: "),
        ({"Shotgun_Task_Change": True}, "Give a list of attribute names, or None."),
        ({"*": b"code"}, "matchEvents['*'] can't be b'code': "),
    ],
)
def test_what_can_be_no_filter_says_what_to_write(match_events: Any, what: str) -> None:
    with pytest.raises(TypeError) as raised:
        filter_of(match_events)

    assert what in str(raised.value)
