from __future__ import annotations

from dataclasses import replace

import click
import pytest

from callsheet.cli import status_view
from callsheet.domain.callback import CallbackKey, PluginKey
from callsheet.domain.delivery import State
from callsheet.domain.overview import (
    Condition,
    DiskSpace,
    FailingCallback,
    FailureSummary,
    Heartbeat,
    LedgerOwner,
    Overview,
    ServiceHealth,
    SessionFacts,
    SiteHealth,
    WaitingSince,
    WorkerRow,
)
from callsheet.domain.plugin import PluginRecord, PluginState
from callsheet.domain.reading import Gap, SiteState
from callsheet.report import json_output
from callsheet.report.daemon_troubles import STALE_AFTER
from callsheet.report.diagnostics import LATE, troubles
from callsheet.report.worker_troubles import LONG_CALL, REMARKED_CALL
from callsheet.wire.frames import SITE_FAILED
from tests.support.events import callback

NOW = 1_700_000_000.0
PLUGIN = PluginRecord(PluginKey("studio", "mailer"), "/plugins/mailer.py", 0, PluginState.READY, 0, None, 0, 0)
WELL = Overview(
    heartbeat=Heartbeat(pid=4711, started_at=NOW - 15_000, at=NOW - 1, version="0.1.0", config="studio.toml"),
    health=(SiteHealth("studio", "https://studio.example", newest=120, answered_at=NOW - 2, error=None),),
    sites=(SiteState("studio", cursor=118, clock=50.0, gaps=(Gap(110, 112, until=80.0),)),),
    plugins=(PLUGIN,),
    states={State.DONE: 1200, State.WAITING: 3},
    oldest_waiting=NOW - 4,
)


def told(shown: Overview) -> list[str]:
    return [f"{one.what} | {one.cure}" for one in troubles(shown, "studio.toml", NOW)]


def with_plugin(**changed: object) -> Overview:
    return replace(WELL, plugins=(replace(PLUGIN, **changed),))  # type: ignore[arg-type] # the tests below name real fields


def test_a_daemon_at_work_has_no_trouble() -> None:
    assert told(WELL) == []


def test_a_daemon_that_never_ran_is_told_how_to_start() -> None:
    (line,) = told(replace(WELL, heartbeat=None))
    assert line.startswith("The daemon has never run on this state folder. | Start it with `callsheet run studio.toml`")


@pytest.mark.parametrize(("age", "found"), [(STALE_AFTER, 0), (STALE_AFTER + 1, 1)])
def test_a_heartbeat_too_old_is_a_daemon_that_does_not_run(age: float, found: int) -> None:
    assert WELL.heartbeat is not None
    lines = told(replace(WELL, heartbeat=replace(WELL.heartbeat, at=NOW - age)))
    assert len(lines) == found
    assert all("last sign of life was 16 s ago, as process 4711" in line for line in lines)


@pytest.mark.parametrize("call", ["function publish of plugin mailer", "looking at its configuration"])
def test_a_toolkit_session_that_is_busy_beyond_all_measure_is_told_with_how_to_end_it(call: str) -> None:
    facts = SessionFacts("moth", "localized", "/configs/moth")
    row = WorkerRow("studio", (), 97, 4712, "busy", NOW, call=call, called_at=NOW - LONG_CALL, toolkit=facts)
    (line,) = told(replace(WELL, workers=(row,)))
    assert line.startswith("The Toolkit session of project moth has been ")
    assert f"{call} for 10 min" in line
    assert "`callsheet toolkit retire --now studio.toml studio/97`" in line


def test_a_lost_site_is_told_with_since_when_and_why() -> None:
    lost = replace(WELL.health[0], error="timed out", error_since=NOW - 180)
    (line,) = told(replace(WELL, health=(lost,)))
    assert "Site studio (https://studio.example) has not answered for 3 min: timed out" in line
    assert "`callsheet check studio.toml`" in line


def test_a_site_that_shows_another_event_log_is_told_with_the_commands_to_go_on() -> None:
    changed = replace(WELL.health[0], newest=70, problem="its newest event is 70, and it was read up to event 118")
    shown = replace(WELL, health=(changed,))
    (line,) = told(shown)
    assert (
        "Site studio (https://studio.example) does not show the event log that was read before: its newest event is 70, and" in line
    )
    for choice in ("--to-newest", "--from ID", "--same-log"):
        assert f"`callsheet reset-cursor studio.toml --site studio {choice}`" in line
    (site,) = json_output.overview(shown, [], NOW)["sites"]
    assert (site["newest"], site["behind"], site["problem"]) == (70, 0, changed.problem)


