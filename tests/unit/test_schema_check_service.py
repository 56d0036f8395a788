"""The service that checks plugins against their sites: on the sandbox's schema, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from callsheet import telemetry
from callsheet.domain.callback import Callback
from callsheet.errors import SiteError
from callsheet.policy.schema_check import Schema
from callsheet.sandbox import Sandbox
from callsheet.services.schema_check import DAILY, SchemaCheckService
from callsheet.site.client import SiteClient
from callsheet.site.schema import DAY, SiteSchema
from tests.support.events import SITE, callback


class Registry:
    """What the service asks of the plugin registry."""

    def __init__(self, **plugins: tuple[Callback, ...]) -> None:
        self.callbacks: dict[str, tuple[Callback, ...]] = dict(plugins)
        self.remarks: dict[str, str] = {}

    def ready(self, _site: str) -> Registry:
        return self

    def remark(self, _site: str, plugin: str, callbacks: tuple[Callback, ...], text: str) -> bool:
        if self.callbacks.get(plugin) != callbacks:
            return False
        self.remarks[plugin] = text
        return True


class Source:
    """A schema that changes, or a site that does not answer."""

    def __init__(self, schema: Schema | None) -> None:
        self.schema = schema
        self.asked = 0

    def read(self, _entities: object) -> Schema:
        self.asked += 1
        if self.schema is None:
            raise SiteError("away")
        return self.schema


def service(registry: Registry, source: Any, clock: list[float]) -> SchemaCheckService:
    return SchemaCheckService(registry, {SITE: source}, patience=10.0, steady=lambda: clock[0])  # type: ignore[arg-type]


KNOWN = Schema({"Task": frozenset({"content"})}, frozenset())


def test_a_plugin_is_checked_once_and_told_once_and_again_when_it_changes() -> None:
    registry, source, clock = Registry(mailer=(callback("send", "Shotgun_Taks_New"),)), Source(KNOWN), [0.0]
    checks = service(registry, source, clock)
    with telemetry.recording("plugin.doubtful") as told:
        checks.step()
        assert source.asked == 0  # a start has more urgent questions
        clock[0] = 11.0
        checks.step()
        checks.step()
        assert source.asked == 1
        assert [one.facts["plugin"] for one in told.signals] == ["mailer"]
        assert "did you mean" in registry.remarks["mailer"]

        registry.callbacks["mailer"] = (callback("send", "Shotgun_Task_New"),)
        checks.step()
        clock[0] = 22.0
        checks.step()
        assert registry.remarks["mailer"].count("did you mean") == 1  # nothing to say: describing it took the remark away
        assert source.asked == 2


def test_a_field_that_is_added_on_the_site_ends_the_doubt() -> None:
    registry, source, clock = (
        Registry(mailer=(callback("send", "Shotgun_Task_Change", attributes=("sg_new",)),)),
        Source(KNOWN),
        [0.0],
    )
    checks = service(registry, source, clock)
    checks.step()
    clock[0] = 11.0
    checks.step()
    assert registry.remarks["mailer"]
    source.schema = Schema({"Task": frozenset({"content", "sg_new"})}, frozenset())
    clock[0] += DAILY + 1
    checks.step()
    assert registry.remarks["mailer"] == ""


def test_a_site_that_does_not_answer_is_asked_again_later() -> None:
    registry, source, clock = Registry(mailer=(callback("send", "Shotgun_Taks_New"),)), Source(None), [0.0]
    checks = service(registry, source, clock)
    checks.step()
    clock[0] = 11.0
    assert checks.step() == 60.0
    assert registry.remarks == {}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as site:
        yield site


def test_the_schema_is_read_once_a_day_and_its_fields_where_they_are_needed(sandbox: Sandbox, tmp_path: Path) -> None:
    now = [1000.0]
    file = tmp_path / "schema.json"
    with closing(SiteSchema(SiteClient(sandbox.url, sandbox.script, sandbox.key), file, lambda: now[0])) as schema:
        found = schema.read(["Task", "Taks"])
        assert "sg_status_list" in found.fields["Task"]
        assert found.fields["Shot"] == frozenset()
        assert found.projects
        assert "code" in schema.read(["Shot"]).fields["Shot"]
        sandbox.stop()
        assert schema.read(["Task", "Shot"]).fields["Task"] == found.fields["Task"]
        now[0] += DAY + 1
        with pytest.raises(SiteError):
            schema.read(["Task"])


def test_a_file_that_is_damaged_is_read_anew_from_the_site(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text("{")
    with closing(SiteSchema(SiteClient(sandbox.url, sandbox.script, sandbox.key), file)) as schema:
        assert schema.read(["Task"]).fields["Task"]
