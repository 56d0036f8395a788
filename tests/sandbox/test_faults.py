"""Ways in which the site fails on request, as the real client meets them."""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPConnection, HTTPException, IncompleteRead
from typing import Any
from xmlrpc.client import ProtocolError

import pytest
from shotgun_api3.lib.httplib2 import HttpLib2Error
from shotgun_api3.shotgun import Fault

from callsheet.sandbox import Fault as SandboxFault
from callsheet.sandbox import Sandbox


def look(sg: Any) -> Any:
    return sg.find_one("Project", [])


@pytest.mark.parametrize("status", [500, 503, 429, 403])
def test_an_http_status_is_a_protocol_error_without_a_second_try(sandbox: Sandbox, sg: Any, status: int) -> None:
    # Given
    sandbox.faults.status(status, count=1)
    # When
    with pytest.raises(ProtocolError) as caught:
        look(sg)
    # Then
    assert caught.value.errcode == status
    assert sandbox.requests()["read"] == 1
    assert look(sg)["id"] == 97


def test_a_502_is_tried_again_by_the_client(sandbox: Sandbox, sg: Any) -> None:
    sg.BACKOFF = 0
    sandbox.faults.status(502, count=2)

    assert look(sg)["id"] == 97
    assert sandbox.requests()["read"] == 3


def test_a_busy_site_can_say_when_to_come_back(sandbox: Sandbox) -> None:
    sandbox.faults.status(429, retry_after=7)

    connection = HTTPConnection(sandbox.url.removeprefix("http://"), timeout=10)
    connection.request("POST", "/api3/json", '{"method_name": "info", "params": []}')
    answer = connection.getresponse()

    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")


def test_slowness_takes_its_time_and_answers(sandbox: Sandbox, sg: Any) -> None:
    sandbox.faults.slow(0.2, jitter=0.05, count=1)

    start = time.monotonic()
    assert look(sg)["id"] == 97
    assert time.monotonic() - start >= 0.15


def test_a_hanging_request_is_answered_once_released(sandbox: Sandbox, sg: Any) -> None:
    # Given
    sandbox.faults.hang(method="read", count=1)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(look(sg)), daemon=True)
    waiting.start()
    other = sandbox.connect()
    while sandbox.requests().get("read", 0) < 1:
        other.info()
    assert look(other)["id"] == 97
    assert answers == []
    # When
    sandbox.faults.release()
    waiting.join(10)
    # Then
    assert [one["id"] for one in answers] == [97]


def test_closing_a_sandbox_does_not_wait_for_what_hangs() -> None:
    with Sandbox() as sandbox:
        sg = sandbox.connect()
        sandbox.faults.hang()
        waiting = threading.Thread(target=_look_in_vain, args=(sg,), daemon=True)
        waiting.start()
        while sandbox.requests().get("read", 0) < 1:
            pass
    waiting.join(10)
    assert not waiting.is_alive()


@pytest.mark.parametrize(("after", "written"), [(False, 0), (True, 2)])
def test_a_dropped_connection_makes_the_client_send_its_write_twice(sandbox: Sandbox, sg: Any, after: bool, written: int) -> None:
    # Given
    sandbox.faults.drop(after=after, method="create", count=2)
    # When
    with pytest.raises(Exception, match=r"closed|reset|[Dd]isconnect|responsed?|Broken"):
        sg.create("Tag", {"name": "twice"})
    # Then
    assert sandbox.requests()["create"] == 2
    assert len(sg.find("Tag", [["name", "is", "twice"]])) == written


def test_a_truncated_answer_is_an_error_and_the_work_is_done(sandbox: Sandbox, sg: Any) -> None:
    sandbox.faults.truncate(method="update", count=1)

    with pytest.raises(IncompleteRead):
        sg.update("Shot", 101, {"sg_cut_in": 5})
    assert sg.find_one("Shot", [["id", "is", 101]], ["sg_cut_in"])["sg_cut_in"] == 5


def answer(sandbox: Sandbox) -> tuple[int, str, str]:
    """Status, content type and body, as they are sent: what the client makes of them depends on who has patched it."""
    connection = HTTPConnection(sandbox.url.removeprefix("http://"), timeout=10)
    connection.request("POST", "/api3/json", '{"method_name": "info", "params": []}')
    told = connection.getresponse()
    return told.status, told.headers["Content-Type"], told.read().decode()


