"""matchEvents: what the whole way from a plugin to a delivery decides, held against the reference's own class."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from callsheet.agent.match_events import filter_of, wanted
from callsheet.domain.callback import PluginKey
from callsheet.domain.plugin import PluginFile
from callsheet.policy.routing import Routes
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.sandbox import Sandbox
from callsheet.settings import Secret
from callsheet.workers import worker_messages
from tests.support.events import SITE, event
from tests.support.legacy_install import BOTH, Daemon, Install
from tests.support.reference import checkout, module, needs_reference

ATTRIBUTES = ("sg_status_list", "status", "code", "sg_code", "*", "s")
TYPES = ("Shotgun_Task_Change", "Shotgun_Task_New", "Shotgun_Task", "shotgun_task_change")


class Words(StrEnum):
    """Members equal their text, as those of many plugins' enumerations do."""

    STATUS = "sg_status_list"
    CODE = "code"


class Shouting(str):
    """Equal to nothing that it looks like."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return False


class BeginsWithS:
    """A container of its own kind."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.startswith("s")

    def __repr__(self) -> str:
        return "BeginsWithS()"


members = some.one_of(
    some.sampled_from(ATTRIBUTES),
    some.sampled_from([None, 0, 1.5, True, b"code", ("code",), *Words, Shouting("code")]),
)
values = some.one_of(
    some.none(),
    some.sampled_from([*ATTRIBUTES, "", "a*b", "code,sg_status_list", Words.STATUS, 5, True, b"code", BeginsWithS(), range(3)]),
    some.lists(members),
    some.lists(members).map(tuple),
    some.sets(members),
    some.frozensets(members),
    some.dictionaries(members, some.none()),
    some.lists(some.lists(members)),
)
filters = some.one_of(
    some.sampled_from([None, {}, [], "", 0, False, "Shotgun_Task_Change", ["Shotgun_Task_Change"], 7]),
    some.dictionaries(some.one_of(some.sampled_from([*TYPES, "*"]), some.sampled_from([None, 3])), values),
)


def by_callsheet(match_events: Any, data: dict[str, Any]) -> bool:
    """Whether the callback is called: its filter crosses to the daemon as JSON, routes, and the worker is asked if need be."""
    said = {"name": "seen", "ordinal": 0, "filter": json.loads(json.dumps(filter_of(match_events))), "lane": "plugin"}
    said |= {"retry": None, "on_dead": "hold", "timeout": None, "slots": 1, "fields": [], "where": False}
    said |= {"toolkit": False, "legacy": True, "only": {}, "ignore_own": False, "script": "", "batch": 1, "settle": 0.0}
    manifest = {"callbacks": [said], "problem": None, "where": "", "level": "", "logger": ""}
    setup = WorkerConfig(site=SITE, url="", script="", key=Secret(""))
    plugin = PluginFile(PluginKey(SITE, "plugin"), "plugin.py", 0, 0.0)
    callbacks = worker_messages.manifest(manifest | {"pid": 1, "python": "3"}, setup, plugin).callbacks
    if not Routes(callbacks).route(event(1, data["event_type"], attribute_name=data["attribute_name"])):
        return False
    asks = any(rule.rule == "ask" for rule in callbacks[0].filter.values())
    return wanted(match_events, data) if asks else True


@pytest.mark.parametrize("reference", [pytest.param(None, marks=needs_reference)])
@settings(max_examples=600, deadline=None)
@given(match_events=filters, event_type=some.sampled_from(TYPES), attribute=some.sampled_from([*ATTRIBUTES, None, ""]))
def test_a_callback_is_called_when_the_reference_would_call_it(
    reference: None, match_events: Any, event_type: str, attribute: str | None
) -> None:
    can_process = module(checkout()).Callback.canProcess
    theirs = SimpleNamespace(_matchEvents=match_events)
    data = {"event_type": event_type, "attribute_name": attribute}
    try:
        expected = can_process(theirs, data)
    except Exception:  # noqa: BLE001 - whatever it raises, its main loop ends of it
        expected = None
    try:
        decided: bool | None = by_callsheet(match_events, data)
    except TypeError:
        decided = None
    if decided is None:
        # Refused at registration: then some event would have ended the reference's main loop.
        assert any(_raises(can_process, theirs, one, name) for one in [*TYPES, "*"] for name in ("code", None)), match_events
    else:
        assert decided == expected, match_events


def _raises(can_process: Any, theirs: SimpleNamespace, event_type: str, attribute: str | None) -> bool:
    try:
        can_process(theirs, {"event_type": event_type, "attribute_name": attribute})
    except Exception:  # noqa: BLE001 - as above
        return True
    return False


@pytest.mark.parametrize("daemon", BOTH)
def test_filters_of_all_sorts_let_the_same_events_through(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given callbacks with the filters that public plugins use, the odd ones included
    install = Install(tmp_path, site)
    wanted_by = {
        "everything": "None",
        "exact": "{'Shotgun_Task_Change': ['sg_status_list']}",
        "substring": "{'Shotgun_Task_Change': 'sg_status_list'}",
        "any_attribute": "{'Shotgun_Task_Change': None}",
        "star_attribute": "{'Shotgun_Task_Change': ['*']}",
        "star_type": "{'*': ['content'], 'Shotgun_Task_New': None}",
        "no_attribute": "{'Shotgun_Task_Change': []}",
        "empty": "{}",
        "own": "{'Shotgun_Task_Change': Own()}",
    }
    body = "class Own:\n    def __contains__(self, name): return name == 'content'\n"
    body += "".join(f"def {name}(sg, logger, event, args): note(callback={name!r}, event=event['id'])\n" for name in wanted_by)
    install.plugin("a", install.registering(body, *(f"{name}, {match}" for name, match in wanted_by.items())))
    install.place()
    status = site.add_event("Shotgun_Task_Change", attribute_name="sg_status_list")
    part = site.add_event("Shotgun_Task_Change", attribute_name="status")
    content = site.add_event("Shotgun_Task_Change", attribute_name="content")
    new = site.add_event("Shotgun_Task_New", attribute_name=None)
    # When
    assert install.drain(daemon).code == 0
    # Then
    seen = {name: [one["event"] for one in install.traced(callback=name)] for name in wanted_by}
    assert seen == {
        "everything": [status, part, content, new],
        "exact": [status],
        "substring": [status, part],
        "any_attribute": [status, part, content],
        "star_attribute": [status, part, content],
        "star_type": [content],
        "no_attribute": [],
        "empty": [status, part, content, new],
        "own": [content],
    }
    # and in the order of events, then of registration
    calls = [(one["event"], list(wanted_by).index(one["callback"])) for one in install.traced()]
    assert calls == sorted(calls)
