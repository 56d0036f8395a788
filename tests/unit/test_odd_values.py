"""Whatever a worker or a site says, the ledger keeps what comes of it, or the boundary refuses it; nothing else is raised."""

from __future__ import annotations

import copy
import itertools
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsheet.agent.event_data import handed_over
from callsheet.domain.callback import CallbackKey, PluginKey
from callsheet.domain.delivery import Delivery, DeliveryQuery, Outcome, State
from callsheet.domain.plugin import PluginFile, PluginState
from callsheet.domain.reading import Intake
from callsheet.errors import ProtocolError
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.logs.log_files import LINE
from callsheet.logs.log_listener import record_from_worker
from callsheet.policy import log_identity, retries
from callsheet.policy.routing import Routes, refusal
from callsheet.report.json_output import delivery as as_json
from callsheet.services.helper_watch import HelperWatch
from callsheet.site.event_checks import checked
from callsheet.timed_io import TimedIo
from callsheet.wire import frames
from callsheet.workers import worker_messages as messages
from tests.support.events import SITE, callback, event
from tests.support.executor_bench import setup

PLUGIN = PluginKey(SITE, "plugin")
FILE = PluginFile(PLUGIN, "/plugins/plugin.py", 0, 1.0, 1)
NOW = time.time()
NUMBERS = itertools.count(100)
"""Ids of events, each of which is new."""

NASTY: list[Any] = ["5m", "caf\udce9", "\ud83c", "a\0b", "", "x" * 30_000, 10**400, 10**30, 2**63, 1e300, -1, math.nan, math.inf]
NASTY += [None, True, [], {}, [[]], {"a": 1}, ["a", 1]]
HALVES = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
LEAVES = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | HALVES
ANYTHING = st.sampled_from(NASTY) | st.recursive(
    LEAVES, lambda some: st.lists(some, max_size=3) | st.dictionaries(HALVES, some, max_size=3), max_leaves=6
)

REPORT: dict[str, Any] = {
    "run": 1,
    "delivery": 1,
    "verdict": "retry",
    "started": NOW,
    "ended": NOW + 1,
    "after": 60.0,
    "failure": {"kind": "ValueError", "text": "no", "traceback": "", "locals": ""},
    "logged": True,
    "passing": False,
    "shares": False,
}
CALLBACK: dict[str, Any] = {
    "name": "react",
    "ordinal": 0,
    "filter": {"Shotgun_Task_Change": {"rule": "among", "values": ["sg_status_list"], "text": ""}},
    "lane": "entity",
    "retry": {"attempts": 3, "first": 2.0, "max_age": None},
    "on_dead": "hold",
    "timeout": 5.0,
    "slots": 1,
    "fields": ["code"],
    "where": False,
    "toolkit": False,
    "legacy": False,
    "only": {"entity": {"ids": [1], "names": ["x"], "types": ["Shot"], "exact": [["Task", 5]]}},
    "ignore_own": True,
    "script": "robot",
    "batch": 1,
    "settle": 0.0,
}
MANIFEST: dict[str, Any] = {"problem": None, "where": "", "level": "ERROR", "logger": "", "pid": 1, "python": "3.11.7"}
RECORD: dict[str, Any] = {
    "plugin": "plugin",
    "name": "plugin.plugin",
    "levelno": 20,
    "levelname": "INFO",
    "message": "all is done",
    "created": NOW,
    "pathname": "/x.py",
    "funcName": "react",
    "lineno": 3,
}
EVENT: dict[str, Any] = {
    "id": 7,
    "event_type": "Shotgun_Task_Change",
    "attribute_name": "sg_status_list",
    "meta": {"entity_type": "Task", "entity_id": 5, "new_value": "ip", "sudo_actual_user": {"type": "ApiUser", "name": "robot"}},
    "entity": {"type": "Task", "id": 5, "name": "Anim"},
    "user": {"type": "ApiUser", "id": 1, "name": "robot 1.0"},
    "project": {"type": "Project", "id": 70, "name": "Moth"},
    "session_uuid": "ca115ee7-01aa-8aaa-8aaa-aaaaaaaaaaaa",
    "created_at": "2026-11-22T03:40:10Z",
}
IMPORTED: dict[str, Any] = {"path": __file__, "mtime": NOW, "size": 7}
LANES = ("entity", "project", "plugin", "none", "meta.new_value,entity", "meta.entity_id", "user.name", "caf\udce9.x")
LINKS = {"ids": [70], "names": ["Moth"], "types": ["Task"], "exact": [["Task", 5]]}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteLedger]:
    """One for all examples, with a delivery."""
    with closing(SqliteLedger(tmp_path_factory.mktemp("odd") / "ledger.db")) as ledger:
        ledger.enrol([FILE], PluginState.READY, NOW)
        ledger.record(Intake(SITE, tuple(Routes([callback()]).route(event(1)))), NOW)
        yield ledger


