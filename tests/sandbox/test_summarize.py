"""Summaries and their groups."""

from __future__ import annotations

from typing import Any

import pytest
from shotgun_api3.shotgun import Fault

LIGHTHOUSE = {"type": "Project", "id": 97}


def test_entities_are_counted(sg: Any) -> None:
    answer = sg.summarize("Shot", [["project", "is", LIGHTHOUSE]], [{"field": "id", "type": "count"}])

    assert answer == {"groups": [], "summaries": {"id": 16}}


@pytest.mark.parametrize(
    ("kind", "field", "expected"),
    [
        ("record_count", "sg_cut_in", 4),
        ("count", "sg_cut_in", 3),
        ("sum", "sg_cut_in", 60),
        ("average", "sg_cut_in", 20),
        ("minimum", "sg_cut_in", 10),
        ("maximum", "sg_cut_in", 30),
        ("count", "sg_finaled_on", 2),
        ("earliest", "sg_finaled_on", "2026-01-02"),
        ("latest", "sg_finaled_on", "2026-03-04"),
        ("status_list", "sg_status_list", "ip"),
        ("status_percentage", "sg_status_list", 25),
    ],
)
def test_each_kind_of_summary(sg: Any, kind: str, field: str, expected: Any) -> None:
    # Given the four shots of the ferry
    values = {117: (10, "2026-01-02", "fin"), 118: (20, None, "ip"), 119: (30, "2026-03-04", "ip"), 120: (None, None, "wtg")}
    for number, (cut_in, finaled, status) in values.items():
        sg.update("Shot", number, {"sg_cut_in": cut_in, "sg_finaled_on": finaled, "sg_status_list": status})
    # When
    answer = sg.summarize("Shot", [["project", "is", {"type": "Project", "id": 98}]], [{"field": field, "type": kind}])
    # Then
    assert answer["summaries"][field] == expected


def test_groups_nest_and_are_sorted(sg: Any) -> None:
    grouping = [
        {"field": "project", "type": "exact", "direction": "desc"},
        {"field": "sg_sequence", "type": "exact", "direction": "asc"},
    ]

    answer = sg.summarize("Shot", [], [{"field": "id", "type": "count"}], grouping=grouping)

    tree = [
        (one["group_name"], [(inner["group_name"], inner["summaries"]["id"]) for inner in one["groups"]])
        for one in answer["groups"]
    ]
    assert tree == [("Night Ferry", [("FER", 4)]), ("Lighthouse", [("FOG", 6), ("LIT", 10)])]
    assert answer["groups"][0]["group_value"] == {"type": "Project", "id": 98, "name": "Night Ferry"}
    assert answer["summaries"] == {"id": 20}


@pytest.mark.parametrize(
    ("kind", "names"),
    [("hundreds", ["1100-1199", "1200-1299"]), ("tens", ["1100-1109", "1200-1209"]), ("exact", ["1101", "1201"])],
)
def test_numbers_are_grouped_by_size(sg: Any, kind: str, names: list[str]) -> None:
    filters = [["sg_sequence.Sequence.code", "is", "FOG"], ["sg_cut_order", "less_than", 3]]

    answer = sg.summarize("Shot", filters, [{"field": "id", "type": "count"}], grouping=[{"field": "sg_cut_in", "type": kind}])

    assert [one["group_name"] for one in answer["groups"]] == names


@pytest.mark.parametrize(
    ("kind", "name"),
    [("day", "2026-05-13"), ("week", "2026-05-11"), ("month", "2026-05"), ("quarter", "2026-Q2"), ("year", "2026")],
)
def test_dates_are_grouped_by_period(sg: Any, kind: str, name: str) -> None:
    sg.update("Task", 301, {"due_date": "2026-05-13"})

    answer = sg.summarize(
        "Task", [["id", "is", 301]], [{"field": "id", "type": "count"}], grouping=[{"field": "due_date", "type": kind}]
    )

    assert [one["group_name"] for one in answer["groups"]] == [name]


def test_entities_are_grouped_by_type_and_letter(sg: Any) -> None:
    count = [{"field": "id", "type": "count"}]

    types = sg.summarize("Task", [["entity", "is_not", None]], count, grouping=[{"field": "entity", "type": "entitytype"}])
    letters = sg.summarize("Asset", [], count, grouping=[{"field": "code", "type": "firstletter"}])

    assert [(one["group_name"], one["summaries"]["id"]) for one in types["groups"]] == [("Asset", 18), ("Shot", 60)]
    assert [one["group_name"] for one in letters["groups"]] == ["G", "K", "L", "N", "R"]


def test_unknown_summaries_are_a_fault(sg: Any) -> None:
    with pytest.raises(Fault, match="type must be one of: record_count"):
        sg.summarize("Shot", [], [{"field": "id", "type": "median"}])