def test_what_waits_for_a_site_that_is_no_longer_configured_is_told() -> None:
    left = SiteState("old", cursor=9, waiting={"mailer": 2, "other": 1})
    (line,) = told(replace(WELL, sites=(*WELL.sites, left)))
    assert "Site old is no longer in the configuration, and 3 deliveries of it can't be run." in line
    assert "`callsheet skip studio.toml --site old`" in line
    assert told(replace(WELL, sites=(*WELL.sites, replace(left, waiting={"mailer": 0})))) == []


def test_what_a_stopped_daemon_heard_of_its_site_is_no_trouble_of_now() -> None:
    assert WELL.heartbeat is not None
    stopped = replace(WELL.heartbeat, at=NOW - 600)
    lost = replace(WELL.health[0], error="timed out", error_since=NOW - 700)
    shown = replace(WELL, heartbeat=stopped, health=(lost,))
    assert [line.startswith("The daemon is not running") for line in told(shown)] == [True]
    assert any("no, when last asked" in line for line in status_view.lines(shown, [], NOW))


def test_a_daemon_that_need_not_run_is_no_trouble_and_its_sites_are() -> None:
    lost = replace(WELL.health[0], error="timed out", error_since=NOW - 180)
    found = troubles(replace(WELL, heartbeat=None, health=(lost,)), "studio.toml", NOW, running=False)
    assert [one.what.split(" has ")[0] for one in found] == ["Site studio (https://studio.example)"]


def test_a_broken_plugin_is_told_with_its_problem_and_its_file() -> None:
    (line,) = told(
        with_plugin(state=PluginState.BROKEN, problem='Could not load it.\n\n  File "/plugins/mailer.py", line 3\nSyntaxError: bad')
    )
    assert "Plugin mailer can't be loaded: SyntaxError: bad (mailer.py, line 3)" in line
    assert "Fix /plugins/mailer.py" in line


@pytest.mark.parametrize("state", [PluginState.LOADING, PluginState.BROKEN])
@pytest.mark.parametrize(("left", "again"), [(4.2, "it is loaded again in 4 s."), (None, "it is loaded again.")])
def test_a_plugin_that_met_an_outage_is_told_with_when_it_is_loaded_again(
    state: PluginState, left: float | None, again: str
) -> None:
    problem = f"{SITE_FAILED}/plugins/mailer.py loaded.\n\nread: ProtocolError: 503 busy\ninfo: ProtocolError: 503 busy"
    worker = WorkerRow("studio", ("mailer",), state="backing off", retry_at=left and NOW + left)
    (line,) = told(replace(with_plugin(state=state, problem=problem), workers=(worker,)))
    assert line.startswith(f"The site failed while plugin mailer loaded: read: ProtocolError: 503 busy; {again}")
    assert "it gets every event that it missed" in line


def test_a_plugin_that_is_loaded_again_by_itself_is_told_so() -> None:
    worker = WorkerRow("studio", ("mailer",), state="backing off", retry_at=NOW + 30)
    (line,) = told(replace(with_plugin(state=PluginState.BROKEN, problem="Could not load it.\n\nOSError: EIO"), workers=(worker,)))
    assert "Plugin mailer can't be loaded: OSError: EIO" in line
    assert "it is loaded again in 30 s by itself, and when the file changes" in line


def test_a_held_plugin_is_told_with_how_to_look_and_how_to_go_on() -> None:
    (line,) = told(with_plugin(held=1, waiting=12))
    assert "mailer" in line
    assert "`callsheet deliveries studio.toml --plugin mailer --state held`" in line
    assert "`callsheet release studio.toml mailer`" in line


@pytest.mark.parametrize(("waiting", "words"), [(0, "(/plugins/mailer.py); nothing handles"), (1, "with 1 delivery still to come")])
def test_a_plugin_whose_file_is_away_is_told_with_how_to_give_it_up(waiting: int, words: str) -> None:
    (line,) = told(with_plugin(state=PluginState.GONE, waiting=waiting))
    assert words in line
    assert "`callsheet forget studio.toml mailer`" in line


def test_dead_deliveries_are_told_by_number() -> None:
    failing = FailureSummary(PLUGIN.key, dead=1234, held=0, last="ValueError: the farm is away")
    (line,) = told(replace(WELL, states={State.DEAD: 1234}, failing=(failing,)))
    assert "1,234 deliveries of plugin mailer failed for good, the last with: ValueError: the farm is away" in line
    assert "`callsheet retry studio.toml --plugin mailer --state dead`" in line