def said(message: dict[str, Any]) -> dict[str, Any]:
    """As it arrives from a worker, which has written it as JSON."""
    (arrived,) = frames.split(bytearray(frames.encode({"is": "x", **message})))
    return arrived


def settle(ledger: SqliteLedger, message: dict[str, Any], attempts: int = 1, on_dead: Any = "hold") -> None:
    """A report arrives, is decided on, settled and shown."""
    try:
        report = messages.report(said(message), NOW)
    except ProtocolError:
        return
    delivery = Delivery(1, CallbackKey(PLUGIN, "react"), 1, "{}", attempts, recorded_at=NOW)
    outcome = retries.decide(report, delivery, callback().retry, on_dead, chance=0.5)
    assert outcome.due is None or NOW <= outcome.due < NOW + 101 * 366 * 86400
    ledger.settle([outcome._replace(delivery_id=1)], [], NOW)
    rows = ledger.deliveries(DeliveryQuery(ids=(1,), failures=True))
    json.dumps([as_json(row) for row in rows], ensure_ascii=False).encode()


def describe(ledger: SqliteLedger, message: dict[str, Any]) -> None:
    """A manifest arrives, is kept, and routed by."""
    manifest = messages.manifest(said(message), setup(), FILE)
    ledger.describe(FILE, manifest, NOW)
    (record,) = ledger.plugins(SITE)
    assert record.state is (PluginState.READY if manifest.problem is None else PluginState.BROKEN)
    if manifest.problem is None:
        assert record.callbacks == manifest.callbacks  # nothing is lost on the way
        record_and_run(ledger, Routes(record.callbacks), {**EVENT, "id": next(NUMBERS)})
    else:
        manifest.problem.encode()
    ledger.claim({PLUGIN: max((one.slots for one in manifest.callbacks), default=1)}, 1, "me", NOW)


def log(_ledger: SqliteLedger, message: dict[str, Any]) -> None:
    """A log record arrives, and becomes a line."""
    record = record_from_worker(messages.record(said(message), NOW), "plugin")
    logging.Formatter(LINE).format(record).encode("utf-8", "backslashreplace")


def watch(_ledger: SqliteLedger, message: dict[str, Any]) -> None:
    """A worker tells of a module, whose file is watched from then on."""
    helpers = HelperWatch({SITE: [Path(__file__).parent]}, TimedIo())
    path, *others = message.values()
    files = [[f"{Path(__file__).parent}/{path}", *others]]
    for told in (files, [[path, *others]], [path], path):
        with suppress(ProtocolError):
            helpers.imported(messages.imports(said({"files": told}), FILE))
    assert math.isfinite(helpers.newest(PLUGIN))
    helpers.changed(SITE)
    helpers.changed(SITE)


def show(ledger: SqliteLedger, data: dict[str, Any], lane: str = "meta.new_value", pause: float = 0.0) -> None:
    """A site shows an event, which is taken as far as it can be."""
    only = {what: messages._links(LINKS) for what in ("project", "user", "entity")}
    meant = [callback("meant", only=only), callback("named", "Shotgun_Task_Change", attributes=("sg_status_list",))]
    every = callback(lane=lane, settle=pause, toolkit=pause > 0, ignore_own=True, script="robot")
    record_and_run(ledger, Routes([every, *meant]), data)
    found, _ = checked(SITE, data, None)
    if found is not None:
        for one in (every, *meant):
            refusal(one, found, ["robot"])


