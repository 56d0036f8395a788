"""Every relation, and random filters against a plain evaluation of what they mean."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsheet.sandbox import Sandbox

NOON = dt.datetime(2026, 3, 18, 12, tzinfo=dt.UTC)  # a Wednesday
LIGHTHOUSE = {"type": "Project", "id": 97}
PEOPLE = [{"type": "HumanUser", "id": number} for number in (11, 12, 13)]
SHOTS = [{"type": "Shot", "id": number} for number in (101, 102)]
ASSET = {"type": "Asset", "id": 201}

TASKS: list[dict[str, Any]] = [
    {"content": "Layout", "duration": 60, "due_date": "2026-03-18", "entity": SHOTS[0], "task_assignees": PEOPLE[:2]},
    {"content": "layout two", "duration": 120, "due_date": "2026-03-17", "entity": SHOTS[1], "task_assignees": PEOPLE[2:]},
    {"content": "Rig", "duration": 0, "due_date": "2026-03-01", "entity": ASSET, "task_assignees": []},
    {"content": "", "duration": 480, "due_date": "2026-12-31", "entity": None, "task_assignees": PEOPLE[1:2]},
    {"content": "Rig test", "duration": None, "due_date": None, "entity": SHOTS[0], "task_assignees": PEOPLE},
    {"content": "Ünder", "duration": 60, "due_date": "2025-03-18", "entity": ASSET, "task_assignees": [PEOPLE[0]]},
]
STATUSES = ["ip", "wtg", "fin", "hld", "fin", "wtg"]


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """The client, and the tasks as it reads them: nothing else is in this site's Task table."""
    with Sandbox(clock=NOON.timestamp) as sandbox:
        sg = sandbox.connect()
        sg.batch([{"request_type": "delete", "entity_type": "Task", "entity_id": one["id"]} for one in sg.find("Task", [])])
        for data, status in zip(TASKS, STATUSES, strict=True):
            given = {name: value for name, value in data.items() if value != ""} | {"sg_status_list": status}
            sg.create("Task", {"project": LIGHTHOUSE, "milestone": data["content"] == "layout two"} | given)
        fields = [*TASKS[0], "sg_status_list", "milestone", "entity.Shot.code", "created_at"]
        yield sg, sg.find("Task", [], fields)