def test_why_a_lane_is_held_is_told() -> None:
    failing = FailureSummary(PLUGIN.key, dead=0, held=1, last="WorkerLost: The worker ended with exit code 7 during this delivery.")
    (line,) = told(replace(with_plugin(held=1, waiting=3), failing=(failing,)))
    assert "Plugin mailer has 1 lane held, and 3 deliveries still to come: WorkerLost: The worker ended with exit code 7" in line


@pytest.mark.parametrize(("seconds", "found"), [(LONG_CALL - 1, 0), (LONG_CALL, 1)])
def test_a_call_that_may_never_end_is_told_with_how_to_end_it(seconds: float, found: int) -> None:
    worker = WorkerRow("studio", ("mailer",), pid=4712, state="busy", call="callback mail at event 7 (delivery 9)")
    lines = told(replace(WELL, workers=(replace(worker, called_at=NOW - seconds),)))
    assert len(lines) == found
    assert all("The worker of mailer has been in callback mail at event 7 (delivery 9) for 10 min" in line for line in lines)
    assert all("`kill -9 4712`" in line and "`timeout`" in line for line in lines)


def test_a_worker_lost_again_and_again_while_loading_is_told_once() -> None:
    worker = WorkerRow("studio", ("mailer",), state="backing off", restarts=4, problem="loading took longer than 60 s")
    (line,) = told(replace(with_plugin(state=PluginState.BROKEN, problem="It died."), workers=(worker,)))
    assert line.startswith("Plugin mailer can't be loaded")


def test_with_several_sites_a_plugin_is_named_with_its_site() -> None:
    two = replace(with_plugin(held=1, waiting=1), sites=(*WELL.sites, SiteState("annex")))
    (line,) = told(two)
    assert "`callsheet release studio.toml studio/mailer`" in line


def test_status_in_text_fits_120_columns_and_says_all_is_well() -> None:
    lines = [click.unstyle(line) for line in status_view.lines(WELL, [], NOW)]
    assert lines == [
        "daemon      running for 4 h 10 min, process 4711, version 0.1.0",
        "",
        "SITE    ANSWERS       READ TO  NEWEST  BEHIND  WAITING FOR IDS",
        "studio  yes, 2 s ago      118     120       2  110-112",
        "",
        "PLUGIN  STATE  READ TO  WAITING  HELD  PROBLEM",
        "mailer  ready      118        0     0  -",
        "",
        "deliveries  3 waiting, 0 running, 0 retrying, 0 held, 1,200 done, 0 dead, 0 skipped",
        "            the oldest of those still to come has waited 4 s",
        "",
        "All is well.",
    ]


def test_status_in_json_says_the_same_as_data() -> None:
    shown = json_output.overview(WELL, [], NOW)
    assert shown["well"] is True
    assert shown["daemon"]["running"] is True
    assert shown["sites"] == [
        {
            "site": "studio",
            "url": "https://studio.example",
            "answers": True,
            "answered_at": "2023-11-14T22:13:18.000Z",
            "error": None,
            "error_since": None,
            "problem": None,
            "cursor": 118,
            "newest": 120,
            "behind": 2,
            "gaps": [{"first": 110, "last": 112, "plugin": None, "seconds_left": 30.0}],
        }
    ]
    assert shown["plugins"][0]["position"] == 118
    assert shown["deliveries"] == {"waiting": 3, "running": 0, "retrying": 0, "held": 0, "done": 1200, "dead": 0, "skipped": 0}


def test_a_site_that_was_never_asked_is_neither_well_nor_lost() -> None:
    never = replace(WELL, health=(), heartbeat=WELL.heartbeat)
    assert json_output.overview(never, [], NOW)["sites"][0]["answers"] is None
    assert any("not asked yet" in line for line in status_view.lines(never, [], NOW))


def test_a_daemon_that_never_ran_has_the_same_json_keys_as_one_that_runs() -> None:
    assert json_output.daemon(replace(WELL, heartbeat=None), NOW).keys() == json_output.daemon(WELL, NOW).keys()


def test_a_worker_that_is_lost_again_and_again_is_told_with_why_and_when_it_is_tried_again() -> None:
    lost = WorkerRow("studio", ("mailer",), state="backing off", restarts=6, problem="died of SIGSEGV", retry_at=NOW + 42)
    (line,) = told(replace(WELL, workers=(lost,)))
    assert line.startswith(
        "The worker of mailer was lost again and again (6 times), and is started again in 42 s: died of SIGSEGV | Nothing is lost"
    )
    assert "`callsheet deliveries studio.toml --plugin mailer --failures`" in line


