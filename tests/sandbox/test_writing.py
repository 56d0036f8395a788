"""Creations, changes, retirements and batches, with the real client over HTTP."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from shotgun_api3.shotgun import Fault

from callsheet.sandbox import Sandbox

LIGHTHOUSE = {"type": "Project", "id": 97}
SHOT = {"type": "Shot", "id": 101}


def test_a_creation_answers_with_what_was_given_and_asked_for(sg: Any) -> None:
    made = sg.create("Shot", {"code": "new", "project": LIGHTHOUSE}, return_fields=["sg_status_list", "sg_cut_in"])

    assert made == {
        "type": "Shot",
        "id": 121,
        "code": "new",
        "project": {"type": "Project", "id": 97, "name": "Lighthouse"},
        "sg_status_list": "wtg",
        "sg_cut_in": None,
    }


def test_a_creation_knows_when_and_by_whom(sandbox: Sandbox, sg: Any) -> None:
    made = sg.create("Shot", {"code": "new", "project": LIGHTHOUSE})

    found = sg.find_one("Shot", [["id", "is", made["id"]]], ["created_by", "created_at", "updated_by"])
    assert found["created_by"] == found["updated_by"] == {"type": "ApiUser", "id": 1, "name": "callsheet_demo 1.0"}
    assert abs(found["created_at"] - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_a_name_left_out_is_made_up(sg: Any) -> None:
    assert sg.create("Shot", {"project": LIGHTHOUSE}, return_fields=["code"])["code"] == "New Shot 121"


def test_an_update_answers_with_the_fields_given(sg: Any) -> None:
    changed = sg.update("Shot", 101, {"sg_cut_in": 7, "sg_sequence": {"type": "Sequence", "id": 2}})

    assert changed == {"type": "Shot", "id": 101, "sg_cut_in": 7, "sg_sequence": {"type": "Sequence", "id": 2, "name": "FOG"}}
    assert sg.find_one("Shot", [["id", "is", 101]], ["sg_cut_in"])["sg_cut_in"] == 7


@pytest.mark.parametrize(("mode", "left"), [("set", [12]), ("add", [13, 12]), ("remove", [13]), (None, [12])])
def test_links_to_several_are_set_added_and_removed(sg: Any, mode: str | None, left: list[int]) -> None:
    # Given task 301, assigned to 13 / When
    modes = {"task_assignees": mode} if mode else None
    changed = sg.update("Task", 301, {"task_assignees": [{"type": "HumanUser", "id": 12}]}, multi_entity_update_modes=modes)
    # Then
    assert [one["id"] for one in changed["task_assignees"]] == left


def test_a_field_that_shows_the_other_end_changes_the_link_itself(sg: Any) -> None:
    # When shots of the first sequence are put into the second
    sg.update("Sequence", 2, {"shots": [SHOT]}, multi_entity_update_modes={"shots": "add"})
    # Then
    assert sg.find_one("Shot", [["id", "is", 101]], ["sg_sequence"])["sg_sequence"]["name"] == "FOG"
    assert 101 not in [one["id"] for one in sg.find_one("Sequence", [["id", "is", 1]], ["shots"])["shots"]]


def test_people_are_put_on_projects_from_either_side(sg: Any) -> None:
    # Given Bela, who is not on the Night Ferry / When
    sg.update("HumanUser", 12, {"projects": [LIGHTHOUSE, {"type": "Project", "id": 98}]})
    # Then
    assert 12 in [one["id"] for one in sg.find_one("Project", [["id", "is", 98]], ["users"])["users"]]


def test_an_update_may_go_through_a_link(sg: Any) -> None:
    # As version_finaled.py of shotgunEvents' examples does / When
    changed = sg.update("Version", 401, {"entity.Shot.sg_vfx_status": "Final Approved", "sg_status_list": "fna"})
    # Then
    assert changed["entity.Shot.sg_vfx_status"] == "Final Approved"
    assert sg.find_one("Shot", [["id", "is", 101]], ["sg_vfx_status"])["sg_vfx_status"] == "Final Approved"


def test_times_arrive_in_utc_and_come_back_the_same(sg: Any) -> None:
    when = dt.datetime(2026, 5, 1, 10, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))

    sg.update("Version", 401, {"client_approved_at": when})
    sg.update("Task", 301, {"due_date": when.date()})

    assert sg.find_one("Version", [["id", "is", 401]], ["client_approved_at"])["client_approved_at"] == when
    assert sg.find_one("Task", [["id", "is", 301]], ["due_date"])["due_date"] == "2026-05-01"


def test_deleting_and_reviving_say_whether_there_was_something_to_do(sg: Any) -> None:
    assert [sg.delete("Shot", 101), sg.delete("Shot", 101)] == [True, False]
    assert [sg.revive("Shot", 101), sg.revive("Shot", 101)] == [True, False]


def test_a_batch_answers_for_each_request(sg: Any) -> None:
    results = sg.batch(
        [
            {"request_type": "create", "entity_type": "Shot", "data": {"code": "b1", "project": LIGHTHOUSE}},
            {"request_type": "update", "entity_type": "Shot", "entity_id": 101, "data": {"sg_cut_in": 9}},
            {"request_type": "delete", "entity_type": "Shot", "entity_id": 102},
        ]
    )

    assert [results[0]["code"], results[1], results[2]] == ["b1", {"type": "Shot", "id": 101, "sg_cut_in": 9}, True]


def test_a_batch_that_fails_changes_nothing_and_leaves_no_event(sandbox: Sandbox, sg: Any) -> None:
    # Given
    before = sandbox.events()
    # When
    with pytest.raises(Fault, match=r"request with index 2 failed.  All requests rolled back.\n.*sg_status_list"):
        sg.batch(
            [
                {"request_type": "update", "entity_type": "Shot", "entity_id": 101, "data": {"sg_sequence": None}},
                {"request_type": "create", "entity_type": "Task", "data": {"content": "x", "project": LIGHTHOUSE, "entity": SHOT}},
                {"request_type": "update", "entity_type": "Shot", "entity_id": 102, "data": {"sg_status_list": "nope"}},
            ]
        )
    # Then
    assert sandbox.events() == before
    assert sandbox.writes() == []
    assert sg.find_one("Shot", [["id", "is", 101]], ["sg_sequence"])["sg_sequence"]["id"] == 1
    assert len(sg.find_one("Shot", [["id", "is", 101]], ["tasks"])["tasks"]) == 3
    assert 101 in [one["id"] for one in sg.find_one("Sequence", [["id", "is", 1]], ["shots"])["shots"]]


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda sg: sg.update("Shot", 101, {"sg_nothing": 1}), ["API update() Shot.sg_nothing doesn't exist."]),
        (lambda sg: sg.update("Shot", 101, {"sg_cut_in": "7"}), ["Shot.sg_cut_in expected [Integer, NilClass]", "String: '7'"]),
        (lambda sg: sg.update("Shot", 101, {"sg_cut_in": 2**31}), ["CRUD ERROR", "2147483648", "out of range"]),
        (lambda sg: sg.update("Shot", 101, {"code": 7}), ["Shot.code expected [String, NilClass]"]),
        (lambda sg: sg.update("Shot", 101, {"code": ""}), ["Cannot set identifier field to empty"]),
        (lambda sg: sg.update("Shot", 101, {"sg_status_list": "nope"}), ["Shot.sg_status_list", "'nope'", "Legal values: wtg"]),
        (lambda sg: sg.update("Shot", 101, {"created_at": "2026-01-01T00:00:00Z"}), ["created_at is editable on create only"]),
        (lambda sg: sg.update("Shot", 101, {"id": 5}), ["Shot.id is read only"]),
        (lambda sg: sg.update("Shot", 101, {"sg_sequence": {"type": "Asset", "id": 201}}), ["Asset is not a type", "Sequence"]),
        (lambda sg: sg.update("Shot", 101, {"sg_sequence": {"type": "Sequence", "id": 99}}), ["Sequence 99 does not exist"]),
        (lambda sg: sg.update("Task", 301, {"due_date": "May 1st"}), ["Invalid date format: May 1st"]),
        (lambda sg: sg.update("Shot", 999, {"sg_cut_in": 1}), ["[Shot] with id=999 does not exist"]),
        (lambda sg: sg.update("EventLogEntry", 1, {"description": "x"}), ["EventLogEntry can't be changed"]),
        (lambda sg: sg.create("Shot", {"code": "x"}), ["API create() missing 'project' attribute"]),
        (lambda sg: sg.create("Sjot", {"code": "x"}), ["'Sjot'", "Valid entity types"]),
        (lambda sg: sg.delete("Shot", 999), ["API delete()", "[Shot] with id=999 does not exist"]),
    ],
)
def test_a_wrong_write_is_a_fault_that_names_the_field_and_leaves_no_event(
    sandbox: Sandbox, sg: Any, write: Any, words: list[str]
) -> None:
    before = sandbox.events()

    with pytest.raises(Fault) as caught:
        write(sg)

    assert [word for word in words if word not in str(caught.value)] == []
    assert sandbox.events() == before


def test_what_is_in_the_trash_can_not_be_changed(sg: Any) -> None:
    sg.delete("Shot", 101)

    with pytest.raises(Fault, match="is in the trash"):
        sg.update("Shot", 101, {"sg_cut_in": 1})


def test_the_sandbox_knows_who_wrote_what_in_which_order(sandbox: Sandbox, sg: Any) -> None:
    # Given
    other = sandbox.connect("other")
    # When
    sg.update("Shot", 101, {"sg_cut_in": 5})
    other.batch([{"request_type": "delete", "entity_type": "Shot", "entity_id": 102}])
    made = other.create("Shot", {"code": "n", "project": LIGHTHOUSE})
    # Then
    seen = [(one["script"], one["method"], one["type"], one["id"], one["fields"].get("sg_cut_in")) for one in sandbox.writes()]
    assert seen == [
        ("callsheet_demo", "update", "Shot", 101, 5),
        ("other", "delete", "Shot", 102, None),
        ("other", "create", "Shot", made["id"], None),
    ]
