"""What a sandbox in another process can be told over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from xmlrpc.client import ProtocolError

import pytest

from callsheet.sandbox import Sandbox, control


def tell(sandbox: Sandbox, control_name: str, /, **told: Any) -> Any:
    request = urllib.request.Request(f"{sandbox.url}/sandbox/{control_name}", json.dumps(told).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def ask(sandbox: Sandbox, name: str) -> Any:
    with urllib.request.urlopen(f"{sandbox.url}/sandbox/{name}", timeout=10) as answer:
        return json.load(answer)


def test_faults_are_set_listed_and_cleared(sandbox: Sandbox, sg: Any) -> None:
    faults = tell(sandbox, "faults", kind="status", status=503, method="read")

    assert [(one["kind"], one["status"]) for one in faults] == [("status", 503)]
    assert ask(sandbox, "faults") == faults
    with pytest.raises(ProtocolError):
        sg.find_one("Project", [])
    assert tell(sandbox, "clear") is True
    assert sg.find_one("Project", [])


def test_events_are_written_held_back_released_and_read(sandbox: Sandbox) -> None:
    assert tell(sandbox, "withhold", next=1) is True
    late = tell(sandbox, "add_event", event_type="Late", entity={"type": "Shot", "id": 101})
    first, last = tell(sandbox, "add_events", count=20)

    assert (first, last) == (late + 1, late + 20)
    assert [one["id"] for one in ask(sandbox, f"events?after={late - 1}")] == list(range(first, last + 1))
    assert tell(sandbox, "release") == [late]
    assert ask(sandbox, f"events?after={late - 1}")[0]["entity"]["name"] == "LIT0010"
    assert tell(sandbox, "skip", count=3) == last + 4
    assert tell(sandbox, "jump", event_id=9000) == 9000
    assert ask(sandbox, "facts") == {"url": sandbox.url, "script": sandbox.script, "next_event_id": 9000, "newest_event_id": last}


def test_what_clients_did_can_be_asked_for(sandbox: Sandbox, sg: Any) -> None:
    sg.update("Shot", 101, {"sg_cut_in": 5})

    assert [(one["method"], one["id"], one["fields"]) for one in ask(sandbox, "writes")] == [("update", 101, {"sg_cut_in": 5})]
    assert ask(sandbox, "requests") == {"info": 1, "update": 1}
    assert tell(sandbox, "drop") == 1


def test_a_site_is_down_for_a_while_once_it_has_said_so(sandbox: Sandbox) -> None:
    assert tell(sandbox, "down", seconds=0.3) is True
    with pytest.raises(urllib.error.URLError, match="refused"):
        ask(sandbox, "facts")
    assert sandbox._coming_back is not None
    sandbox._coming_back.join(10)
    assert ask(sandbox, "facts")["url"] == sandbox.url


def test_scripts_are_added(sandbox: Sandbox) -> None:
    key = tell(sandbox, "add_script", name="other")

    assert sandbox.connect("other", key).find_one("Project", [])


@pytest.mark.parametrize(
    ("name", "told", "status", "words"),
    [
        ("faults", {"kind": "slwo"}, 400, "unknown fault 'slwo'"),
        ("jump", {"event_id": 1}, 400, "only grow"),
        ("jump", {}, 400, "event_id"),
        ("nothing", {}, 404, "there are GET /sandbox/facts"),
    ],
)
def test_a_mistake_is_told(sandbox: Sandbox, name: str, told: dict[str, Any], status: int, words: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        tell(sandbox, name, **told)

    with caught.value as answer:
        assert answer.code == status
        assert words in json.load(answer)["error"]


def test_controls_are_for_the_same_machine_only() -> None:
    controls = control.Controls({("GET", "x"): lambda _told: 1})

    assert controls.handle("GET", "/sandbox/x", b"", "127.0.0.1") == (200, "1")
    assert controls.handle("GET", "/sandbox/x", b"", "192.0.2.7")[0] == 403


def test_every_control_is_described(sandbox: Sandbox) -> None:
    for method, name in control.control_table(sandbox):
        assert f"| {method} /sandbox/{name}" in str(control.__doc__)