def test_a_worker_that_a_kill_does_not_end_is_told_with_its_process() -> None:
    stuck = WorkerRow("studio", ("mailer",), pid=4711, state="stuck", since=NOW - 60)
    (line,) = told(replace(WELL, workers=(stuck,)))
    assert line.startswith("Process 4711, a worker of mailer, was killed and does not end (1 min ago)")
    assert "share" in line


@pytest.mark.parametrize("state", ["starting", "idle", "busy", "stopping"])
def test_a_worker_in_any_other_state_is_no_trouble(state: str) -> None:
    assert told(replace(WELL, workers=(WorkerRow("studio", ("mailer",), state=state, restarts=2, problem="killed"),))) == []


def test_workers_of_a_daemon_that_is_away_are_no_trouble_of_now() -> None:
    assert WELL.heartbeat is not None
    lost = WorkerRow("studio", ("mailer",), state="backing off", problem="killed")
    (line,) = told(replace(WELL, workers=(lost,), heartbeat=replace(WELL.heartbeat, stopped_at=NOW - 9)))
    assert line.startswith("The daemon is not running")


def with_service(**changed: object) -> Overview:
    assert WELL.heartbeat is not None
    service = replace(ServiceHealth("dispatch", limit=10.0, stepped_at=NOW - 1), **changed)  # type: ignore[arg-type] # real fields
    return replace(WELL, heartbeat=replace(WELL.heartbeat, services=(service,)))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"busy_since": NOW - 9}, None),
        ({"busy_since": NOW - 11}, "service dispatch hangs: its work has not got on for 11 s, where 10 s are the most"),
        ({"error": "the disk is full", "error_since": NOW - 5}, "service dispatch fails, for 5 s now: the disk is full"),
        ({"ended": True}, "service dispatch has ended, though the daemon runs"),
    ],
)
def test_a_service_that_does_not_do_its_work_is_told(changed: dict[str, object], words: str | None) -> None:
    found = troubles(with_service(**changed), "studio.toml", NOW)
    assert [one.key for one in found] == ([] if words is None else ["service:::dispatch"])
    assert all(words and words in one.what for one in found)


@pytest.mark.parametrize(
    ("answered", "patience", "found"),
    [(NOW - 59, 60.0, 0), (NOW - 61, 60.0, 1), (NOW - 100, 150.0, 0), (None, 60.0, 1)],
)
def test_a_site_that_was_not_read_for_too_long_is_told(answered: float | None, patience: float, found: int) -> None:
    shown = replace(WELL, health=(replace(WELL.health[0], answered_at=answered, patience=patience),))
    lines = told(shown)
    assert len(lines) == found
    assert all("Site studio (https://studio.example) has not been read for " in line for line in lines)


def test_a_site_that_was_not_read_yet_is_no_trouble_soon_after_the_start() -> None:
    assert WELL.heartbeat is not None
    young = replace(WELL.heartbeat, started_at=NOW - 30)
    assert told(replace(WELL, heartbeat=young, health=(replace(WELL.health[0], answered_at=None),))) == []


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        (DiskSpace("/state", int(300e6), int(10e9)), None),
        (
            DiskSpace("/state", int(199e6), int(10e9)),
            "nearly full: 199 MB of 10,000 MB are free; the daemon wants at least 200",
        ),
        (DiskSpace("/state", int(900e6), int(50e9)), "at least 1,000 MB"),
        (DiskSpace("/state", int(2.1e9), int(10e12)), None),
        (DiskSpace("/state", 0, int(10e9)), "The disk of /state is full: 0 MB"),
        (DiskSpace("/state", int(30e6), int(64e6)), None),
        (DiskSpace("/state", int(5e6), int(64e6)), "is nearly full"),
        (DiskSpace("/state", int(8e9), int(10e9), files=0), "is full: only 0 more files"),
    ],
)
def test_a_disk_without_room_is_told_with_how_much_is_wanted(disk: DiskSpace, words: str | None) -> None:
    found = troubles(replace(WELL, disks=(disk,)), "studio.toml", NOW)
    assert [one.key for one in found] == ([] if words is None else ["disk:::/state"])
    assert all(words and words in one.what for one in found)


