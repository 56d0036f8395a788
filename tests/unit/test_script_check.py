"""Scripts of a site whose writes make no events, asked of the sandbox over HTTP."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from callsheet.sandbox import Sandbox
from callsheet.services.known_plugins import Ready
from callsheet.services.script_check import AGAIN, HOURLY, ScriptCheckService
from callsheet.site.client import SiteClient
from callsheet.site.scripts import SiteScripts
from tests.support.events import SITE, callback

REGISTRY = SimpleNamespace(
    ready=lambda _: Ready(1, {"mailer": (callback(script="mail_bot"),), "old": (callback(),), "tidier": (callback(script="tidy"),)})
)


def service(sandbox: Sandbox) -> ScriptCheckService:
    source = SiteScripts(SiteClient(sandbox.url, sandbox.script, sandbox.key))
    checks = ScriptCheckService(REGISTRY, {SITE: (sandbox.script, source)}, first=3.0, clock=lambda: 7.0)  # type: ignore[arg-type] # has what is asked
    assert checks.step() == 3.0
    return checks


def test_a_script_whose_writes_make_no_events_is_told_with_the_plugins_that_write_with_it() -> None:
    with Sandbox() as sandbox:
        sandbox.add_script("tidy", events=True)
        checks = service(sandbox)
        assert checks.step() == HOURLY
        assert checks.conditions() == []

        sandbox.add_script("mail_bot", events=False)
        sandbox.add_script("somebody_elses", events=False)
        sandbox.add_script(sandbox.script, sandbox.key, events=False)
        checks.step()
        found = {one.place: one.what for one in checks.conditions()}
        assert found.keys() == {"mail_bot", sandbox.script}
        assert "what plugins mailer write with it appears in no event log" in found["mail_bot"]
        assert "plugins old write" in found[sandbox.script]
        assert {(one.kind, one.site, one.since) for one in checks.conditions()} == {("script-silent", SITE, 7.0)}

        sandbox.add_script("mail_bot", events=True)
        sandbox.add_script(sandbox.script, sandbox.key, events=True)
        checks.step()
        assert checks.conditions() == []


def test_what_a_site_said_holds_while_it_does_not_answer() -> None:
    with Sandbox() as sandbox:
        sandbox.add_script("mail_bot", events=False)
        checks = service(sandbox)
        checks.step()
    assert checks.step() == AGAIN
    assert [one.place for one in checks.conditions()] == ["mail_bot"]


@pytest.mark.parametrize("answer", [[], [{"firstname": "tidy"}], [{"firstname": "tidy", "generate_event_log_entries": None}]])
def test_a_site_that_does_not_say_is_no_trouble(answer: list[dict[str, object]]) -> None:
    client = SimpleNamespace(ask=lambda question: question(SimpleNamespace(find=lambda *_: answer)))
    assert SiteScripts(client).silent({"tidy"}) == frozenset()  # type: ignore[arg-type] # has what is asked
