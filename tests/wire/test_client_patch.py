"""What the patched client makes of everything that is no answer of the API's: an error, in time, that counts as the site's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import shotgun_api3

from callsheet.sandbox import Sandbox
from callsheet.wire import client_hook, client_patch, deadlines, transient
from tests.support.gateway import Fault, Gateway, Proxy, answer, certificate, says
from tests.wire.kinds import ANSWERS, CONNECTS, HELLOS

client_hook.patch_imported()
TIMEOUT = 0.6
CALLS: dict[str, Callable[[Any], object]] = {
    "read": lambda sg: sg.find_one("Task", []),
    "create": lambda sg: sg.create("Note", {"subject": "one", "project": {"type": "Project", "id": 97}}),
    "update": lambda sg: sg.update("Task", 301, {"sg_description": "one"}),
    "delete": lambda sg: sg.delete("Task", 302),
    "batch": lambda sg: sg.batch([{"request_type": "update", "entity_type": "Task", "entity_id": 301, "data": {"content": "x"}}]),
    "schema": lambda sg: sg.schema_field_read("Task"),
    "summarize": lambda sg: sg.summarize("Task", [], [{"field": "id", "type": "count"}]),
    "info": lambda sg: sg.info(),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def gateway(sandbox: Sandbox) -> Iterator[Gateway]:
    with Gateway(sandbox.url) as gateway:
        yield gateway


def connected(sandbox: Sandbox, url: str, **options: Any) -> Any:
    sg = shotgun_api3.Shotgun(url, sandbox.script, sandbox.key, connect=False, **options)  # type: ignore[attr-defined] # no types
    sg.config.timeout_secs = TIMEOUT
    sg.config.rpc_attempt_interval = 1  # milliseconds
    sg.BACKOFF = 0.001
    return sg


@pytest.fixture
def sg(sandbox: Sandbox, gateway: Gateway) -> Iterator[Any]:
    """One that has read something, through a gateway that lets everything pass."""
    sg = connected(sandbox, gateway.url)
    assert CALLS["read"](sg)
    yield sg
    gateway.fault = None


def meets(sg: Any, gateway: Gateway, fault: Fault, call: str) -> Callable[[], object]:
    """A call on a new connection that meets the fault."""
    gateway.fault = fault
    sg.close()

    def make() -> object:
        before = gateway.met
        try:
            return CALLS[call](sg)
        finally:
            assert gateway.met > before

    return make


def fails_in_passing(call: Callable[[], object]) -> Exception:
    """The error of a call that must fail as that of a site that does not answer, in time."""
    before, began = transient.tally(), time.monotonic()
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any class: plugins catch what they know
        call()
    now = transient.tally()
    assert transient.is_of_the_site(caught.value), repr(caught.value)
    assert (now.failed, now.transient) == (before.failed + 1, before.transient + 1)
    assert time.monotonic() - began < deadlines.LONGEST * TIMEOUT * 3 + 2, "with the client's own three tries"
    return caught.value


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_is_no_answer_of_the_api_is_an_error_that_passes(sg: Any, gateway: Gateway, kind: str) -> None:
    fails_in_passing(meets(sg, gateway, ANSWERS[kind], "update"))

    gateway.fault = None
    sg.close()  # as the agent does with one that was closed from the other side
    assert CALLS["update"](sg), "it goes on once the site answers"


@pytest.mark.parametrize("body", ["<html>", "{}", "null", '{"results": null}', "[]", '{"message": "busy"}', '{"results": "ok"}'])
@pytest.mark.parametrize("call", CALLS)
def test_no_call_returns_what_is_no_answer_to_it(sg: Any, gateway: Gateway, call: str, body: str) -> None:
    fails_in_passing(meets(sg, gateway, says(answer(body)), call))


@pytest.mark.parametrize("call", CALLS)
def test_every_call_still_returns_what_the_api_answers(sandbox: Sandbox, gateway: Gateway, call: str) -> None:
    with sandbox.copy() as twin:
        direct = shotgun_api3.Shotgun(twin.url, twin.script, twin.key)  # type: ignore[attr-defined] # no types
        assert CALLS[call](direct)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_status_about_the_request_is_the_callers(sg: Any, gateway: Gateway, status: int) -> None:
    call = meets(sg, gateway, says(answer("too much", "text/plain", status)), "update")
    with pytest.raises(shotgun_api3.ProtocolError) as caught:  # type: ignore[attr-defined] # no types
        call()
    assert not transient.is_of_the_site(caught.value)
    assert transient.is_of_the_client(caught.value)


@pytest.mark.parametrize(
    "message", ["API update() CRUD ERROR #5: maintenance is no valid value", "API read() no_such_field", "Something else"]
)
def test_what_the_api_refuses_is_the_callers(sg: Any, gateway: Gateway, message: str) -> None:
    call = meets(sg, gateway, says(answer(json.dumps({"exception": True, "message": message, "error_code": 104}))), "update")
    with pytest.raises(shotgun_api3.Fault) as caught:  # type: ignore[attr-defined] # no types
        call()
    assert not transient.is_of_the_site(caught.value)


def test_the_error_says_what_came_instead(sg: Any, gateway: Gateway) -> None:
    error = fails_in_passing(meets(sg, gateway, ANSWERS["html"], "update"))
    assert isinstance(error, shotgun_api3.ProtocolError)  # type: ignore[attr-defined] # no types
    assert "update() isn't the API's: it is no JSON object (HTTP 200, text/html; charset=utf-8)" in str(error)
    assert "Down for maintenance" in str(error)


def test_a_key_that_worked_may_be_refused_for_a_while(
    sg: Any, sandbox: Sandbox, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = says(answer('{"exception": true, "message": "Can\'t authenticate script", "error_code": 102}'))
    # One that never worked is wrong
    stranger = shotgun_api3.Shotgun(gateway.url, "stranger", "wrong", connect=False)  # type: ignore[attr-defined] # no types
    with pytest.raises(shotgun_api3.AuthenticationFault) as caught:  # type: ignore[attr-defined] # no types
        stranger.find_one("Task", [])
    assert not transient.is_of_the_site(caught.value)
    # One that worked is not, at first
    fails_in_passing(meets(sg, gateway, refusal, "update"))
    # In the end it is
    monkeypatch.setattr(client_patch, "REFUSED", 0.0)
    sg.close()
    with pytest.raises(shotgun_api3.AuthenticationFault) as caught:  # type: ignore[attr-defined] # no types
        CALLS["update"](sg)
    assert not transient.is_of_the_site(caught.value)


@pytest.mark.parametrize("kind", CONNECTS)
def test_a_proxy_that_does_not_let_us_through_is_a_site_that_does_not_answer(sandbox: Sandbox, kind: str) -> None:
    with Proxy() as proxy:
        sg = connected(sandbox, sandbox.url, http_proxy=f"127.0.0.1:{proxy.port}")
        assert CALLS["read"](sg)

        proxy.fault = CONNECTS[kind]
        sg.close()
        fails_in_passing(lambda: CALLS["update"](sg))
        assert proxy.met

        proxy.fault = None
        assert CALLS["update"](sg)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("tls")
    return {name: certificate(folder, name) for name in ("site", "other")}


@pytest.mark.parametrize("kind", [*HELLOS, "another-certificate"])
def test_tls_that_fails_is_a_site_that_does_not_answer(
    sandbox: Sandbox, certificates: dict[str, tuple[Path, Path]], kind: str
) -> None:
    with Gateway(sandbox.url, certificates["site"]) as gateway:
        sg = connected(sandbox, gateway.url, ca_certs=str(certificates["site"][0]))
        assert CALLS["read"](sg)

        if kind in HELLOS:
            gateway.at_hello = HELLOS[kind]
        else:
            gateway.certify(certificates["other"])
        sg.close()
        fails_in_passing(lambda: CALLS["update"](sg))

        gateway.at_hello = None
        gateway.certify(certificates["site"])
        assert CALLS["update"](sg)


def test_an_answer_that_trickles_over_tls_ends_in_time(sandbox: Sandbox, certificates: dict[str, tuple[Path, Path]]) -> None:
    with Gateway(sandbox.url, certificates["site"]) as gateway:
        sg = connected(sandbox, gateway.url, ca_certs=str(certificates["site"][0]))
        assert CALLS["read"](sg)
        fails_in_passing(meets(sg, gateway, ANSWERS["trickle"], "read"))


def test_a_whole_answer_may_take_longer_than_one_read(sg: Any, sandbox: Sandbox) -> None:
    sandbox.faults.slow(TIMEOUT / 2, count=6)
    for _ in range(6):  # each in time, though all together are not
        assert CALLS["read"](sg)
