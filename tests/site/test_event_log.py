"""What the vendor's client does to a connection, and what is made of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from shotgun_api3.shotgun import Shotgun

from callsheet.errors import SiteError
from callsheet.sandbox import Sandbox
from callsheet.site.client import IDLE
from callsheet.site.event_log import SiteEventLog
from tests.support.gateway import Gateway, Proxy, answer, says
from tests.wire.kinds import ANSWERS, CONNECTS

SITE = "studio"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(show=False) as sandbox:
        yield sandbox


@pytest.fixture
def log(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[SiteEventLog]:
    """Reads the sandbox's log; has plenty of time, but where a test has the site say nothing."""
    hangs = "fault" in request.fixturenames and request.node.callspec.params["fault"] == "hang"
    log = SiteEventLog(SITE, sandbox.url, sandbox.script, sandbox.key, timeout=1.0 if hangs else 30.0)
    yield log
    log.close()


def rest(log: SiteEventLog) -> None:
    """As if the last request had been long ago."""
    log._client._used_at = time.monotonic() - 10 * IDLE


def test_an_idle_connection_that_was_dropped_is_survived_silently(sandbox: Sandbox, log: SiteEventLog) -> None:
    events = sandbox.add_events(3)
    log.read(0, 10)
    rest(log)
    assert sandbox.drop_connections() == 1
    assert [event.id for event in log.read(0, 10).events] == list(events)


def test_a_busy_connection_that_breaks_is_told(sandbox: Sandbox, log: SiteEventLog) -> None:
    log.read(0, 10)
    sandbox.faults.drop()
    with pytest.raises(SiteError):
        log.read(0, 10)


@pytest.mark.parametrize(("fault", "options"), [("hang", {}), ("status", {"status": 503}), ("garble", {})])
def test_an_answer_is_not_asked_for_twice_after_a_rest(
    sandbox: Sandbox, log: SiteEventLog, fault: str, options: dict[str, int]
) -> None:
    log.read(0, 10)
    rest(log)
    getattr(sandbox.faults, fault)(**options)
    before = sandbox.requests()["read"]
    with pytest.raises(SiteError):
        log.read(0, 10)
    assert sandbox.requests()["read"] == before + 1


@pytest.mark.parametrize(
    "body", ["{}", '{"message": "service unavailable"}', '{"results": {}}', '{"results": []}', "[]", "null", "7"]
)
def test_json_without_a_list_of_entities_is_no_end_of_the_log(
    sandbox: Sandbox, log: SiteEventLog, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    sandbox.add_events(3)
    log.read(0, 10)
    answer = ((200, "OK"), {"content-type": "application/json"}, body.encode())
    monkeypatch.setattr(Shotgun, "_http_request", lambda *_request: answer)
    for ask in (log.newest_id, lambda: log.read(0, 10), lambda: log.fingerprints([1]), lambda: log.settled_id(0, 1e9)):
        with pytest.raises(SiteError, match="isn't the API's"):
            ask()


@pytest.mark.parametrize("status", [502, 504])
def test_the_client_does_not_try_again_by_itself(sandbox: Sandbox, log: SiteEventLog, status: int) -> None:
    log.read(0, 10)
    sandbox.faults.status(status)
    before = sandbox.requests()["read"]
    with pytest.raises(SiteError, match=f"HTTP {status}"):
        log.read(0, 10)
    assert sandbox.requests()["read"] == before + 1


def test_an_event_keeps_the_text_that_the_site_sent(sandbox: Sandbox, log: SiteEventLog) -> None:
    sandbox.add_events(2, meta={"new_value": "f\u00fcr \ud83c\udfac"})
    for event in log.read(0, 10).events:
        assert event.text is not None
        assert event.payload == event.text
        assert json.loads(event.payload) == event.data


def test_what_the_client_turns_back_is_so_in_the_text_as_well(sandbox: Sandbox, log: SiteEventLog) -> None:
    sandbox.add_event("Somebody_Writes", session_uuid="a &lt; b")
    sandbox.add_event("Somebody_Writes", session_uuid="c")
    one, two = log.read(0, 10).events
    assert (one.data["session_uuid"], two.data["session_uuid"]) == ("a < b", "c")
    assert json.loads(one.payload) == one.data


def test_a_page_is_one_request(sandbox: Sandbox, log: SiteEventLog) -> None:
    sandbox.add_events(700)
    log.newest_id()
    before = sandbox.requests()["read"]
    assert len(log.read(0, 500).events) == 500
    assert sandbox.requests()["read"] == before + 1


def test_making_one_asks_nothing(sandbox: Sandbox, log: SiteEventLog) -> None:
    assert sandbox.requests() == {}


@pytest.fixture
def gateway(sandbox: Sandbox) -> Iterator[Gateway]:
    with Gateway(sandbox.url) as gateway:
        yield gateway


@pytest.mark.parametrize("kind", [*ANSWERS, "status-400", "status-413", "refused"])
def test_whatever_stands_in_the_sites_place_is_a_site_that_does_not_answer(sandbox: Sandbox, gateway: Gateway, kind: str) -> None:
    log = SiteEventLog(SITE, gateway.url, sandbox.script, sandbox.key, timeout=0.6)
    events = list(sandbox.add_events(3))
    assert [event.id for event in log.read(0, 10).events] == events
    own = {f"status-{status}": says(answer("no", "text/plain", status)) for status in (400, 413)}
    own["refused"] = says(answer('{"exception": true, "message": "API read() no such field", "error_code": 103}'))

    gateway.fault = {**ANSWERS, **own}[kind]
    for ask in (log.newest_id, lambda: log.read(0, 10)):
        with pytest.raises(SiteError) as caught:
            ask()
        assert "\n" not in str(caught.value)
        assert sandbox.key not in str(caught.value)

    gateway.fault = None
    assert [event.id for event in log.read(0, 10).events] == events
    log.close()


@pytest.mark.parametrize("kind", CONNECTS)
def test_a_proxy_that_does_not_let_us_through_is_a_site_that_does_not_answer(sandbox: Sandbox, kind: str) -> None:
    with Proxy() as proxy:
        log = SiteEventLog(SITE, sandbox.url, sandbox.script, sandbox.key, proxy=f"127.0.0.1:{proxy.port}", timeout=0.6)
        proxy.fault = CONNECTS[kind]
        with pytest.raises(SiteError):
            log.newest_id()
        proxy.fault = None
        assert log.newest_id() == 0
        log.close()