def record_and_run(ledger: SqliteLedger, routes: Routes, data: dict[str, Any]) -> None:
    """All that happens with an event, up to its callback."""
    found, odd = checked(SITE, data, json.dumps(data))
    if found is None:
        assert odd is not None
        assert not odd.taken
        return
    deliveries = tuple(routes.route(found))
    ledger.record(Intake(SITE, deliveries, cursor=found.id, recent=log_identity.remembered((), [found])), NOW)
    runs, _ = ledger.claim({PLUGIN: 50}, 50, "me", NOW + 1e6)
    for run in runs:
        for *_, payload in messages.run_message(run, {})["deliveries"]:
            if payload is not None:
                handed_over(payload)
    done = [Outcome(one.id, State.DONE, 1, 0, NOW, NOW) for run in runs for one in run.deliveries]
    ledger.settle(done, [run.id for run in runs], NOW)
    ledger.deliveries(DeliveryQuery(project="Moth", entity=("Task", 5), event_id=found.id))


def paths(usual: dict[str, Any], *before: str) -> Iterator[tuple[str, ...]]:
    """The way to each of its values."""
    for name, value in usual.items():
        yield (*before, name)
        if isinstance(value, dict):
            yield from paths(value, *before, name)


def changed(usual: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(usual)
    box = made
    for name in path[:-1]:
        box = box[name]
    box[path[-1]] = value
    return made


Arrival = Callable[[SqliteLedger, dict[str, Any]], None]
ARRIVALS: dict[str, tuple[Arrival, dict[str, Any]]] = {
    "report": (settle, REPORT),
    "manifest": (describe, {**MANIFEST, "callbacks": []}),
    "callback": (lambda ledger, one: describe(ledger, {**MANIFEST, "callbacks": [one]}), CALLBACK),
    "record": (log, RECORD),
    "event": (show, EVENT),
    "imported": (watch, IMPORTED),
}


EACH = {f"{what}.{'.'.join(path)}": (what, path) for what, (_, usual) in ARRIVALS.items() for path in paths(usual)}


@pytest.mark.parametrize("each", EACH)
def test_each_value_by_itself_may_be_odd(ledger: SqliteLedger, each: str) -> None:
    what, path = EACH[each]
    arrive, usual = ARRIVALS[what]
    for value in NASTY:
        arrive(ledger, changed(usual, path, value))


@st.composite
def nearly(draw: st.DrawFn, usual: dict[str, Any]) -> dict[str, Any]:
    """That, but for some values that are odd or missing."""
    made = copy.deepcopy(usual)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(paths(made))))
        made = changed(made, path, draw(ANYTHING))
        if draw(st.integers(0, 9)) == 0 and len(made) > 1:
            made.pop(path[0])
    return made


@settings(deadline=None)
@given(message=nearly(REPORT), attempts=st.integers(0, 5), on_dead=st.sampled_from(["continue", "hold"]))
def test_what_a_worker_reports_is_settled_or_refused(ledger: SqliteLedger, message: Any, attempts: int, on_dead: str) -> None:
    settle(ledger, message, attempts, on_dead)


@settings(deadline=None)
@given(message=nearly({**MANIFEST, "callbacks": []}), callbacks=st.lists(nearly(CALLBACK), max_size=3) | ANYTHING)
def test_what_a_worker_says_of_its_plugin_is_kept_or_a_broken_plugin(ledger: SqliteLedger, message: Any, callbacks: Any) -> None:
    describe(ledger, {**message, "callbacks": callbacks})
    describe(ledger, {**MANIFEST, "callbacks": callbacks})


@settings(deadline=None)
@given(message=nearly(RECORD))
def test_a_log_record_becomes_a_line_whatever_it_holds(ledger: SqliteLedger, message: Any) -> None:
    log(ledger, message)


@settings(deadline=None)
@given(message=nearly(IMPORTED))
def test_what_a_worker_has_imported_is_watched_as_far_as_it_is_a_file(ledger: SqliteLedger, message: Any) -> None:
    watch(ledger, message)


@settings(deadline=None)
@given(data=nearly(EVENT), lane=st.sampled_from(LANES), pause=st.sampled_from([0.0, 2.0]))
def test_what_a_site_shows_is_recorded_and_handed_out_or_refused(ledger: SqliteLedger, data: Any, lane: str, pause: float) -> None:
    show(ledger, data, lane, pause)
