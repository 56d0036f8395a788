"""The commands that read and operate, on a real ledger as a daemon leaves it behind."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from callsheet.cli import main, mutations
from callsheet.domain.callback import AttributeRule, Callback, CallbackKey, PluginKey, RetryPolicy, Rule
from callsheet.domain.delivery import DeliveryQuery, Failure, NewDelivery, Outcome, State
from callsheet.domain.event import Event
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.overview import Heartbeat, SiteHealth, WorkerRow
from callsheet.domain.plugin import Manifest, PluginFile, PluginState
from callsheet.domain.reading import Intake
from callsheet.ledgers.sqlite import SqliteLedger
from tests.support.users import NOBODY, acting_as, as_root

NOW = time.time()
MAILER, TIDIER, TYPO = (PluginKey("studio", name) for name in ("mailer", "tidier", "typo"))
FAILURE = Failure(
    "ConnectionError", "mail server away", "Traceback (most recent call last):\n  File x\nConnectionError: away", "to = 'a'"
)


@dataclass(frozen=True)
class Said:
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Said]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs a command line at NOW and says what came of it."""
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(one) for one in arguments])
        said = capsys.readouterr()
        assert isinstance(exit_.value.code, int)
        return Said(exit_.value.code, said.out, said.err)

    return run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    file = tmp_path / "studio.toml"
    file.write_text(
        'state = "state"\n[sites.studio]\nurl = "https://studio.example"\nscript = "x"\nkey = { env = "NOT_SET_HERE" }\n'
        'plugins = ["/mnt/away"]\n'
    )
    return file


