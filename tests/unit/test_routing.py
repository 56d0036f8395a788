"""Routing: which callbacks want an event."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.domain.callback import AttributeRule, Callback, CallbackKey, Links, PluginKey, Rule
from callsheet.domain.event import Event
from callsheet.policy.routing import Routes, admits, means, refusal
from callsheet.wire.causality import Signature
from tests.support.events import ENTITIES, SITE, callback, event


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


TASK_14 = Links(exact=frozenset({("Task", 14)}))


@pytest.mark.parametrize(
    ("what", "links", "expected"),
    [
        ("project", Links(ids=frozenset({65})), True),
        ("project", Links(ids=frozenset({66})), False),
        ("project", Links(names=frozenset({"Other", "Demo"})), True),
        ("project", Links(names=frozenset({"demo"})), False),
        ("project", Links(), False),
        ("user", Links(exact=frozenset({("HumanUser", 24)})), True),
        ("user", Links(exact=frozenset({("ApiUser", 24)})), False),
        ("entity", TASK_14, True),
        ("entity", Links(types=frozenset({"Task"})), True),
        ("entity", Links(types=frozenset({"Shot"}), ids=frozenset({15})), False),
        ("entity", Links(ids=frozenset({14})), True),
    ],
)
def test_links_decide_before_anything_is_recorded(what: str, links: Links, expected: bool) -> None:
    assert means({what: links}, event(1)) is expected
    assert len(Routes([callback(only={what: links})]).route(event(1))) == int(expected)


def test_all_that_is_named_must_fit() -> None:
    fits, other = Links(ids=frozenset({65})), Links(names=frozenset({"Nobody"}))
    assert means({"project": fits}, event(1))
    assert not means({"project": fits, "user": other}, event(1))


@pytest.mark.parametrize(("what", "data", "expected"), ENTITIES, ids=[one[0] for one in ENTITIES])
def test_an_event_is_about_the_entity_that_owns_the_change(
    what: str, data: dict[str, Any], expected: tuple[str, int | None] | None
) -> None:
    found = event(1, **data)
    assert found.entity == expected
    kind, number = expected or (None, None)
    for other in ("Task", "Shot", kind or "Asset"):
        assert means({"entity": Links(types=frozenset({other}))}, found) is (other == kind)
    for link in (("Task", 9), ("Task", 14), ("Shot", 3), ("Shot", 9)):
        assert means({"entity": Links(exact=frozenset({link}))}, found) is (link == (kind, number))
        assert means({"entity": Links(ids=frozenset({link[1]}))}, found) is (link[1] == number)


@pytest.mark.parametrize("what", ["project", "user", "entity"])
def test_what_an_event_lacks_is_none_of_those_wanted(what: str) -> None:
    bare = event(1, project=None, user=None, entity=None, meta=None)
    assert not means({what: Links(ids=frozenset({65, 24, 14}), types=frozenset({"Task"}))}, bare)


def script(name: str) -> dict[str, Any]:
    """The link of a script user, as a site names it."""
    return {"type": "ApiUser", "id": 9, "name": f"{name} 1.0"}


def test_a_script_user_is_known_by_the_name_of_its_script() -> None:
    wanted = {"user": Links(names=frozenset({"daemon"}))}
    assert means(wanted, event(1, user=script("daemon")))
    assert not means(wanted, event(1, user=script("daemon of others")))
    assert not means(wanted, event(1, user={"type": "HumanUser", "id": 3, "name": "daemon 1.0"}))


def written_by(plugin: str, script_name: str = "daemon", *, site: str = SITE) -> Event:
    """An event that a callback of that plugin caused."""
    return event(1, session_uuid=Signature(site, plugin).mark(), user=script(script_name))


@pytest.mark.parametrize(
    ("cause", "own", "by_script"),
    [
        (event(1), False, False),
        (event(1, user=script("daemon")), False, True),
        (event(1, user=script("other")), False, False),
        (event(1, user=script("second script")), False, False),
        (event(1, user=script("daemon of others")), False, False),
        (event(1, user={"type": "ApiUser", "id": 9, "name": "daemon"}), False, True),
        (event(1, user={"type": "HumanUser", "id": 9, "name": "daemon"}), False, False),
        (event(1, session_uuid="b3c0ffee-0000-4000-8000-000000000000", user=script("daemon")), False, True),
        (event(1, meta={"sudo_actual_user": script("daemon")}), False, True),
        (event(1, meta={"sudo_actual_user": script("other")}), False, False),
        (written_by("plugin"), True, True),
        (written_by("plugin", "second script"), True, True),
        (written_by("plugin", "daemon of a version"), True, True),
        (written_by("plugin", "some legacy plugin that handed the mark on"), False, False),
        (written_by("another plugin"), False, False),
        (written_by("plugin", site="another site"), False, False),
    ],
)
def test_what_a_plugin_caused_itself_is_not_for_it_and_is_counted(cause: Event, own: bool, by_script: bool) -> None:
    other = callback("other", "Never", script="second script")
    for wanted, left_out in ((True, own), ("script", by_script), (False, False)):
        count: Counter[str] = Counter()
        found = Routes([callback(ignore_own=wanted, script="daemon"), other]).route(cause, count)
        assert [one.callback.name for one in found] == ([] if left_out else ["react"])
        assert count == ({"plugin": 1} if left_out else {})


MARKED = {"session_uuid": Signature(SITE, "plugin").mark(), "user": {"type": "ApiUser", "id": 1, "name": "daemon 1.0"}}
BY_SCRIPT = {"user": {"type": "ApiUser", "id": 1, "name": "daemon 1.0"}}


@pytest.mark.parametrize("data", [{}, {"attribute_name": None}, {"project": None}, {"entity": None, "meta": {}}, MARKED, BY_SCRIPT])
@pytest.mark.parametrize("event_type", ["Shotgun_Task_Change", "Shotgun_Shot_New"])
@pytest.mark.parametrize("ignore_own", [False, True, "script"])
@pytest.mark.parametrize(
    "only",
    [
        {},
        {"project": Links(names=frozenset({"Demo"}))},
        {"user": Links(ids=frozenset({24}))},
        {"entity": Links(ids=frozenset({14}))},
    ],
)
@pytest.mark.parametrize("attributes", [None, ("sg_status_list",), ("code",)])
@pytest.mark.parametrize("types", [(), ("Shotgun_Task_Change",)])
def test_a_refusal_is_given_exactly_where_there_is_no_delivery(
    *,
    data: dict[str, Any],
    event_type: str,
    ignore_own: Any,
    only: dict[str, Links],
    attributes: tuple[str, ...] | None,
    types: tuple[str, ...],
) -> None:
    asking = callback("react", *types, attributes=attributes, only=only, ignore_own=ignore_own, script="daemon")
    happened = event(1, event_type, **data)
    assert (refusal(asking, happened, {"daemon"}) is None) == bool(Routes([asking]).route(happened))
