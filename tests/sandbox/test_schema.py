"""The schema as a site tells it, and changes to it."""

from __future__ import annotations

from typing import Any

import pytest
from shotgun_api3.shotgun import Fault

from callsheet.sandbox import Sandbox
from callsheet.sandbox.schema import Schema


def test_a_field_is_described_in_the_shape_of_a_site(sg: Any) -> None:
    described = sg.schema_field_read("Task", "task_assignees")["task_assignees"]

    assert described["data_type"] == {"value": "multi_entity", "editable": False}
    assert described["entity_type"] == {"value": "Task", "editable": False}
    assert described["name"] == {"value": "Assigned To", "editable": True}
    assert described["editable"]["value"] is True
    assert described["properties"]["valid_types"] == {"value": ["HumanUser", "Group"], "editable": True}


def test_a_status_field_names_its_statuses(sg: Any) -> None:
    properties = sg.schema_field_read("Shot", "sg_status_list")["sg_status_list"]["properties"]

    assert properties["valid_values"]["value"][:3] == ["wtg", "rdy", "ip"]
    assert properties["default_value"]["value"] == "wtg"


def test_all_fields_and_all_types_can_be_read(sg: Any) -> None:
    fields = sg.schema_field_read("Version")
    whole = sg.schema_read()
    types = sg.schema_entity_read({"type": "Project", "id": 97})

    assert {"id", "code", "sg_task", "created_at", "project", "sg_first_frame"} <= set(fields)
    assert whole["Version"] == fields
    assert set(types) == set(whole)
    assert types["HumanUser"] == {"name": {"value": "Person", "editable": False}, "visible": {"value": True, "editable": False}}
    assert fields["id"]["editable"]["value"] is False


@pytest.mark.parametrize("call", [lambda sg: sg.schema_field_read("Sjot"), lambda sg: sg.schema_field_read("Shot", "sg_nothing")])
def test_what_is_not_there_is_a_fault(sg: Any, call: Any) -> None:
    with pytest.raises(Fault, match=r"Sjot|Shot\.sg_nothing doesn't exist"):
        call(sg)


def test_a_new_field_is_there_at_once_and_can_be_used_and_deleted(sg: Any) -> None:
    # When
    name = sg.schema_field_create("Shot", "list", "Weather & Wind", {"valid_values": ["calm", "storm"], "default_value": "calm"})
    # Then
    assert name == "sg_weather_wind"
    assert sg.schema_field_create("Shot", "text", "Weather & Wind") == "sg_weather_wind_1"
    assert sg.update("Shot", 101, {name: "storm"})[name] == "storm"
    assert [one["id"] for one in sg.find("Shot", [[name, "is", "storm"]])] == [101]
    assert sg.create("Shot", {"project": {"type": "Project", "id": 97}}, return_fields=[name])[name] == "calm"
    # When
    assert sg.schema_field_update("Shot", name, {"valid_values": ["calm", "storm", "fog"], "name": "Weather"}) is True
    # Then
    described = sg.schema_field_read("Shot", name)[name]
    assert (described["name"]["value"], described["properties"]["valid_values"]["value"][-1]) == ("Weather", "fog")
    # When
    assert sg.schema_field_delete("Shot", name) is True
    # Then
    with pytest.raises(Fault, match="doesn't exist"):
        sg.update("Shot", 101, {name: "calm"})
    with pytest.raises(Fault, match="not a custom field"):
        sg.schema_field_delete("Shot", "code")


def test_every_link_leads_to_types_that_there_are_and_every_other_end_to_a_link() -> None:
    schema = Schema()

    for entity_type in schema.types.values():
        assert entity_type.identifier in entity_type.fields
        for field in entity_type.fields.values():
            assert set(field.to) <= {*schema.types, "*"}, f"{entity_type.name}.{field.name}"
            if field.of:
                owner, name = field.of
                owned = schema.types[owner].fields[name]
                assert owned.leads_to(entity_type.name), f"{entity_type.name}.{field.name} of {owner}.{name}"
            assert field.is_link == bool(field.to), f"{entity_type.name}.{field.name}"


def test_a_changed_schema_survives_with_the_file(tmp_path: Any) -> None:
    with Sandbox(tmp_path / "site.db") as sandbox:
        sg = sandbox.connect()
        sg.schema_field_create("Shot", "entity", "Buddy", {"valid_types": ["Shot"]})
        sg.update("Shot", 101, {"sg_buddy": {"type": "Shot", "id": 102}})
        sg.schema_field_delete("Shot", "sg_vfx_status")

    with Sandbox(tmp_path / "site.db") as sandbox:
        found = sandbox.connect().find_one("Shot", [["sg_buddy.Shot.code", "is", "LIT0020"]], ["sg_buddy", "sg_vfx_status"])

    assert found == {"type": "Shot", "id": 101, "sg_buddy": {"type": "Shot", "id": 102, "name": "LIT0020"}}
