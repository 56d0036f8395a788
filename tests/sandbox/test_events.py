"""The events that a site writes when something changes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from callsheet.sandbox import Sandbox

NOON = dt.datetime(2026, 3, 18, 12, tzinfo=dt.UTC)
LIGHTHOUSE = {"type": "Project", "id": 97}
SHOT = {"type": "Shot", "id": 101}
POLLED = ["id", "event_type", "attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at"]


@pytest.fixture
def new(sandbox: Sandbox) -> Any:
    """The events since the test began."""
    newest = sandbox.events()[-1]["id"]
    return lambda: sandbox.events(newest)


def kinds(events: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(one["event_type"], one["attribute_name"]) for one in events]


def test_a_change_is_one_event_with_the_old_and_the_new_value() -> None:
    # Given
    with Sandbox(clock=NOON.timestamp) as sandbox:
        sg = sandbox.connect()
        sg.set_session_uuid("8c6ff8b2-5f9b-11f0-b1a1-0242ac110002")
        # When
        sg.update("Task", 301, {"sg_status_list": "rev"})
        # Then
        event = sandbox.events(1)[0]
    assert event.pop("id") == 2
    assert event == {
        "type": "EventLogEntry",
        "event_type": "Shotgun_Task_Change",
        "attribute_name": "sg_status_list",
        "meta": {
            "type": "attribute_change",
            "attribute_name": "sg_status_list",
            "entity_type": "Task",
            "entity_id": 301,
            "field_data_type": "status_list",
            "old_value": "ip",
            "new_value": "rev",
        },
        "entity": {"type": "Task", "id": 301, "name": "Animation"},
        "user": {"type": "ApiUser", "id": 1, "name": "callsheet_demo 1.0"},
        "project": {"type": "Project", "id": 97, "name": "Lighthouse"},
        "session_uuid": "8c6ff8b2-5f9b-11f0-b1a1-0242ac110002",
        "created_at": "2026-03-18T12:00:00Z",
        "description": '"callsheet_demo 1.0" changed "Status" from "ip" to "rev" on Task "Animation"',
    }


def test_the_client_reads_it_as_the_daemon_does(sandbox: Sandbox, sg: Any, new: Any) -> None:
    sg.update("Task", 301, {"sg_status_list": "rev"})

    (event,) = sg.find("EventLogEntry", [["id", "greater_than", 1]], POLLED, [{"column": "id", "direction": "asc"}], limit=500)

    assert set(event) == {"type", *POLLED}
    assert event["created_at"].tzinfo is not None
    assert {**event, "created_at": None, "description": None} == {**new()[0], "created_at": None, "description": None}


def test_each_changed_field_is_an_event_and_an_unchanged_one_is_none(sg: Any, new: Any) -> None:
    sg.update("Shot", 101, {"sg_cut_in": 1, "sg_cut_out": 1148, "description": "d", "sg_status_list": "wtg"})

    assert kinds(new()) == [("Shotgun_Shot_Change", "sg_cut_in"), ("Shotgun_Shot_Change", "description")]


def test_a_changed_link_carries_both_links_and_shows_at_both_ends(sg: Any, new: Any) -> None:
    # When
    sg.update("Shot", 101, {"sg_sequence": {"type": "Sequence", "id": 2}})
    # Then
    own, come, gone = new()
    assert own["meta"]["old_value"] == {"type": "Sequence", "id": 1, "name": "LIT", "valid": "valid"}
    assert own["meta"]["new_value"] == {"type": "Sequence", "id": 2, "name": "FOG", "valid": "valid"}
    assert [one["entity"]["name"] for one in (come, gone)] == ["FOG", "LIT"]
    assert come["attribute_name"] == "shots"
    assert [one["id"] for one in come["meta"]["added"]] == [101]
    assert [one["id"] for one in gone["meta"]["removed"]] == [101]
    assert come["meta"]["actual_attribute_changed"] == "Shot.sg_sequence"
    assert come["meta"]["original_event_log_entry_id"] == own["id"]


def test_links_to_several_carry_what_was_added_and_removed(sg: Any, new: Any) -> None:
    # Given task 301, assigned to 13 / When
    sg.update("Task", 301, {"task_assignees": [{"type": "HumanUser", "id": 12}, {"type": "Group", "id": 2}]})
    # Then
    (event,) = new()
    assert "new_value" not in event["meta"]
    assert "old_value" not in event["meta"]
    assert [(one["type"], one["name"]) for one in event["meta"]["added"]] == [("HumanUser", "Bela Kowalski"), ("Group", "Lighters")]
    assert [(one["type"], one["name"]) for one in event["meta"]["removed"]] == [("HumanUser", "Chidi Okafor")]
    assert event["meta"]["field_data_type"] == "multi_entity"


def test_setting_the_other_end_is_told_there_first_and_then_at_the_links(sg: Any, new: Any) -> None:
    # When
    sg.update("Sequence", 2, {"shots": [SHOT]}, multi_entity_update_modes={"shots": "add"})
    # Then
    first, link, loser = new()
    assert (first["entity"]["name"], first["attribute_name"]) == ("FOG", "shots")
    assert (link["entity"]["name"], link["attribute_name"]) == ("LIT0010", "sg_sequence")
    assert (link["meta"]["old_value"]["name"], link["meta"]["new_value"]["name"]) == ("LIT", "FOG")
    assert link["meta"]["actual_attribute_changed"] == "Sequence.shots"
    assert (loser["entity"]["name"], [one["id"] for one in loser["meta"]["removed"]]) == ("LIT", [101])


def test_a_creation_is_told_first_and_its_values_after_it(sg: Any, new: Any) -> None:
    # When
    made = sg.create("Task", {"content": "Roto", "project": LIGHTHOUSE, "entity": SHOT, "duration": 0})
    # Then
    events = new()
    assert kinds(events) == [
        ("Shotgun_Task_New", None),
        ("Shotgun_Task_Change", "content"),
        ("Shotgun_Task_Change", "entity"),
        ("Shotgun_Shot_Change", "tasks"),
        ("Shotgun_Task_Change", "duration"),
        ("Shotgun_Task_Change", "sg_status_list"),
    ]
    assert events[0]["meta"] == {"type": "new_entity", "entity_type": "Task", "entity_id": made["id"]}
    assert all(one["meta"]["in_create"] is True for one in events[1:])
    assert [one["meta"]["old_value"] for one in (events[1], events[4])] == [None, None]
    assert events[4]["meta"]["new_value"] == 0
    assert {one["project"]["id"] for one in events} == {97}


def test_retirement_and_revival_are_events_and_hide_the_entity_of_all_earlier_ones(sg: Any, new: Any) -> None:
    # Given
    sg.update("Shot", 101, {"sg_cut_in": 1})
    assert new()[0]["entity"]["id"] == 101
    # When
    sg.delete("Shot", 101)
    # Then
    change, retirement = new()
    assert change["entity"] is None
    assert retirement["entity"] is None
    assert (retirement["event_type"], retirement["attribute_name"]) == ("Shotgun_Shot_Retirement", None)
    assert {name: retirement["meta"][name] for name in ("type", "entity_type", "entity_id", "class_name", "display_name")} == {
        "type": "entity_retirement",
        "entity_type": "Shot",
        "entity_id": 101,
        "class_name": "Shot",
        "display_name": "LIT0010",
    }
    assert retirement["project"]["id"] == 97
    # When
    sg.revive("Shot", 101)
    # Then
    assert [one["entity"]["name"] for one in new()] == ["LIT0010"] * 3
    assert new()[-1]["event_type"] == "Shotgun_Shot_Revival"


def test_events_show_an_entity_by_its_present_name(sg: Any, new: Any) -> None:
    sg.update("Shot", 101, {"sg_cut_in": 1})
    sg.update("Shot", 101, {"code": "renamed"})

    assert [one["entity"]["name"] for one in new()] == ["renamed", "renamed"]


def test_site_level_entities_have_no_project_and_a_project_is_its_own(sg: Any, new: Any) -> None:
    sg.update("Step", 1, {"description": "first"})
    sg.update("Project", 97, {"sg_description": "A keeper and a gull."})

    assert [one["project"] and one["project"]["id"] for one in new()] == [None, 97]


def test_the_events_of_a_batch_stand_in_the_order_of_its_requests(sg: Any, new: Any) -> None:
    sg.batch(
        [
            {"request_type": "update", "entity_type": "Shot", "entity_id": number, "data": {"sg_cut_in": 3}}
            for number in (103, 101, 102)
        ]
    )

    assert [one["entity"]["id"] for one in new()] == [103, 101, 102]


def test_sudo_is_the_persons_deed_and_names_the_script(sandbox: Sandbox, new: Any) -> None:
    sandbox.connect(sudo_as_login="fsato").update("Shot", 101, {"sg_cut_in": 1})

    (event,) = new()
    assert event["user"] == {"type": "HumanUser", "id": 16, "name": "Fumiko Sato"}
    assert event["meta"]["sudo_actual_user"] == {"type": "ApiUser", "id": 1, "name": "callsheet_demo 1.0"}


def test_a_script_may_be_set_to_make_no_events(sandbox: Sandbox, sg: Any, new: Any) -> None:
    # Given
    sandbox.add_script("quiet", events=False)
    quiet = sandbox.connect("quiet")
    # When
    quiet.update("Shot", 101, {"sg_cut_in": 1})
    quiet.create("Shot", {"code": "n", "project": LIGHTHOUSE})
    quiet.delete("Shot", 102)
    # Then
    assert new() == []
    # When set otherwise through the site itself
    sg.update("ApiUser", 2, {"generate_event_log_entries": True})
    quiet.update("Shot", 101, {"sg_cut_in": 2})
    # Then
    assert new()[-1]["user"]["name"] == "quiet 1.0"


def test_clients_make_events_of_their_own(sandbox: Sandbox, sg: Any, new: Any) -> None:
    # When
    data = {
        "event_type": "MyTool_Published",
        "meta": {"deep": [1, {"x": None}]},
        "entity": SHOT,
        "project": LIGHTHOUSE,
        "description": "d",
    }
    made = sg.create("EventLogEntry", data)
    # Then
    (event,) = new()
    assert made["id"] == event["id"]
    assert (event["event_type"], event["meta"], event["description"]) == ("MyTool_Published", data["meta"], "d")
    assert (event["entity"]["name"], event["user"]["name"]) == ("LIT0010", "callsheet_demo 1.0")
    assert sg.find_one("EventLogEntry", [["id", "is", made["id"]]], ["description"])["description"] == "d"
