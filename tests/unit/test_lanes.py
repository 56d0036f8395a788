"""Lane keys."""

from __future__ import annotations

import json

import pytest

from callsheet.policy import lanes
from tests.support.events import callback, event


@pytest.mark.parametrize(
    ("lane", "expected"),
    [
        ("plugin", "plugin"),
        ("entity", "Task:14"),
        ("project", "project:65"),
        ("none", "event:7:react"),
        ("meta.entity_id", "14"),
        ("user", "HumanUser:24"),
        ("project, attribute_name", "Project:65|sg_status_list"),
        ("meta.no.such", "none"),
    ],
)
def test_the_key_names_what_must_stay_in_order(lane: str, expected: str) -> None:
    assert lanes.key(lane, event(7), "react") == expected


def test_a_retired_entity_keeps_its_lane_though_its_link_is_null() -> None:
    before = lanes.key("entity", event(7), "react")
    after = lanes.key("entity", event(8, "Shotgun_Task_Retirement", entity=None), "react")
    assert before == after


def test_meta_as_json_text_is_understood() -> None:
    assert lanes.key("entity", event(7, meta=json.dumps({"entity_type": "Shot", "entity_id": 3})), "react") == "Shot:3"


@pytest.mark.parametrize("meta", [None, "not json", "[1]", {}])
def test_without_meta_the_link_tells(meta: object) -> None:
    assert lanes.key("entity", event(7, meta=meta), "react") == "Task:14"


def test_an_event_about_nothing_has_a_lane_too() -> None:
    bare = event(7, meta=None, entity=None, project=None)
    assert lanes.key("entity", bare, "react") == "entity:none"
    assert lanes.key("project", bare, "react") == "project:none"


def test_a_callback_that_folds_bursts_has_lanes_of_its_own() -> None:
    assert lanes.of(callback("react", lane="entity", settle=2.0), event(7)) == "settle:react:Task:14"
    assert lanes.of(callback("react", lane="entity"), event(7)) == "Task:14"