@pytest.mark.parametrize(
    ("at", "owner", "words"),
    [
        (NOW - 1, LedgerOwner(held=False), "process 4711 was killed or crashed"),
        (NOW - 20, LedgerOwner(held=True, pid=4711, since=NOW - 900), "The daemon hangs: process 4711 has the ledger"),
        (NOW - 1, LedgerOwner(held=True, pid=4711, since=NOW - 900), None),
        (NOW - 600, LedgerOwner(held=True, pid=4711, since=NOW - 3), "just starting (process 4711)"),
        (NOW - 600, LedgerOwner(held=True, pid=5000, since=NOW - 3), "just starting (process 5000)"),
        (NOW - 600, LedgerOwner(held=True, pid=5000, since=NOW - 30), "hangs: process 5000 has the ledger, and has"),
        (NOW - 20, None, "is not running, or hangs"),
    ],
)
def test_the_lock_tells_a_killed_daemon_from_one_that_hangs(at: float, owner: LedgerOwner | None, words: str | None) -> None:
    assert WELL.heartbeat is not None
    shown = replace(WELL, heartbeat=replace(WELL.heartbeat, at=at), owner=owner)
    found = troubles(shown, "studio.toml", NOW)
    assert [one.key for one in found] == ([] if words is None else ["daemon"])
    assert all(words and words in one.what for one in found)
    assert json_output.daemon(shown, NOW)["running"] is (words is None)
    assert ("running for" in status_view.lines(shown, found, NOW)[0]) is (words is None)


def test_what_the_daemon_found_around_it_is_told_with_its_cure_and_since_when() -> None:
    assert WELL.heartbeat is not None
    gone = Condition("plugin-folder", "The plugin folder /mnt/p is not there.", NOW - 60, site="studio", place="/mnt/p")
    (found,) = troubles(replace(WELL, heartbeat=replace(WELL.heartbeat, conditions=(gone,))), "studio.toml", NOW)
    assert (found.key, found.since, found.what) == ("plugin-folder:studio::/mnt/p", NOW - 60, gone.what)
    assert "Mount or create it" in found.cure
    assert json_output.trouble(found).keys() == {"key", "since", "what", "next"}


def test_a_callback_all_of_whose_calls_fail_is_told_though_nothing_of_it_is_dead() -> None:
    always = FailingCallback(CallbackKey(PLUGIN.key, "react"), 25, NOW - 60, "ValueError: the farm is away")
    shown = replace(with_plugin(callbacks=(callback("react", plugin="mailer"),)), always_failing=(always,))
    (found,) = troubles(shown, "studio.toml", NOW)
    assert (found.key, found.since) == ("always-failing:studio:mailer:react", NOW - 60)
    assert "callback react of plugin mailer fails: the last 25 calls in a row; the last one with: ValueError:" in found.what
    # One that the plugin no longer has is no news
    assert told(replace(WELL, always_failing=(always,))) == []


@pytest.mark.parametrize(("age", "found"), [(LATE - 1, 0), (LATE + 1, 1)])
def test_a_delivery_that_could_have_run_for_long_is_told(age: float, found: int) -> None:
    shown = replace(WELL, late=(WaitingSince(PLUGIN.key, NOW - age),))
    lines = told(shown)
    assert len(lines) == found
    assert all("A delivery of plugin mailer has waited for 10 min" in line for line in lines)
    assert told(replace(shown, owner=LedgerOwner(held=False))) != lines  # of a daemon that is away, that alone is told


@pytest.mark.parametrize(
    ("seconds", "timeout", "shown_as"),
    [
        (REMARKED_CALL - 1, None, "nothing"),
        (REMARKED_CALL, None, "remark"),
        (REMARKED_CALL, 30.0, "remark"),
        (REMARKED_CALL, 900.0, "nothing"),
        (LONG_CALL - 1, None, "remark"),
        (LONG_CALL, None, "trouble"),
        (LONG_CALL, 900.0, "nothing"),
        (900.0, 900.0, "trouble"),
    ],
)
def test_a_call_that_takes_long_is_remarked_on_before_it_is_a_trouble(seconds: float, timeout: float | None, shown_as: str) -> None:
    mine = replace(callback("mail", plugin="mailer"), timeout=timeout)
    worker = WorkerRow("studio", ("mailer",), pid=4712, state="busy", call="callback mail at event 7 (delivery 9)")
    shown = replace(with_plugin(callbacks=(mine,)), workers=(replace(worker, called_at=NOW - seconds),))
    found = troubles(shown, "studio.toml", NOW)
    text = click.unstyle("\n".join(status_view.lines(shown, found, NOW)))
    facts = json_output.overview(shown, found, NOW)
    assert [one.key for one in found] == (["long-call:studio:mailer:4712"] if shown_as == "trouble" else [])
    assert ("Remarks:\n  The worker of mailer (process 4712) has been in callback mail" in text) == (shown_as == "remark")
    assert [one.split(" (")[0] for one in facts["remarks"]] == (["The worker of mailer"] if shown_as == "remark" else [])
    assert facts["well"] is (shown_as != "trouble")
