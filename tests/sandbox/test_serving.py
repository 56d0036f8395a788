"""Being up and down, many clients at once, files, snapshots and copies."""

from __future__ import annotations

import threading
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from shotgun_api3.lib.httplib2 import HttpLib2Error
from shotgun_api3.shotgun import Shotgun

from callsheet.sandbox import Sandbox

LIGHTHOUSE = {"type": "Project", "id": 97}


def test_a_dropped_idle_connection_fails_the_next_call_and_no_other(sandbox: Sandbox, sg: Any) -> None:
    # Given a connection that waits for its next call
    sg.find_one("Project", [])
    # When
    assert sandbox.drop_connections() == 1
    # Then
    with pytest.raises((OSError, HTTPException, HttpLib2Error)):
        sg.find_one("Project", [])
    assert sg.find_one("Project", [])["id"] == 97


def test_a_site_that_is_down_refuses_and_comes_back_at_the_same_address(sandbox: Sandbox, sg: Any) -> None:
    # Given
    url = sandbox.url
    # When
    sandbox.stop()
    # Then
    with pytest.raises(OSError, match=r"Broken pipe|reset|closed"):
        sg.find_one("Project", [])
    with pytest.raises(OSError, match="refused"):
        sg.find_one("Project", [])
    # When
    sandbox.start()
    # Then
    assert sandbox.url == url
    assert sg.find_one("Project", [])["id"] == 97


def test_a_site_may_be_down_for_a_while(sandbox: Sandbox, sg: Any) -> None:
    sg.close()
    sandbox.down(0.2)
    with pytest.raises(OSError, match="refused"):
        sg.find_one("Project", [])
    assert sandbox._coming_back is not None
    sandbox._coming_back.join(10)
    assert sg.find_one("Project", [])["id"] == 97


def test_the_api_is_found_under_any_base_path(sandbox: Sandbox) -> None:
    sg: Any = Shotgun(sandbox.url + "/studio/", sandbox.script, sandbox.key)

    assert sg.config.api_path == "/studio/api3/json"
    assert sg.find_one("Project", [])["id"] == 97


def test_eight_clients_at_once_lose_no_event_and_share_no_id(sandbox: Sandbox) -> None:
    # Given
    before = sandbox.events()[-1]["id"]
    clients = [sandbox.connect(f"script_{number}") for number in range(8)]
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        for turn in range(25):
            clients[number].update("Shot", 101 + number, {"sg_cut_in": turn})
            made = clients[number].create("Tag", {"name": f"{number}-{turn}"})
            clients[number].batch([{"request_type": "delete", "entity_type": "Tag", "entity_id": made["id"]}])

    # When
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    # Then: per turn a change, a creation with one value, and a retirement
    events = sandbox.events(before)
    assert [one["id"] for one in events] == list(range(before + 1, before + 1 + 8 * 25 * 4))
    for number in range(8):
        own = [
            one["meta"]["new_value"]
            for one in events
            if one["meta"]["entity_id"] == 101 + number and one["attribute_name"] == "sg_cut_in"
        ]
        assert own == list(range(25))
    assert len(sandbox.writes()) == 8 * 25 * 3


def test_a_file_keeps_entities_events_scripts_and_ids(tmp_path: Path) -> None:
    # Given
    file = tmp_path / "site.db"
    with Sandbox(file) as sandbox:
        sg = sandbox.connect()
        key, other = sandbox.key, sandbox.add_script("other")
        sg.create("Shot", {"code": "kept", "project": LIGHTHOUSE, "assets": [{"type": "Asset", "id": 201}]})
        sg.delete("Shot", 101)
        sandbox.withhold(next=1)
        late = sandbox.add_event("Late")
        following = sandbox.skip_event_id(5)
        events, withheld = sandbox.events(), sandbox.withheld()
    # When
    with Sandbox(file) as sandbox:
        sg = sandbox.connect("other", other)
        # Then
        assert sandbox.key == key
        assert sandbox.events() == events
        assert sandbox.withheld() == withheld == [late]
        assert sg.find_one("Asset", [["id", "is", 201]], ["shots"])["shots"][-1]["name"] == "kept"
        assert sg.find_one("Shot", [["id", "is", 101]]) is None
        assert sandbox.add_event("Next") == following
        assert sg.create("Shot", {"code": "n", "project": LIGHTHOUSE})["id"] == 122


def test_a_snapshot_is_gone_back_to(sandbox: Sandbox, sg: Any) -> None:
    # Given
    kept, events = sandbox.snapshot(), sandbox.events()
    sg.update("Shot", 101, {"code": "other"})
    sg.schema_field_create("Shot", "text", "Later")
    sandbox.add_events(10)
    # When
    sandbox.restore(kept)
    # Then
    assert sandbox.events() == events
    assert sandbox.writes() == []
    assert sg.find_one("Shot", [["id", "is", 101]], ["code"])["code"] == "LIT0010"
    assert "sg_later" not in sg.schema_field_read("Shot")
    assert sandbox.add_event("A") == events[-1]["id"] + 1


def test_a_snapshot_of_another_sandbox_leaves_ones_own_script_let_in(sandbox: Sandbox) -> None:
    with Sandbox(script="somebody") as other:
        other.restore(sandbox.snapshot())

        assert other.connect().update("Shot", 101, {"sg_cut_in": 5})["sg_cut_in"] == 5
        assert other.events()[-1]["user"]["name"] == "somebody 1.0"


def test_a_copy_begins_where_its_origin_stands_and_goes_its_own_way(sandbox: Sandbox, sg: Any) -> None:
    # Given
    key = sandbox.add_script("other")
    sg.update("Shot", 101, {"sg_cut_in": 5})
    # When
    with sandbox.copy() as twin:
        # Then
        assert twin.url != sandbox.url
        assert twin.events() == sandbox.events()
        assert twin.connect("other", key).update("Shot", 101, {"sg_cut_in": 6})["sg_cut_in"] == 6
        assert twin.connect().find_one("Shot", [["id", "is", 101]], ["sg_cut_in"])["sg_cut_in"] == 6
    assert sg.find_one("Shot", [["id", "is", 101]], ["sg_cut_in"])["sg_cut_in"] == 5


def test_a_sandbox_without_the_show_is_empty() -> None:
    with Sandbox(show=False) as sandbox:
        assert sandbox.connect().find("Project", []) == []
        assert sandbox.events() == []
