"""Reads, with the real client over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from shotgun_api3.shotgun import Fault

from callsheet.sandbox import Sandbox

LIGHTHOUSE = {"type": "Project", "id": 97}


def codes(found: list[dict[str, Any]]) -> list[str]:
    return [one["code"] for one in found]


def test_the_client_takes_it_for_a_site_of_a_version_that_it_knows(sg: Any) -> None:
    # Given / When
    info = sg.info()
    # Then
    assert info["version"] == [8, 76, 0]
    assert sg.server_caps.host.endswith(sg.config.server)
    assert sg.config.records_per_page == 500


def test_links_carry_type_id_and_name(sg: Any) -> None:
    task = sg.find_one("Task", [["id", "is", 301]], ["content", "entity", "task_assignees"])

    assert task == {
        "type": "Task",
        "id": 301,
        "content": "Animation",
        "entity": {"type": "Shot", "id": 101, "name": "LIT0010"},
        "task_assignees": [{"type": "HumanUser", "id": 13, "name": "Chidi Okafor"}],
    }


def test_without_fields_only_type_and_id_come_back(sg: Any) -> None:
    assert sg.find_one("Project", []) == {"type": "Project", "id": 97}


def test_nothing_found_is_none_and_an_empty_list(sg: Any) -> None:
    assert sg.find_one("Shot", [["code", "is", "nowhere"]]) is None
    assert sg.find("Shot", [["code", "is", "nowhere"]]) == []


def test_dotted_fields_lead_over_several_links(sg: Any) -> None:
    fields = ["project.Project.name", "entity.Shot.sg_sequence.Sequence.code", "entity.Asset.code"]

    task = sg.find_one("Task", [["id", "is", 301]], fields)

    assert [task[name] for name in fields] == ["Lighthouse", "LIT", None]


def test_dotted_filters_lead_through_links_to_several_entities(sg: Any) -> None:
    # Given the show's one note, which is about task 301 / When
    found = sg.find("Note", [["tasks.Task.entity.Shot.code", "is", "LIT0010"]], ["subject"])
    # Then
    assert [one["subject"] for one in found] == ["The gull's landing"]
    assert sg.find("Note", [["tasks.Task.id", "is", 302]]) == []


def test_the_other_end_of_a_link_is_read_like_a_field(sg: Any) -> None:
    shot = sg.find_one("Shot", [["code", "is", "LIT0010"]], ["tasks", "sg_versions"])

    assert [one["name"] for one in shot["tasks"]] == ["Animation", "Light", "Comp"]
    assert [one["name"] for one in shot["sg_versions"]] == ["LIT0010_anm_v001"]


def test_several_sorts_apply_one_within_the_other(sg: Any) -> None:
    order = [{"field_name": "sg_sequence", "direction": "desc"}, {"field_name": "code", "direction": "asc"}]

    found = codes(sg.find("Shot", [["project", "is", LIGHTHOUSE]], ["code"], order))

    assert found[:2] == ["LIT0010", "LIT0020"]
    assert found[-2:] == ["FOG0050", "FOG0060"]


def test_sorting_takes_dotted_paths_and_puts_nothing_last(sg: Any) -> None:
    # Given a shot that is in no sequence
    sg.create("Shot", {"code": "loose", "project": LIGHTHOUSE})
    # When
    rising = codes(sg.find("Shot", [], ["code"], [{"field_name": "sg_sequence.Sequence.code", "direction": "asc"}]))
    falling = codes(sg.find("Shot", [], ["code"], [{"field_name": "sg_sequence.Sequence.code", "direction": "desc"}]))
    # Then
    assert (rising[0], rising[-1]) == ("FER0010", "loose")
    assert (falling[0], falling[-1]) == ("loose", "FER0040")


def test_pages_are_those_that_the_client_asks_for(sg: Any) -> None:
    order = [{"field_name": "id", "direction": "asc"}]

    pages = [codes(sg.find("Shot", [], ["code"], order, limit=8, page=number)) for number in (1, 2, 3, 4)]

    assert [len(page) for page in pages] == [8, 8, 4, 0]
    assert [code for page in pages for code in page] == codes(sg.find("Shot", [], ["code"], order))


def test_a_find_without_limit_follows_all_pages() -> None:
    with Sandbox(page=7) as sandbox:
        found = sandbox.connect().find("Shot", [], ["code"])

        assert len({one["id"] for one in found}) == 20
        assert sandbox.requests()["read"] == 3


def test_old_clients_get_their_counts(sg: Any) -> None:
    params = {"type": "Shot", "return_fields": ["id"], "filters": None, "return_paging_info": True}

    answer = sg._call_rpc("read", params | {"paging": {"entities_per_page": 6, "current_page": 2}})

    assert answer["paging_info"] == {"current_page": 2, "entities_per_page": 6, "page_count": 4, "entity_count": 20}


def test_retired_entities_are_found_only_when_asked_for(sg: Any) -> None:
    # Given
    sg.delete("Shot", 101)
    # Then
    assert sg.find_one("Shot", [["id", "is", 101]]) is None
    assert sg.find("Shot", [], ["code"], retired_only=True) == [{"type": "Shot", "id": 101, "code": "LIT0010"}]


def test_links_to_retired_entities_vanish_and_come_back(sg: Any) -> None:
    # Given
    fields = ["entity", "entity.Shot.code"]
    sg.delete("Shot", 101)
    # Then
    assert sg.find_one("Task", [["id", "is", 301]], ["entity"])["entity"] is None
    assert sg.find("Task", [["entity", "is", {"type": "Shot", "id": 101}]]) == []
    # When
    sg.revive("Shot", 101)
    # Then
    assert sg.find_one("Task", [["id", "is", 301]], fields)["entity"]["name"] == "LIT0010"


def test_archived_projects_can_be_left_out(sg: Any) -> None:
    sg.update("Project", 98, {"archived": True})

    assert len(sg.find("Shot", [])) == 20
    assert len(sg.find("Shot", [], include_archived_projects=False)) == 16
    assert len(sg.find("Project", [], include_archived_projects=False)) == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda sg: sg.find("Sjot", []), ["read()", "'Sjot'", "Valid entity types", "Shot"]),
        (lambda sg: sg.find("Shot", [["cod", "is", "x"]]), ["API read() Shot.cod doesn't exist."]),
        (lambda sg: sg.find("Task", [["entity.Shot.cod", "is", "x"]]), ["Shot.cod doesn't exist"]),
        (lambda sg: sg.find("Task", [["entity.Step.code", "is", "x"]]), ["Task.entity.Step.code doesn't exist"]),
        (
            lambda sg: sg.find("Shot", [["code", "greater_than", "x"]]),
            ["'text' data type", "greater_than", "Valid relations", "contains"],
        ),
        (lambda sg: sg.find("Shot", [["sg_cut_in", "is", 2.5]]), ["Shot.sg_cut_in expected [Integer, NilClass]", "Float: 2.5"]),
        (lambda sg: sg.find("Shot", [["project", "is", 97]]), ["Shot.project expected [Hash, NilClass]", "97"]),
        (lambda sg: sg.find("EventLogEntry", [["meta", "is", "x"]]), ["EventLogEntry.meta cannot be used in a filter"]),
        (lambda sg: sg.find("Task", [["due_date", "in_last", 2, "FORTNIGHT"]]), ["in_last", "FORTNIGHT"]),
    ],
)
def test_what_the_site_does_not_know_in_a_filter_is_a_fault(sg: Any, call: Any, words: list[str]) -> None:
    with pytest.raises(Fault) as caught:
        call(sg)

    assert all(word in str(caught.value) for word in words)


def test_unknown_fields_and_sorts_are_passed_over_as_a_site_does(sg: Any) -> None:
    found = sg.find("Shot", [], ["code", "sg_nothing"], [{"field_name": "sg_nothing", "direction": "asc"}], limit=1)

    assert found == [{"type": "Shot", "id": 101, "code": "LIT0010"}]


def test_text_search_finds_by_all_words(sg: Any) -> None:
    found = sg.text_search("lamp room", {"Asset": []})

    assert [(one["type"], one["name"], one["project_id"]) for one in found["matches"]] == [("Asset", "Lamp Room", 97)]


def test_what_the_sandbox_lacks_is_said_so(sg: Any) -> None:
    with pytest.raises(Fault, match="is not part of the sandbox"):
        sg.work_schedule_read("2026-01-01", "2026-01-02")


def test_uploads_are_said_not_to_be_here(sg: Any, tmp_path: Any) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"png")

    with pytest.raises(Exception, match="Uploads are not here"):
        sg.upload("Version", 401, str(picture), "sg_uploaded_movie")
    with pytest.raises(Exception, match="Uploads are not here"):
        sg.upload_thumbnail("Version", 401, str(picture))