def test_an_answer_that_is_no_json(sandbox: Sandbox) -> None:
    sandbox.faults.garble(count=1)

    status, kind, body = answer(sandbox)

    assert (status, kind.partition(";")[0]) == (200, "application/json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


def test_a_web_page_instead_of_an_answer(sandbox: Sandbox) -> None:
    sandbox.faults.html(count=1)

    status, kind, body = answer(sandbox)

    assert (status, kind.partition(";")[0]) == (200, "text/html")
    assert body.startswith("<!doctype html>")


def test_the_site_can_refuse_in_its_own_words(sandbox: Sandbox, sg: Any) -> None:
    sandbox.faults.refuse("Too many requests for this script.", count=1)

    with pytest.raises(Fault, match="Too many requests for this script"):
        look(sg)


def test_a_fault_is_about_what_it_names_only(sandbox: Sandbox, sg: Any) -> None:
    # Given
    other = sandbox.connect("other")
    sandbox.faults.status(500, method="read", entity_type="EventLogEntry", script="other", skip=1, count=1)
    # Then
    assert look(sg)
    assert look(other)
    assert sg.find_one("EventLogEntry", [])
    assert other.find_one("EventLogEntry", [])
    with pytest.raises(ProtocolError):
        other.find_one("EventLogEntry", [])
    assert other.find_one("EventLogEntry", [])
    assert sandbox.faults.active() == []


def test_the_same_seed_fails_at_the_same_requests() -> None:
    def failures(seed: int) -> list[bool]:
        with Sandbox(seed=seed) as sandbox:
            sg = sandbox.connect()
            sandbox.faults.refuse("no", probability=0.4)
            return [_refused(sg) for _ in range(30)]

    assert failures(1) == failures(1) != failures(2)
    assert 0 < sum(failures(1)) < 30


def _look_in_vain(sg: Any) -> None:
    with pytest.raises((OSError, HTTPException, HttpLib2Error)):
        look(sg)


def _refused(sg: Any) -> bool:
    try:
        look(sg)
    except Fault:
        return True
    return False


def test_cleared_faults_are_over(sandbox: Sandbox, sg: Any) -> None:
    sandbox.faults.status(500)
    sandbox.faults.clear()

    assert look(sg)


def test_a_mistaken_fault_is_told_with_what_there_is() -> None:
    with pytest.raises(ValueError, match="unknown fault 'slwo'; there are slow, status"):
        SandboxFault("slwo")
    with pytest.raises(ValueError, match="599 is not a valid HTTPStatus"):
        SandboxFault("status", status=599)
    with pytest.raises(ValueError, match="a fault has a kind and body, code"):
        SandboxFault.of({"kind": "slow", "secnds": 1})


@pytest.mark.parametrize("body", ["{}", "null", "", '{"message": "busy"}'])
def test_an_answer_can_be_anything(sandbox: Sandbox, body: str) -> None:
    sandbox.faults.answer(body, method="read", count=1)
    status, headers, data = asked(sandbox)
    assert (status, headers["Content-Type"], data) == (200, "application/json; charset=utf-8", body.encode())
    assert "results" in json.loads(asked(sandbox)[2])


def test_an_answer_can_say_that_it_is_compressed(sandbox: Sandbox) -> None:
    sandbox.faults.add(SandboxFault("compress", method="read"))
    _, headers, data = asked(sandbox)
    assert headers["Content-Encoding"] == "gzip"
    assert "results" in json.loads(data)


def test_an_answer_can_trickle(sandbox: Sandbox) -> None:
    sandbox.faults.add(SandboxFault("trickle", seconds=0.001, method="read", count=1))
    start = time.monotonic()
    data = asked(sandbox)[2]
    assert time.monotonic() - start >= 0.001 * len(data)
    assert "results" in json.loads(data)


def test_a_text_is_a_text() -> None:
    with pytest.raises(ValueError, match="body is a text, not 1"):
        SandboxFault.of({"kind": "answer", "body": 1})


def asked(sandbox: Sandbox) -> tuple[int, Any, bytes]:
    """Status, headers and body of the answer to a call, as they came over the wire."""
    connection = HTTPConnection(sandbox.url.removeprefix("http://"), timeout=10)
    who = {"script_name": sandbox.script, "script_key": sandbox.key}
    paging = {"paging": {"entities_per_page": 1, "current_page": 1}}
    asks = {"type": "Project", "return_fields": ["id"], "filters": {"logical_operator": "and", "conditions": []}, **paging}
    connection.request("POST", "/api3/json", json.dumps({"method_name": "read", "params": [who, asks]}))
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()
