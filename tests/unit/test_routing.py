"""Routing: which callbacks want an event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.model import AttributeRule, Callback, CallbackKey, PluginKey, Rule
from callsheet.policy.routing import Routes, admits
from tests.support.events import SITE, callback, event


def names(routes: Routes, event_type: str, attribute: str | None = "sg_status_list") -> list[str]:
    return [one.callback.name for one in routes.route(event(1, event_type, attribute_name=attribute))]


def test_only_those_that_asked_for_the_type_get_it_in_their_order() -> None:
    routes = Routes([callback("a", "Shotgun_Task_Change"), callback("b", "Shotgun_Shot_New"), callback("c")])
    assert names(routes, "Shotgun_Task_Change") == ["a", "c"]
    assert names(routes, "Shotgun_Shot_New") == ["b", "c"]
    assert names(routes, "Shotgun_Asset_New") == ["c"]


def test_types_are_exact_and_case_sensitive() -> None:
    routes = Routes([callback("a", "Shotgun_Task_Change")])
    assert names(routes, "Shotgun_task_change") == names(routes, "Shotgun_Task_Chang") == []


def test_a_star_key_makes_all_others_count_for_nothing() -> None:
    key = CallbackKey(PluginKey(SITE, "p"), "a")
    star = {"*": AttributeRule(Rule.AMONG, frozenset({"code"})), "Shotgun_Task_Change": AttributeRule(Rule.ANY)}
    routes = Routes([Callback(key, 0, star)])
    assert names(routes, "Shotgun_Task_Change", "sg_status_list") == []
    assert names(routes, "Shotgun_Task_Change", "code") == ["a"]


@pytest.mark.parametrize(
    ("rule", "attribute", "expected"),
    [
        (AttributeRule(Rule.ANY), None, True),
        (AttributeRule(Rule.AMONG, frozenset({"code"})), "code", True),
        (AttributeRule(Rule.AMONG, frozenset({"code"})), "cod", False),
        (AttributeRule(Rule.AMONG, frozenset()), "code", False),
        (AttributeRule(Rule.AMONG, frozenset({""})), "", False),
        (AttributeRule(Rule.WITHIN, text="sg_status_list"), "status", True),
        (AttributeRule(Rule.WITHIN, text="sg_status_list"), None, False),
        (AttributeRule(Rule.WITHIN, text="sg_status_list"), "code", False),
        (AttributeRule(Rule.ASK), None, True),
    ],
)
def test_rules_on_the_attribute(rule: AttributeRule, attribute: str | None, expected: bool) -> None:
    assert admits(rule, attribute) is expected


@given(
    st.lists(st.tuples(st.sets(st.sampled_from("ABCD")), st.sampled_from([None, ("x",), ("x", "y")])), max_size=8),
    st.sampled_from("ABCDE"),
    st.sampled_from([None, "x", "y"]),
)
def test_the_index_agrees_with_asking_each_callback(
    wants: list[tuple[set[str], tuple[str, ...] | None]], event_type: str, attribute: str | None
) -> None:
    callbacks = [callback(f"c{number}", *sorted(types), attributes=only) for number, (types, only) in enumerate(wants)]
    expected = [
        one.key.name
        for one in callbacks
        if (rule := one.filter.get("*") or one.filter.get(event_type)) is not None and admits(rule, attribute)
    ]
    assert names(Routes(callbacks), event_type, attribute) == expected