def found(sg: Any, *conditions: Any, operator: str = "all") -> list[str]:
    return [one["content"] for one in sg.find("Task", list(conditions), ["content"], filter_operator=operator)]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (["content", "is", "Rig"], ["Rig"]),
        (["content", "is_not", "Rig"], ["Layout", "layout two", "New Task", "Rig test", "Ünder"]),
        (["content", "contains", "LAYOUT"], ["Layout", "layout two"]),
        (["content", "not_contains", "layout"], ["Rig", "New Task", "Rig test", "Ünder"]),
        (["content", "starts_with", "rig"], ["Rig", "Rig test"]),
        (["content", "ends_with", "T"], ["Layout", "Rig test"]),
        (["content", "in", ["Rig", "Ünder"]], ["Rig", "Ünder"]),
        (["content", "not_in", ["Rig", "Ünder"]], ["Layout", "layout two", "New Task", "Rig test"]),
        (["duration", "is", 0], ["Rig"]),
        (["duration", "is", None], ["Rig test"]),
        (["duration", "is_not", None], ["Layout", "layout two", "Rig", "New Task", "Ünder"]),
        (["duration", "less_than", 60], ["Rig"]),
        (["duration", "greater_than", 60], ["layout two", "New Task"]),
        (["duration", "between", 60, 120], ["Layout", "layout two", "Ünder"]),
        (["duration", "between", [60, None]], ["Layout", "layout two", "New Task", "Ünder"]),
        (["duration", "not_between", 60, 120], ["Rig", "New Task", "Rig test"]),
        (["milestone", "is", True], ["layout two"]),
        (["milestone", "is_not", True], ["Layout", "Rig", "New Task", "Rig test", "Ünder"]),
        (["sg_status_list", "in", ["fin", "hld"]], ["Rig", "New Task", "Rig test"]),
        (["entity", "is", SHOTS[0]], ["Layout", "Rig test"]),
        (["entity", "is_not", SHOTS[0]], ["layout two", "Rig", "New Task", "Ünder"]),
        (["entity", "is", None], ["New Task"]),
        (["entity", "in", [SHOTS[1], ASSET]], ["layout two", "Rig", "Ünder"]),
        (["entity", "type_is", "Asset"], ["Rig", "Ünder"]),
        (["entity", "type_is_not", "Asset"], ["Layout", "layout two", "New Task", "Rig test"]),
        (["entity", "name_contains", "t00"], ["Layout", "layout two", "Rig test"]),
        (["entity", "name_not_contains", "t00"], ["Rig", "New Task", "Ünder"]),
        (["entity", "name_is", "keeper"], ["Rig", "Ünder"]),
        (["entity", "name_starts_with", "kee"], ["Rig", "Ünder"]),
        (["entity", "name_ends_with", "0020"], ["layout two"]),
        (["task_assignees", "is", PEOPLE[1]], ["Layout", "New Task", "Rig test"]),
        (["task_assignees", "is", None], ["Rig"]),
        (["task_assignees", "in", [PEOPLE[0], PEOPLE[2]]], ["Layout", "layout two", "Rig test", "Ünder"]),
        (["task_assignees", "not_in", [PEOPLE[0], PEOPLE[2]]], ["Rig", "New Task"]),
        (["task_assignees", "name_contains", "bela"], ["Layout", "New Task", "Rig test"]),
        (["task_assignees.HumanUser.login", "is", "bkowalski"], ["Layout", "New Task", "Rig test"]),
        (["task_assignees.HumanUser.login", "is_not", "bkowalski"], ["layout two", "Rig", "Ünder"]),
        (["due_date", "is", dt.date(2026, 3, 17)], ["layout two"]),
        (["due_date", "less_than", "2026-03-01"], ["Ünder"]),
        (["due_date", "in_last", 2, "DAY"], ["Layout", "layout two"]),
        (["due_date", "in_last", 1, "MONTH"], ["Layout", "layout two", "Rig"]),
        (["due_date", "not_in_last", 1, "MONTH"], ["New Task", "Rig test", "Ünder"]),
        (["due_date", "in_next", 1, "YEAR"], ["Layout", "New Task"]),
        (["due_date", "not_in_next", 1, "YEAR"], ["layout two", "Rig", "Rig test", "Ünder"]),
        (["due_date", "in_calendar_day", -1], ["layout two"]),
        (["due_date", "in_calendar_week", 0], ["Layout", "layout two"]),
        (["due_date", "in_calendar_month", 0], ["Layout", "layout two", "Rig"]),
        (["due_date", "in_calendar_year", -1], ["Ünder"]),
        (["created_at", "in_last", 1, "HOUR"], ["Layout", "layout two", "Rig", "New Task", "Rig test", "Ünder"]),
        (["created_at", "in_calendar_day", 1], []),
        (["project.Project.name", "is", "Lighthouse"], ["Layout", "layout two", "Rig", "New Task", "Rig test", "Ünder"]),
    ],
    ids=lambda value: "-".join(map(str, value[:2])) if isinstance(value, list) and value and isinstance(value[0], str) else "",
)
def test_a_relation_finds_what_it_says(world: tuple[Any, list[Any]], condition: list[Any], expected: list[str]) -> None:
    # The task created without a name got one from the site, with its id behind it.
    assert [one.rsplit(" ", 1)[0] if one.startswith("New Task") else one for one in found(world[0], condition)] == expected


def test_groups_nest(world: tuple[Any, list[Any]]) -> None:
    rigs_or_long = {"filter_operator": "any", "filters": [["content", "contains", "rig"], ["duration", "greater_than", 100]]}
    inner = {"filter_operator": "all", "filters": [rigs_or_long, ["sg_status_list", "is_not", "hld"]]}

    assert found(world[0], inner, ["entity", "is_not", ASSET]) == ["layout two", "Rig test"]
    assert found(world[0], ["content", "is", "Rig"], ["content", "is", "Layout"], operator="any") == ["Layout", "Rig"]


def names(value: Any) -> list[str]:
    several = value if isinstance(value, list) else [value] if value else []
    return [one["name"].lower() for one in several]


def same(one: Any, other: Any) -> bool:
    return bool(one and other and (one["type"], one["id"]) == (other["type"], other["id"]))