@pytest.fixture
def ledger(config: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(config.parent / "state" / "ledger.db")
    yield opened
    opened.close()


@pytest.fixture
def studio(ledger: SqliteLedger) -> SqliteLedger:
    """A day's work: mailer has a held delivery and two behind it, tidier a done, a dead and a retrying one; typo is broken."""
    ledger.beat(
        Heartbeat(4711, NOW - 100, time.time(), "0.1.0", "studio.toml"),
        [SiteHealth("studio", "https://studio.example", 120, time.time(), None)],
    )
    ledger.record(Intake("studio", cursor=100), NOW)
    _load(ledger, MAILER, "mail_change", lane="plugin", retry=RetryPolicy(attempts=1), on_dead="hold")
    _load(ledger, TIDIER, "tidy", lane="entity")
    broken = PluginFile(TYPO, "/plugins/typo.py", 2, 1.0)
    ledger.enrol([broken], PluginState.LOADING, NOW)
    ledger.describe(broken, Manifest(TYPO, 0, problem="SyntaxError: invalid syntax (typo.py, line 3)"), NOW)
    mails = [_new(MAILER, "mail_change", event, "") for event in (101, 102, 103)]
    tidied = [_new(TIDIER, "tidy", event, f"Task:{event}") for event in (101, 102, 103)]
    ledger.record(Intake("studio", deliveries=(*mails, *tidied), cursor=118), NOW)
    states = {(MAILER, 101): State.HELD, (TIDIER, 101): State.DONE, (TIDIER, 102): State.DEAD, (TIDIER, 103): State.RETRYING}
    _settle(ledger, states)
    return ledger


def _load(ledger: SqliteLedger, key: PluginKey, name: str, **facts: Any) -> None:
    file = PluginFile(key, f"/plugins/{key.name}.py", 0 if key == MAILER else 1, 1.0)
    wanted = {"Shotgun_Task_Change": AttributeRule(Rule.AMONG, frozenset({"sg_status_list"}))}
    ledger.enrol([file], PluginState.LOADING, NOW)
    ledger.describe(file, Manifest(key, 0, callbacks=(Callback(CallbackKey(key, name), 0, wanted, **facts),)), NOW)


def _new(plugin: PluginKey, callback: str, event: int, lane: str) -> NewDelivery:
    data = {"id": event, "event_type": "Shotgun_Task_Change", "attribute_name": "sg_status_list"}
    return NewDelivery(CallbackKey(plugin, callback), 0, Event("studio", data), lane)


def _settle(ledger: SqliteLedger, states: dict[tuple[PluginKey, int], State]) -> None:
    """Hand out what is due, and settle what ``states`` names; the rest is given back."""
    runs, _ = ledger.claim({MAILER: 1, TIDIER: 9}, 1, "test", NOW)
    outcomes = [
        Outcome(
            one.id,
            states[run.plugin, one.event_id],
            attempts=1,
            crashes=0,
            started=NOW,
            ended=NOW + 0.25,
            due=NOW + 3600 if states[run.plugin, one.event_id] is State.RETRYING else None,
            failure=None if states[run.plugin, one.event_id] is State.DONE else FAILURE,
        )
        for run in runs
        for one in run.deliveries
        if (run.plugin, one.event_id) in states
    ]
    ledger.settle(outcomes, [run.id for run in runs], NOW)


def the(ledger: SqliteLedger, plugin: PluginKey, event: int) -> int:
    """The id of a delivery."""
    (row,) = ledger.deliveries(DeliveryQuery(plugin=plugin.name, event_id=event))
    return row.id


def states(ledger: SqliteLedger, plugin: PluginKey) -> list[str]:
    return [row.state.word for row in reversed(ledger.deliveries(DeliveryQuery(plugin=plugin.name)))]


# status and plugins


def test_status_finds_each_trouble_and_says_its_cure(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("status", config)
    assert said.code == 1
    assert re.search(r"^mailer +held +118 +3 +1 +-$", said.out, re.MULTILINE)
    assert re.search(r"^tidier +ready +118 +1 +0 +-$", said.out, re.MULTILINE)
    assert re.search(r"^typo +broken .* SyntaxError: invalid syntax \(typo.py, line 3\)$", said.out, re.MULTILINE)
    assert "2 waiting, 0 running, 1 retrying, 1 held, 1 done, 1 dead, 0 skipped" in said.out
    assert f"`callsheet release {config} mailer`" in said.out
    assert f"`callsheet retry {config} --plugin tidier --state dead`" in said.out
    assert "Plugin typo can't be loaded" in said.out


def test_status_is_well_once_the_troubles_are_mended(studio: SqliteLedger, config: Path, call: Call) -> None:
    call("retry", config, "--state", "dead")
    call("release", config, "mailer")
    studio.describe(PluginFile(TYPO, "/plugins/typo.py", 2, 2.0), Manifest(TYPO, 1), NOW)
    said = call("status", config)
    assert (said.code, said.out.splitlines()[-1]) == (0, "All is well.")


def test_status_without_a_daemon_says_so_first(studio: SqliteLedger, config: Path, call: Call) -> None:
    studio.beat(Heartbeat(4711, NOW - 900, NOW - 600, "0.1.0", "studio.toml"), [])
    said = call("status", config)
    assert said.code == 1
    assert said.out.startswith("daemon      not running; last sign of life 10 min")
    assert said.out.split("Trouble:\n")[1].startswith("  The daemon is not running, or hangs")


def test_status_after_an_orderly_end_says_when_that_was(studio: SqliteLedger, config: Path, call: Call) -> None:
    studio.beat(Heartbeat(4711, NOW - 900, NOW - 5, "0.1.0", "studio.toml", stopped_at=NOW - 5), [])
    said = call("status", config)
    assert said.code == 1
    assert said.out.startswith("daemon      stopped ")
    assert "The daemon is not running: it was stopped" in said.out


def test_status_in_json_has_the_same_troubles(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("status", config, "--json")
    assert said.code == 1
    assert said.json["well"] is False
    assert [one["what"].split(" ")[0:2] for one in said.json["trouble"]] == [
        ["Plugin", "typo"],
        ["Plugin", "mailer"],
        ["1", "delivery"],
    ]
    assert {one["plugin"]: one["standing"] for one in said.json["plugins"]} == {
        "mailer": "held",
        "tidier": "ready",
        "typo": "broken",
    }


def test_failures_are_counted_by_error(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("deliveries", config, "--by", "error")
    assert said.out.splitlines()[0].split() == ["COUNT", "PLUGIN", "LAST", "DELIVERY", "ERROR"]
    counted = call("deliveries", config, "--by", "error", "--json").json
    failed = [one for one in call("deliveries", config, "--json").json if one["state"] in {"dead", "held", "retrying"}]
    assert sum(one["count"] for one in counted) == len(failed) > 0
    assert {(one["plugin"], one["kind"]) for one in counted} == {(one["plugin"], one["failure"]["kind"]) for one in failed}
    assert call("deliveries", config, "--by", "error", "--plugin", "nobody").err == "No delivery matches.\n"


def test_plugins_says_filters_and_lanes_in_words(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("plugins", config)
    assert said.code == 0
    mail = r"^mailer.mail_change +Shotgun_Task_Change of sg_status_list +one lane for all +1 try, then held +\S"
    assert re.search(mail, said.out, re.MULTILINE)
    assert re.search(r"^tidier.tidy +.* a lane per entity +5 tries +just now$", said.out, re.MULTILINE)
    assert [one["order"] for one in call("plugins", config, "--json").json] == [0, 1, 2]


@pytest.mark.parametrize("command", ["status", "plugins", "deliveries"])
def test_every_line_fits_120_columns_where_there_is_no_terminal(
    studio: SqliteLedger, config: Path, call: Call, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = call(command, config).out.split("Trouble:")[0].splitlines()
    assert lines
    assert max(map(len, lines)) <= 120
    assert not [line for line in lines if "\x1b" in line]


def test_workers_shows_each_process_and_how_it_fares(studio: SqliteLedger, config: Path, call: Call) -> None:
    assert call("workers", config).out == "No worker runs: is there a plugin? `callsheet plugins` shows them.\n"
    idle = WorkerRow("studio", ("mailer", "typo"), None, 4712, "idle", NOW - 90, 38_400_000, 812)
    lost = WorkerRow("studio", ("tidier",), 97, None, "backing off", NOW - 5, None, 0, 7, "died of SIGSEGV", NOW + 30)
    studio.beat(Heartbeat(4711, NOW - 100, NOW, "0.1.0", "studio.toml"), [], [idle, lost])
    said = call("workers", config)
    assert said.code == 0
    assert re.search(r"^mailer, typo +idle +1 min 30 s ago +4712 +38 MB +812 +0$", said.out, re.MULTILINE)
    assert re.search(r"^tidier +backing off .* 7 +Toolkit of project 97; again in 30 s; died of…$", said.out, re.MULTILINE)
    assert [one["state"] for one in call("workers", config, "--json").json] == ["idle", "backing off"]
    assert [one["pid"] for one in call("status", config, "--json").json["workers"]] == [4712, None]
    assert call("status", config, "--json").json["trouble"][0]["what"].startswith("The worker of tidier was lost again and again")
    studio.beat(Heartbeat(4711, NOW - 100, NOW - 60, "0.1.0", "studio.toml"), [], [idle, lost])
    assert call("workers", config).out == "The daemon is not running, so no worker is.\n"


# deliveries


def test_deliveries_lists_the_newest_first_and_why_they_failed(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("deliveries", config)
    ids = [int(line.split()[0]) for line in said.out.splitlines()[1:]]
    assert len(ids) == 6
    assert ids == sorted(ids, reverse=True)
    assert re.search(r"retrying +103 .* again in 1 h.*; ConnectionError: .*$", said.out, re.MULTILINE)
    assert re.search(r"done +101 .* in 250 ms$", said.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        (["--state", "dead"], {(TIDIER, 102)}),
        (["--state", "dead", "--state", "held"], {(TIDIER, 102), (MAILER, 101)}),
        (["--plugin", "mailer"], {(MAILER, 101), (MAILER, 102), (MAILER, 103)}),
        (["--plugin", "studio/mailer", "--event", "102"], {(MAILER, 102)}),
        (["--plugin", "annex/mailer"], set()),
        (["--site", "studio", "--lane", "Task:103"], {(TIDIER, 103)}),
        (["--since", "2h", "--event", "103"], {(MAILER, 103), (TIDIER, 103)}),
        (["--since", "2100-01-01"], set()),
        (["--callback", "tidy", "--type", "Shotgun_Task_Change", "--event", "101"], {(TIDIER, 101)}),
        (["--error", "ConnectionError"], {(TIDIER, 102), (TIDIER, 103), (MAILER, 101)}),
        (["--older-than", "2000-01-01"], set()),
        (["--entity", "Task:14"], set()),
        (["--project", "The Lighthouse"], set()),
    ],
)
def test_conditions_hold_all_at_once(
    studio: SqliteLedger, config: Path, call: Call, conditions: list[str], found: set[tuple[PluginKey, int]]
) -> None:
    rows = call("deliveries", config, *conditions, "--json").json
    assert {(PluginKey(row["site"], row["plugin"]), row["event_id"]) for row in rows} == found


def test_limit_cuts_the_list_and_says_so(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("deliveries", config, "--limit", 2)
    assert len(said.out.splitlines()) == 3
    assert said.err == "Only the newest 2 are shown; --limit shows more.\n"


def test_one_delivery_is_shown_with_all_that_is_known(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("deliveries", config, the(studio, TIDIER, 102))
    assert said.code == 0
    assert "failure     ConnectionError: mail server away" in said.out
    assert "    Traceback (most recent call last):\n      File x\n    ConnectionError: away\n" in said.out
    assert "locals:\n    to = 'a'\n" in said.out
    assert f"Try it again: `callsheet retry {config} {the(studio, TIDIER, 102)}`." in said.out


def test_a_list_leaves_tracebacks_out_unless_asked(studio: SqliteLedger, config: Path, call: Call) -> None:
    (row,) = call("deliveries", config, "--state", "dead", "--json").json
    assert row["failure"] == {"kind": "ConnectionError", "text": "mail server away", "traceback": "", "locals": ""}
    (row,) = call("deliveries", config, "--state", "dead", "--failures", "--json").json
    assert row["failure"]["locals"] == "to = 'a'"


def test_an_id_that_is_not_there_is_said_beside_those_that_are(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("deliveries", config, the(studio, MAILER, 101), 987654)
    assert said.code == 1
    assert "mailer.mail_change" in said.out
    assert said.err.startswith("There is no delivery 987654 ")


# retry, skip, release


def test_retry_lets_a_dead_delivery_wait_again_and_shows_it(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("retry", config, the(studio, TIDIER, 102), "--why", "server is back")
    assert said.code == 0
    assert said.out.splitlines()[-1] == "1 delivery changed: 1 now waiting."
    assert said.err == ""
    assert states(studio, TIDIER) == ["done", "waiting", "retrying"]


def test_retry_of_a_done_delivery_changes_nothing_and_says_why(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("retry", config, the(studio, TIDIER, 101))
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "Nothing was changed: what is meant is done, and only dead, held, retrying and skipped deliveries can be.\n"
    )
    assert states(studio, TIDIER) == ["done", "dead", "retrying"]


def test_skip_takes_all_that_is_meant_however_many(studio: SqliteLedger, config: Path, call: Call) -> None:
    more = tuple(_new(MAILER, "mail_change", event, "") for event in range(200, 450))
    studio.record(Intake("studio", deliveries=more), NOW)
    said = call("skip", config, "--plugin", "mailer", "--state", "waiting")
    assert said.out.splitlines()[-2:] == ["… and 232 deliveries more", "252 deliveries changed: 252 now skipped."]
    assert set(states(studio, MAILER)[1:] + states(studio, MAILER)[:1]) <= {"held", "skipped"}


def test_a_command_about_many_tells_how_far_it_is(
    studio: SqliteLedger, config: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutations, "PLAIN_EVERY", 0.0)
    studio.record(Intake("studio", tuple(_new(MAILER, "mail_change", event, "") for event in range(200, 1298))), NOW)
    said = call("skip", config, "--plugin", "mailer", "--state", "waiting")
    assert said.err.splitlines()[:2] == ["500 of 1,100 deliveries changed", "1,000 of 1,100 deliveries changed"]
    assert said.out.splitlines()[-1] == "1,100 deliveries changed: 1,100 now skipped."


def test_a_command_that_is_interrupted_says_how_far_it_came(
    studio: SqliteLedger, config: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.record(Intake("studio", tuple(_new(MAILER, "mail_change", event, "") for event in range(200, 1298))), NOW)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", interrupt)
        said = call("skip", config, "--plugin", "mailer", "--state", "waiting")
    assert said.code == 130
    assert said.err.strip() == "Interrupted: 500 of 1,100 deliveries changed. The same command goes on with the rest."
    said = call("skip", config, "--plugin", "mailer", "--state", "waiting")
    assert said.out.splitlines()[-1] == "600 deliveries changed: 600 now skipped."


def test_skip_of_the_held_one_lets_its_lane_go_on(studio: SqliteLedger, config: Path, call: Call) -> None:
    assert call("skip", config, the(studio, MAILER, 101)).code == 0
    (run,), _ = studio.claim({MAILER: 1}, 9, "test", time.time())
    assert [one.event_id for one in run.deliveries] == [102, 103]


def test_release_lets_a_plugin_go_on_from_the_one_that_failed(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("release", config, "mailer")
    assert said.code == 0
    (run,), _ = studio.claim({MAILER: 1}, 9, "test", time.time())
    assert [one.event_id for one in run.deliveries] == [101, 102, 103]


def test_release_of_a_plugin_that_is_not_held_or_not_known_says_which(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("release", config, "tidier")
    assert (said.code, said.err) == (1, "Nothing was changed: no such lane of tidier is held.\n")
    said = call("release", config, "tydier")
    assert said.err == "Nothing was changed: there is no plugin tydier. Known plugins: mailer, tidier, typo.\n"


def test_an_operation_on_a_stopped_daemon_says_when_it_takes_effect(studio: SqliteLedger, config: Path, call: Call) -> None:
    studio.beat(Heartbeat(4711, NOW - 900, NOW - 600, "0.1.0", "studio.toml"), [])
    assert call("release", config, "mailer").err == "The daemon is not running; this takes effect when it starts.\n"


def test_operations_are_recorded_with_who_and_why(studio: SqliteLedger, config: Path, call: Call) -> None:
    import sqlite3  # noqa: PLC0415 - no port shows the record; this test alone looks at the table

    call("retry", config, "--state", "dead", "--why", "server is back")
    with sqlite3.connect(config.parent / "state" / "ledger.db") as database:
        (row,) = database.execute("SELECT verb, who, why, changed FROM operations").fetchall()
    assert row[0] == "retry"
    assert re.fullmatch(r".+@.+", row[1])
    assert row[2:] == ("server is back", 1)


@pytest.mark.parametrize("command", ["retry", "skip"])
def test_an_operation_on_everything_is_refused(studio: SqliteLedger, config: Path, call: Call, command: str) -> None:
    said = call(command, config)
    assert said.code == 2
    assert "by their ids, or by --plugin, --state, --event" in said.err


def test_what_was_changed_can_be_had_as_json(studio: SqliteLedger, config: Path, call: Call) -> None:
    (row,) = call("retry", config, "--state", "dead", "--json").json
    assert (row["state"], row["attempts"]) == ("waiting", 0)


# finding the configuration


def test_without_a_ledger_the_next_step_is_said(config: Path, call: Call) -> None:
    said = call("status", config)
    assert said.code == 2
    assert said.err.startswith(f"callsheet: No daemon has run with {config} yet: there is no ")
    assert not list((config.parent / "state").iterdir())


def test_config_may_come_from_the_environment_and_is_then_left_out_of_cures(
    studio: SqliteLedger, config: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLSHEET_CONFIG", str(config))
    assert "`callsheet release mailer`" in call("status").out
    assert call("release", "mailer").code == 0


# texts of anybody

EVIL = "\x1b]0;owned\x07\x9b2J\r\x1b[31m\u202eevil\u2028x\x85y\nFORGED line\tz"
STEERING = set(map(chr, [*range(9), *range(11, 32), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A)]))
"""All that steers a terminal, save tab and LF."""


@pytest.fixture
def hostile(ledger: SqliteLedger) -> SqliteLedger:
    """A ledger in which every text was written by somebody who means harm."""
    plugin = PluginKey("studio", f"p{EVIL}")
    callback = CallbackKey(plugin, f"cb{EVIL}")
    ledger.beat(
        Heartbeat(4711, NOW - 100, NOW, "0.1.0", "studio.toml"),
        [SiteHealth("studio", "https://studio.example", 120, NOW, f"no{EVIL}", NOW - 60)],
        [WorkerRow("studio", (f"p{EVIL}",), state="backing off", since=NOW, problem=f"died{EVIL}", restarts=9, retry_at=NOW + 9)],
    )
    ledger.record(Intake("studio", cursor=100), NOW)
    file = PluginFile(plugin, f"/plugins/{EVIL}.py", 0, 1.0)
    ledger.enrol([file], PluginState.LOADING, NOW)
    wanted = {f"Shotgun{EVIL}": AttributeRule(Rule.AMONG, frozenset({EVIL}))}
    ledger.describe(file, Manifest(plugin, 0, callbacks=(Callback(callback, 0, wanted, on_dead="hold", lane="entity"),)), NOW)
    entity = {"type": "Shot", "id": 5, "name": f"SH{EVIL}"}
    meta = {"new_value": EVIL, "old_value": EVIL}
    data = {
        "event_type": f"Shotgun{EVIL}",
        "attribute_name": EVIL,
        "entity": entity,
        "meta": meta,
        "user": entity,
        "project": entity,
    }
    events = [Event("studio", {"id": 100 + number, **data}) for number in (1, 2)]
    ledger.record(
        Intake("studio", deliveries=tuple(NewDelivery(callback, 0, one, f"Shot{EVIL}") for one in events), cursor=118), NOW
    )
    runs, _ = ledger.claim({plugin: 1}, 1, "test", NOW)
    failure = Failure(f"Kind{EVIL}", f"text{EVIL}", f"Traceback{EVIL}", f"locals{EVIL}")
    (one,) = runs[0].deliveries
    ledger.settle([Outcome(one.id, State.HELD, 1, 0, NOW, NOW + 1, failure=failure)], [runs[0].id], NOW)
    ledger.operate(Operation(Verb.HOLD, f"me{EVIL}", f"since{EVIL}", DeliveryQuery(plugin=plugin.name)), NOW)
    ledger.describe(file, Manifest(plugin, 0, problem=f"SyntaxError{EVIL}"), NOW)
    return ledger


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    "words",
    [
        *(["status"], ["plugins"], ["workers"], ["deliveries"], ["deliveries", "--failures"], ["deliveries", "1"], ["operations"]),
        *(["explain", "101", "--offline"], ["explain", "102", "--offline"], ["toolkit", "list"], ["skip", "1"], ["retry", "2"]),
        *(["release", f"p{EVIL}"], ["forget", f"q{EVIL}"], ["replay", "--plugin", f"q{EVIL}", "1-2"], [f"stat{EVIL}"]),
        *(["skip", "--plugin", f"q{EVIL}"], ["hold", f"p{EVIL}", "--lane", f"l{EVIL}", "--why", f"w{EVIL}"]),
    ],
    ids=lambda words: words[0],
)
def test_nothing_that_anybody_wrote_steers_the_terminal_or_forges_a_line(config: Path, call: Call, words: list[str]) -> None:
    at = 2 if words[0] == "toolkit" else 1
    said = call(*words[:at], config, *words[at:])

    shown = said.out + said.err
    assert shown
    assert not STEERING & set(shown), [one for one in shown.split("\n") if STEERING & set(one)]
    # What has lines of its own, as a traceback, is set in.
    assert not [line for line in shown.split("\n") if line.startswith("FORGED")]


def test_json_stays_data_and_steers_no_terminal_either(hostile: SqliteLedger, config: Path, call: Call) -> None:
    said = call("deliveries", config, "--json")

    assert not STEERING & set(said.out)
    assert [one["failure"]["text"] for one in said.json if one["failure"]] == [f"text{EVIL}"]
    assert hostile.deliveries(DeliveryQuery())


# as another user

COMMANDS = [["status"], ["status", "--json"], ["deliveries"], ["plugins"], ["operations"], ["explain", "101"], ["skip", "1"]]


@as_root
@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("denied", ["", "ledger.db"], ids=["folder", "file"])
def test_the_ledger_of_another_user_is_said_with_whose_it_is_and_the_command(
    config: Path, call: Call, monkeypatch: pytest.MonkeyPatch, words: list[str], denied: str
) -> None:
    call(words[0], "--help"), call("status", config)  # so that all is imported
    state = config.parent / "state"
    state.chmod(0o755)
    for path in (state, *state.iterdir()):
        os.chown(path, 12345, 12345)
    (state / denied).chmod(0o700 if denied == "" else 0o600)
    line = [words[0], config, *words[1:]]
    monkeypatch.setattr(sys, "argv", ["callsheet", *map(str, line)])

    with acting_as(NOBODY, through=config.parent):
        said = call(*line)

    assert said.code == 2
    assert said.err.startswith(
        f"callsheet: The ledger {state / 'ledger.db'} belongs to user #12345, and user nobody may not read and"
    )
    assert f"sudo -u '#12345' callsheet {words[0]} " in said.err
    assert "`group`" in said.err
    assert said.err.count("\n") == 1


# hold, replay, operations


def test_hold_is_shown_with_who_and_why_and_is_no_trouble(studio: SqliteLedger, config: Path, call: Call) -> None:
    before = call("status", config, "--json").json["trouble"]
    said = call("hold", config, "tidier", "--why", "moving house")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        f"Plugin tidier is held (1 delivery of the plugin still to come). `callsheet release {config} tidier` lets it go on.\n"
    )
    shown = call("status", config)
    assert re.search(r"^tidier +on hold ", shown.out, re.MULTILINE)
    told = " ".join(shown.out.split())
    assert "On purpose: Plugin tidier is held by " in told
    assert ", because: moving house." in told
    assert call("status", config, "--json").json["trouble"] == before
    assert "On purpose:" in call("plugins", config).out
    call("hold", config, "tidier", "--lane", "Task:103")
    assert "Lane Task:103 of plugin tidier is held by" in " ".join(call("status", config).out.split())
    (row,) = [one for one in call("plugins", config, "--json").json if one["plugin"] == "tidier"]
    assert [(one["lane"], one["why"]) for one in row["holds"]] == [(None, "moving house"), ("Task:103", "")]


def test_release_ends_holds_and_says_what_still_holds(studio: SqliteLedger, config: Path, call: Call) -> None:
    call("hold", config, "tidier")
    call("hold", config, "tidier", "--lane", "Task:103")
    said = call("release", config, "tidier", "--lane", "Task:103")
    assert (said.code, said.out) == (0, "1 hold of tidier ended.\n")
    assert said.err == "The plugin is held as a whole, too: `callsheet release tidier` ends that.\n"
    assert call("release", config, "tidier").out == "1 hold of tidier ended.\n"
    assert call("release", config, "tidier").code == 1


def test_a_reload_is_noted_for_the_running_daemon_and_on_record(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("reload", config, "studio/tidier", "--why", "new settings")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"The daemon was asked to load 1 plugin anew; `callsheet plugins {config}` shows how that went.\n"
    assert "load 3 plugins anew" in call("reload", config, "--all").out
    beat = Heartbeat(4711, NOW - 100, NOW, "0.1.0", "studio.toml")
    asked = [(one.verb, one.site, one.plugin) for one in studio.beat(beat, [])]
    assert asked == [(Verb.RELOAD, "studio", "tidier"), (Verb.RELOAD, None, None)]
    assert re.search(r"reload +\S+ +.*tidier.*new settings", call("operations", config).out)


def test_a_reload_that_can_not_be_carried_out_says_why(studio: SqliteLedger, config: Path, call: Call) -> None:
    assert call("reload", config, "tydier").err.startswith("Nothing was changed: there is no plugin tydier.")
    assert call("reload").code == call("reload", "a", "b", "c").code == call("reload", "a", "b", "--all").code == 2
    studio.beat(Heartbeat(4711, NOW - 900, NOW - 600, "0.1.0", "studio.toml"), [])
    said = call("reload", config, "tidier")
    assert (said.code, said.err) == (1, "The daemon is not running; it loads all plugins when it starts.\n")


def test_a_daemon_that_can_not_be_stopped_from_here_says_why(
    studio: SqliteLedger, config: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("stop", config, "--timeout", "soon").code == 2
    studio.lock(f"{socket.gethostname()}:{os.getpid()}")
    monkeypatch.setattr(os, "kill", refuse)
    said = call("stop", config)
    assert (said.code, said.out) == (1, "")
    assert said.err == f"The daemon (process {os.getpid()}) is another user's. Stop it as that user, or as root.\n"
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    assert call("stop", config).err.endswith(", and this is elsewhere. Stop it there.\n")


def refuse(pid: int, number: int) -> None:
    raise PermissionError(1, f"{number} to {pid}: no")


def test_hold_of_an_unknown_plugin_says_which_there_are(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("hold", config, "tydier")
    assert (said.code, said.out) == (1, "")
    assert said.err == "Nothing was changed: there is no plugin tydier. Known plugins: mailer, tidier, typo.\n"
    assert call("hold", config, "a", "b").code == 2


def test_a_hold_on_a_stopped_daemon_says_when_it_takes_effect(studio: SqliteLedger, config: Path, call: Call) -> None:
    studio.beat(Heartbeat(4711, NOW - 900, NOW - 600, "0.1.0", "studio.toml"), [])
    assert call("hold", config, "tidier").err == "The daemon is not running; this takes effect when it starts.\n"


def test_replay_is_noted_for_the_daemon_and_shown(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("replay", config, "101", "90..95", "--plugin", "tidier", "--callback", "tidy", "--why", "lost")
    assert (said.code, said.err) == (0, "")
    (replay,) = studio.site("studio").replays
    assert (replay.plugin, replay.callback, replay.ranges) == (TIDIER, "tidy", ((90, 95), (101, 101)))
    assert said.out == f"Replay {replay.id} is asked for. `callsheet status {config}` shows how far it is.\n"
    assert f"replay      {replay.id} reads events 90 to 101 again for tidier" in call("status", config).out
    assert call("replay", config, "--stop", replay.id).code == 0
    assert call("replay", config, "--stop", replay.id).code == 1
    assert studio.site("studio").replays == ()


def test_a_replay_beyond_what_was_read_says_so(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("replay", config, "110..500", "--plugin", "tidier")
    assert said.err == "Events behind 118 have not come to tidier yet: they are delivered in their turn.\n"


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("101", 2, "Say which events, and for whom"),
        ("--plugin tidier", 2, "Say which events, and for whom"),
        ("5..4 --plugin tidier", 2, "'5..4' is neither an event's id nor a range such as 810000..812934."),
        ("101 --plugin tydier", 1, "there is no plugin tydier. Known plugins: mailer, tidier, typo."),
        ("101 --plugin tidier --callback tidied", 1, "plugin tidier has no callback tidied. It has: tidy."),
    ],
)
@pytest.mark.usefixtures("studio")
def test_a_replay_that_can_not_be_meant_is_refused(config: Path, call: Call, line: str, code: int, said: str) -> None:
    done = call("replay", config, *line.split())
    assert done.code == code
    assert said in done.err
    assert call("operations", config, "--json").json == []


def test_operations_lists_the_newest_first(studio: SqliteLedger, config: Path, call: Call) -> None:
    assert call("operations", config).out == "Nobody has changed anything.\n"
    call("retry", config, "--state", "dead", "--why", "server is back")
    call("hold", config, "tidier")
    said = call("operations", config)
    assert re.search(r"hold +plugin tidier +1 .*\n.* retry +state dead +1 .* server is back$", said.out.rstrip())
    assert [one["verb"] for one in call("operations", config, "--json").json] == ["hold", "retry"]
    assert len(call("operations", config, "--limit", 1, "--json").json) == 1


def test_one_delivery_shows_each_failed_attempt(studio: SqliteLedger, config: Path, call: Call) -> None:
    studio.settle([Outcome(the(studio, TIDIER, 103), State.DEAD, 2, 0, NOW, NOW + 1.5, failure=FAILURE)], [], NOW)
    said = call("deliveries", config, the(studio, TIDIER, 103)).out
    assert re.search(r"^failure 1 of 2: attempt 1, .*, 250 ms, then retrying$", said, re.MULTILINE)
    assert re.search(r"^failure 2 of 2: attempt 2, .*, 1 s, then dead$", said, re.MULTILINE)
    (row,) = call("deliveries", config, the(studio, TIDIER, 103), "--json").json
    assert [(one["attempt"], one["state"]) for one in row["history"]] == [(1, "retrying"), (2, "dead")]


# documented keys

DOCUMENTED = set(re.findall(r"`(\w+)`", (Path(__file__).parents[2] / "docs" / "reference" / "json.md").read_text("utf-8")))


def keys(value: Any, *, data: bool = False) -> set[str]:
    """All keys in a JSON value; not those that are data, such as event types."""
    if isinstance(value, list):
        return {key for one in value for key in keys(one)}
    if not isinstance(value, dict):
        return set()
    own = set() if data else set(value)
    return own | {inner for key, one in value.items() for inner in keys(one, data=key in {"filter", "only"})}


@pytest.mark.parametrize("command", ["status", "plugins", "deliveries", "workers", "operations"])
def test_every_json_key_is_documented(studio: SqliteLedger, config: Path, call: Call, command: str) -> None:
    undocumented = keys(call(command, config, "--json").json) - DOCUMENTED
    assert not undocumented


def test_every_json_key_of_a_check_is_documented(config: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    mistaken = call("check", config, "--offline", "--json")
    assert (mistaken.code, mistaken.json["well"]) == (2, False)
    monkeypatch.setenv("NOT_SET_HERE", "secret")
    (config.parent / "plugins").mkdir()
    (config.parent / "plugins" / "a.py").touch()
    config.write_text(config.read_text().replace("/mnt/away", "plugins"))
    checked = call("check", config, "--offline", "--json")
    assert (checked.code, checked.json["sites"][0]["plugins"][0]["plugin"]) == (0, "a")
    assert not (keys(mistaken.json) | keys(checked.json)) - DOCUMENTED


# -- forget, and skip --to-newest


def test_a_plugin_is_sent_to_the_newest_event_that_the_running_daemon_has_seen(
    studio: SqliteLedger, config: Path, call: Call
) -> None:
    said = call("skip", config, "--plugin", "mailer", "--to-newest", "--why", "too late")
    assert said.code == 0
    assert said.out.splitlines()[-2:] == ["3 deliveries changed: 3 now skipped.", "Plugin mailer goes on behind event 120."]
    assert studio.site("studio").positions["mailer"] == 120
    assert call("skip", config, "--plugin", "mailer", "--to-newest", "--json").json == []
    assert "plugin mailer, on behind event 120" in call("operations", config).out


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--to-newest"], "it goes with --plugin, --site and --why alone"),
        (["--plugin", "mailer", "--to-newest", "17"], "it goes with --plugin, --site and --why alone"),
        (["--plugin", "mailer", "--to-newest", "--state", "dead"], "it goes with --plugin, --site and --why alone"),
    ],
)
def test_what_does_not_go_with_the_newest_event_is_refused(
    studio: SqliteLedger, config: Path, call: Call, options: list[str], why: str
) -> None:
    said = call("skip", config, *options)
    assert (said.code, why in said.err) == (2, True)
    assert studio.site("studio").positions["mailer"] is None


def test_without_a_daemon_that_reads_the_site_is_asked_for_its_newest_event(studio: SqliteLedger, config: Path, call: Call) -> None:
    studio.beat(Heartbeat(4711, NOW - 100, NOW - 3600, "0.1.0", "studio.toml"), [])
    said = call("skip", config, "--plugin", "mailer", "--to-newest")
    assert said.code == 2
    assert "NOT_SET_HERE" in said.err  # the key that asking takes
    assert studio.site("studio").positions["mailer"] is None


def test_a_plugin_that_is_gone_is_forgotten_and_one_that_is_there_is_not(studio: SqliteLedger, config: Path, call: Call) -> None:
    said = call("forget", config, "mailer")
    assert said.code == 1
    assert said.err == (
        "Nothing was changed: plugin mailer is there (/plugins/mailer.py). Remove that file to forget it; or let it begin at the "
        f"newest event: `callsheet skip {config} --plugin mailer --to-newest`.\n"
    )
    studio.enrol([PluginFile(MAILER, "/plugins/mailer.py", 0, 1.0)], PluginState.GONE, NOW)
    (trouble,) = [one for one in call("status", config, "--json").json["trouble"] if "is gone" in one["what"]]
    assert f"`callsheet forget {config} mailer`" in trouble["next"]
    assert call("forget", config, "mailer", "--why", "retired").out == (
        "Plugin mailer is forgotten; 3 deliveries given up. A file of that name is a new plugin, which begins with the events from "
        "then on.\n"
    )
    assert [one["plugin"] for one in call("plugins", config, "--json").json] == ["tidier", "typo"]
    assert "mailer" not in call("status", config).out
    again = call("forget", config, "mailer")
    assert (again.code, "there is no plugin mailer" in again.err) == (1, True)
    assert len(call("deliveries", config, "--plugin", "mailer", "--json").json) == 3


ODD_NAME = os.fsdecode(b"d\xe9mo")
"""As the shell gives the name of a file that is not UTF-8."""


@pytest.fixture
def odd(studio: SqliteLedger, tmp_path: Path) -> Path:
    """A plugin whose file, in a folder such as that, has this name; nobody runs."""
    studio.beat(Heartbeat(4711, NOW - 100, NOW - 3600, "0.1.0", "studio.toml"), [])
    path = tmp_path / ODD_NAME / f"{ODD_NAME}.py"
    path.parent.mkdir()
    path.touch()
    file = PluginFile(PluginKey("studio", r"d\udce9mo"), str(path), 3, 1.0)
    studio.enrol([file], PluginState.LOADING, NOW)
    callback = Callback(CallbackKey(file.key, r"d\udce9mo"), 0, {"*": AttributeRule(Rule.ANY)})
    studio.describe(file, Manifest(file.key, 0, callbacks=(callback,)), NOW)
    return path


@pytest.mark.parametrize("name", [ODD_NAME, r"d\udce9mo", f"studio/{ODD_NAME}"])
def test_a_plugin_is_found_by_the_bytes_of_its_name_and_as_it_is_shown(odd: Path, config: Path, call: Call, name: str) -> None:
    assert call("hold", config, name, "--lane", ODD_NAME).code == 0
    assert call("hold", config, name, "--json").json[0]["plugin"] == r"d\udce9mo"
    assert "1 hold of" in call("release", config, name, "--lane", ODD_NAME).out
    assert "1 hold of" in call("release", config, name).out
    replay = call("replay", config, "100", "--plugin", name, "--callback", ODD_NAME, "--json")
    assert (replay.code, replay.err) == (0, "")
    explained = call("explain", config, "101", "--plugin", name.rpartition("/")[2], "--offline", "--json")
    assert [one["plugin"] for one in explained.json[0]["reasons"]] == [r"d\udce9mo"]
    assert "is there" in call("forget", config, name).err
    odd.unlink()
    assert call("forget", config, name, "--json").json == {"forgotten": [r"studio/d\udce9mo"], "skipped": 0}


def test_without_a_daemon_it_counts_whether_the_file_is_there(
    studio: SqliteLedger, config: Path, call: Call, tmp_path: Path
) -> None:
    studio.beat(Heartbeat(4711, NOW - 100, NOW - 3600, "0.1.0", "studio.toml"), [])
    (tmp_path / "tidier.py").touch()
    studio.enrol([PluginFile(TIDIER, str(tmp_path / "tidier.py"), 1, 1.0)], PluginState.READY, NOW)
    assert call("forget", config, "tidier").code == 1
    assert call("forget", config, "mailer", "--json").json == {"forgotten": ["studio/mailer"], "skipped": 3}
