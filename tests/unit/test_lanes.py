"""Lane keys."""

from __future__ import annotations

from typing import Any

import pytest

from callsheet.policy import lanes
from tests.support.events import ENTITIES, callback, event


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


@pytest.mark.parametrize(("what", "data", "expected"), ENTITIES, ids=[one[0] for one in ENTITIES])
def test_the_lane_is_that_of_the_entity_that_the_event_is_about(
    what: str, data: dict[str, Any], expected: tuple[str, int | None] | None
) -> None:
    kind, number = expected or (None, None)
    assert lanes.key("entity", event(7, **data), "react") == ("entity:none" if number is None else f"{kind}:{number}")


def test_an_event_about_nothing_has_a_lane_too() -> None:
    bare = event(7, meta=None, entity=None, project=None)
    assert lanes.key("entity", bare, "react") == "entity:none"
    assert lanes.key("project", bare, "react") == "project:none"


def test_a_callback_that_folds_bursts_has_lanes_of_its_own() -> None:
    assert lanes.of(callback("react", lane="entity", settle=2.0), event(7)) == "settle:react:Task:14"
    assert lanes.of(callback("react", lane="entity"), event(7)) == "Task:14"