def plainly(row: dict[str, Any], condition: Any) -> bool:
    """What a condition means, spelt out over a row as the client reads it."""
    if isinstance(condition, dict):
        together = all if condition["filter_operator"] == "all" else any
        return together(plainly(row, one) for one in condition["filters"])
    name, relation, *given = condition
    wanted = given[0] if len(given) == 1 and isinstance(given[0], list) else given
    positive = {"is_not": "is", "type_is_not": "type_is"}.get(relation, relation.replace("not_", ""))
    return holds(row[name], positive, wanted) is (positive == relation)


def holds(value: Any, relation: str, wanted: list[Any]) -> bool:  # noqa: PLR0911 - one per relation
    """A relation that is no negation, between what a row has and what is asked for."""
    text = str(wanted[0]).lower()
    match relation:
        case "is" | "in":
            return any(equal(value, one) for one in wanted)
        case "less_than" | "greater_than":
            return value is not None and bool(value < wanted[0] if relation == "less_than" else value > wanted[0])
        case "between":
            return value is not None and bool(wanted[0] <= value <= wanted[1])
        case "contains":
            return value is not None and text in str(value).lower()
        case "starts_with":
            return value is not None and bool(value.lower().startswith(text))
        case "name_contains":
            return any(text in one for one in names(value))
        case "type_is":
            return value is not None and bool(value["type"] == wanted[0])
    raise AssertionError(relation)


def equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, list):
        return any(same(one, wanted) for one in value) if wanted else not value
    return same(value, wanted) if isinstance(wanted, dict) else bool(value == wanted)


texts = st.sampled_from(["Rig", "rig", "Layout", "t", "ü", "zzz"])
numbers = st.sampled_from([0, 60, 61, 120, 480, -5])
dates = st.sampled_from(["2025-03-18", "2026-03-01", "2026-03-18", "2027-01-01"])
statuses = st.sampled_from(["ip", "fin", "hld", "wtg", "nope"])
people, things = st.sampled_from(PEOPLE), st.sampled_from([*SHOTS, ASSET])
orders, choices = st.sampled_from(["less_than", "greater_than", "is", "is_not"]), st.sampled_from(["in", "not_in"])
equals = st.sampled_from(["is", "is_not"])


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=3)


simple = st.one_of(
    st.tuples(st.just("content"), st.sampled_from(["is", "is_not", "contains", "not_contains", "starts_with"]), texts),
    st.tuples(st.just("content"), choices, several(texts)),
    st.tuples(st.just("duration"), orders, numbers),
    st.tuples(st.just("duration"), st.sampled_from(["between", "not_between"]), numbers, numbers),
    st.tuples(st.just("duration"), equals, st.none()),
    st.tuples(st.just("due_date"), orders, dates),
    st.tuples(st.just("milestone"), equals, st.booleans()),
    st.tuples(st.just("sg_status_list"), choices, several(statuses)),
    st.tuples(st.just("entity"), equals, things | st.none()),
    st.tuples(st.just("entity"), choices, several(things)),
    st.tuples(st.just("entity"), st.sampled_from(["type_is", "type_is_not"]), st.sampled_from(["Shot", "Asset", "Step"])),
    st.tuples(st.just("entity"), st.sampled_from(["name_contains", "name_not_contains"]), st.sampled_from(["lit", "KEEP", "0"])),
    st.tuples(st.just("task_assignees"), equals, people | st.none()),
    st.tuples(st.just("task_assignees"), choices, several(people)),
    st.tuples(st.just("entity.Shot.code"), equals, st.sampled_from(["LIT0010", "LIT0020"])),
).map(list)
filters = st.lists(
    st.recursive(
        simple,
        lambda inner: st.builds(
            lambda operator, some: {"filter_operator": operator, "filters": some},
            st.sampled_from(["all", "any"]),
            st.lists(inner, min_size=1, max_size=4),
        ),
        max_leaves=8,
    ),
    max_size=3,
)


@settings(max_examples=300, deadline=None)
@given(filters, st.sampled_from(["all", "any"]))
def test_random_filters_agree_with_a_plain_evaluation(world: tuple[Any, list[Any]], some: list[Any], operator: str) -> None:
    sg, rows = world
    expected = [row["id"] for row in rows if plainly(row, {"filter_operator": operator, "filters": some})]

    assert [one["id"] for one in sg.find("Task", some, filter_operator=operator)] == expected
