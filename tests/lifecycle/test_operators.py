"""Operators' commands on a running daemon: hold, release and replay; and kills in the middle of them."""

from __future__ import annotations

import json
import sys
import time

import pytest

from callsheet.domain.delivery import State
from tests.support.kill_points import REPLAY_POINTS
from tests.support.running import RunningDaemon
from tests.support.studio import Studio
from tests.support.traces import Call, noting

SIGKILLED = -9


def hold(studio: Studio, *arguments: str) -> None:
    done = studio.command("hold", *arguments, "--why", "the farm is down")
    assert done.returncode == 0, done.stderr


def release(studio: Studio, *arguments: str) -> None:
    done = studio.command("release", *arguments)
    assert done.returncode == 0, done.stderr


def replay(studio: Studio, events: str, *arguments: str, plugin: str = "plugin") -> str:
    done = studio.command("replay", events, "--plugin", plugin, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def done(studio: Studio, plugin: str = "plugin") -> list[int]:
    return studio.trace.events(plugin)


# -- hold and release


def test_a_held_plugin_finishes_what_runs_and_takes_nothing_until_it_is_released(studio: Studio) -> None:
    # Given a plugin that is at work, and a neighbour
    studio.write("plugin", noting("note('begun', event); wait_for('go')", "lane='plugin'"))
    studio.write("neighbour", noting())
    with studio.started() as daemon:
        first = studio.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: studio.trace.events("plugin", word="begun") == [first])
        # When it is held, what it is at ends, and more comes
        hold(studio, "plugin")
        studio.trace.raise_flag("go")
        later = studio.sandbox.add_events(3)
        daemon.until(lambda: set(later) <= set(done(studio, "neighbour")))
        daemon.until(lambda: done(studio) == [first])
        daemon.until(lambda: len(studio.deliveries(State.WAITING)) == 3)
        # Then it stands still, and is no trouble
        status = studio.status()
        assert status["well"], status["trouble"]
        (standing,) = [one for one in status["plugins"] if one["plugin"] == "plugin"]
        assert standing["standing"] == "on hold"
        assert standing["holds"][0]["why"] == "the farm is down"
        shown = " ".join(studio.command("status").stdout.split())
        assert "On purpose:" in shown
        assert "because: the farm is down" in shown
        # Also after a change of its file
        path = studio.write("plugin", noting("", "lane='plugin'"))
        daemon.until(lambda: daemon.said(f"Reloading plugin at {path}"))
        daemon.until(lambda: studio.status()["plugins"][1]["state"] == "ready")
        daemon.watch(0.7)
        assert done(studio) == [first]
    # And after a restart
    with studio.started() as daemon:
        daemon.watch(0.7)
        assert done(studio) == [first]
        # Until it is released
        began = time.monotonic()
        release(studio, "plugin")
        daemon.until(lambda: done(studio) == [first, *later])
        assert time.monotonic() - began < 10


def test_a_hold_takes_back_what_waits_in_the_worker(studio: Studio) -> None:
    # Given a worker that was handed a long run
    studio.write("plugin", noting("note('begun', event); wait_for(str(event['id']))", "lane='plugin'"))
    with studio.start("--from", str(studio.sandbox.add_event("Shotgun_Task_Change"))) as daemon:
        events = [studio.site().cursor or 0, *studio.sandbox.add_events(20)]
        daemon.until(lambda: studio.trace.events("plugin", word="begun"))
        daemon.until(lambda: len(studio.deliveries()) == 21)
        first = studio.trace.events("plugin", word="begun")[0]
        studio.trace.raise_flag(str(first))
        daemon.until(lambda: len(studio.trace.events("plugin", word="begun")) == 2)
        second = studio.trace.events("plugin", word="begun")[1]
        # When it is held in the middle of it
        hold(studio, "plugin")
        daemon.watch(1.5)  # the daemon looks for holds every half second
        for event in events:
            studio.trace.raise_flag(str(event))
        # Then the one that runs is the last one
        daemon.until(lambda: not studio.deliveries(State.RUNNING))
        daemon.watch(0.7)
        assert done(studio) == [first, second]
        release(studio, "plugin")
        daemon.until(lambda: len(done(studio)) == 21)
        assert done(studio) == sorted(done(studio))


def test_a_held_lane_lets_the_others_go_on(studio: Studio) -> None:
    studio.write("plugin", noting(options="lane='meta.entity_id'"))
    with studio.started() as daemon:
        hold(studio, "plugin", "--lane", "101")
        held, free = (
            [studio.sandbox.add_event("Shotgun_Task_Change", meta={"entity_type": "Task", "entity_id": one}) for _ in range(3)]
            for one in (101, 102)
        )
        daemon.until(lambda: done(studio) == free)
        assert {one.lane for one in studio.deliveries(State.WAITING)} == {"101"}
        release(studio, "plugin", "--lane", "101")
        daemon.until(lambda: done(studio) == [*free, *held])


def test_a_helper_beside_plugins_is_no_trouble_unless_it_was_a_plugin_before(studio: Studio) -> None:
    studio.write("helper", "WORD = 'used'\n")
    studio.write("plugin", "import helper\n" + noting())
    with studio.started() as daemon:
        daemon.until(lambda: [one["standing"] for one in studio.status()["plugins"]] == ["no plugin", "ready"])
        assert daemon.said("Did not find a registerCallbacks function")
        assert studio.status()["well"]
        studio.write("plugin", "import helper\n")
        daemon.until(lambda: not studio.status()["well"])
        assert [one["standing"] for one in studio.status()["plugins"]] == ["no plugin", "broken"]


# -- replay


def test_a_replay_on_a_running_daemon_delivers_again_in_order_and_says_so(studio: Studio) -> None:
    studio.configure(page=20)
    studio.write("plugin", noting())
    studio.write("neighbour", noting())
    with studio.started() as daemon:
        events = studio.sandbox.add_events(60)
        daemon.until(lambda: studio.states().get("done") == 120)
        before = studio.trace.calls("plugin")
        # When all but the first ten are replayed
        said = replay(studio, f"{events[10]}..{events[-1]}", "--dry-run", "--json")
        assert [(one["event_id"], one["would_be"]) for one in json.loads(said)] == [(one, "again") for one in events[10:]]
        assert studio.trace.calls("plugin") == before
        replay(studio, f"{events[10]}..{events[-1]}", "--why", "lost on the way")
        # Then they run again, for that plugin alone, in order
        daemon.until(lambda: len(done(studio)) == 110)
        assert set(done(studio)[60:]) == set(events[10:])
        assert in_order(studio.trace.calls("plugin")[60:])
        assert len(done(studio, "neighbour")) == 60
        assert daemon.said("50 events made 50 deliveries wait")
        (shown,) = studio.status()["replays"]
        assert (shown["deliveries"], shown["why"], shown["ended_at"] is not None) == (50, "lost on the way", True)
        (record,) = json.loads(studio.command("operations", "--json").stdout)
        assert (record["verb"], record["changed"]) == ("replay", 50)


def test_a_replay_waits_for_room_and_goes_on(studio: Studio) -> None:
    studio.configure(page=10, most_waiting=20)
    studio.write("plugin", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        events = studio.sandbox.add_events(80)
        daemon.until(lambda: studio.states() == {"done": 80})
        hold(studio, "plugin")
        replay(studio, f"{events[0]}..{events[-1]}")
        daemon.until(lambda: len(studio.deliveries(State.WAITING)) >= 10)
        daemon.watch(0.7)
        assert len(studio.deliveries(State.WAITING)) <= 20
        release(studio, "plugin")
        daemon.until(lambda: len(done(studio)) == 160)
        assert done(studio) == [*events, *events]


@pytest.mark.parametrize("point", REPLAY_POINTS)
def test_a_daemon_killed_in_the_middle_of_a_replay_goes_on_with_it(studio: Studio, point: str) -> None:
    # Given work that is done, and a replay of it that was asked for while nobody ran
    studio.configure(page=20)
    studio.write("plugin", noting())
    events = studio.sandbox.add_events(100)
    studio.drain("--from", str(events[0]))
    replay(studio, f"{events[0]}..{events[-1]}")
    # When the daemon is killed at the third page of it
    command = [sys.executable, "-m", "tests.support.kill_points", point, "3"]
    with studio.start("--drain", command=command) as daemon:
        assert daemon.wait() == SIGKILLED, daemon.tail()
    lives = len(done(studio))
    assert lives < 200, "the kill came too late to be a test"
    settled = {one.event_id for one in studio.deliveries(State.DONE) if one.event_id in done(studio)[100:]}
    # And started again
    studio.drain()
    # Then each event was delivered once more; twice only if its end had not reached the ledger
    again = done(studio)[100:]
    assert set(again) == set(events), "lost"
    assert all(again.count(one) == 1 for one in settled)
    assert in_order(studio.trace.calls("plugin")[100:lives])
    assert in_order(studio.trace.calls("plugin")[lives:])
    assert studio.states() == {"done": 100}
    assert studio.status()["replays"][0]["ended_at"] is not None


def test_a_replay_brings_back_what_the_ledger_has_forgotten(studio: Studio) -> None:
    studio.configure({"history": 0})
    studio.write("plugin", noting())
    events = studio.sandbox.add_events(5)
    studio.drain("--from", str(events[0]))
    with studio.ledger() as ledger:
        ledger.prune(time.time() + 1)
        assert ledger.overview().states[State.DONE] == 0
    assert "5 new, 0 again, 0 left alone" in replay(studio, f"{events[0]}..{events[-1]}", "--dry-run")
    replay(studio, f"{events[0]}..{events[-1]}")
    studio.drain()
    assert sorted(done(studio)) == sorted([*events, *events])


def test_a_replay_that_is_stopped_reads_no_further(studio: Studio) -> None:
    studio.configure(page=10, most_waiting=20)
    studio.write("plugin", noting())
    with studio.started() as daemon:
        events = studio.sandbox.add_events(80)
        daemon.until(lambda: studio.states() == {"done": 80})
        hold(studio, "plugin")
        replay(studio, f"{events[0]}..{events[-1]}")
        made = daemon.until(lambda: waiting_for_room(studio, daemon))
        number = studio.status()["replays"][0]["id"]
        assert studio.command("replay", "--stop", str(number)).returncode == 0
        assert studio.command("replay", "--stop", str(number)).returncode == 1
        release(studio, "plugin")
        daemon.until(lambda: studio.states() == {"done": 80})
        daemon.watch(0.7)
        assert len(done(studio)) == 80 + made


def waiting_for_room(studio: Studio, daemon: RunningDaemon) -> int:
    """How much a replay has made waiting, once it does not grow any more."""
    before = len(studio.deliveries(State.WAITING))
    daemon.watch(0.6)
    return before if before and before == len(studio.deliveries(State.WAITING)) else 0


def in_order(calls: list[Call]) -> bool:
    """Whether each lane's events ascend."""
    lanes: dict[str, list[int]] = {}
    for one in calls:
        lanes.setdefault(one.lane, []).append(one.event)
    return all(events == sorted(events) for events in lanes.values())


# -- plugins that come back


OLD = "2026-01-05T08:00:00Z"


def far_behind(studio: Studio, daemon: RunningDaemon) -> range:
    """A plugin that was gone while old events were read comes back, and is held; the events that it missed."""
    daemon.until(lambda: standing(studio, "plugin") == "ready" and standing(studio, "neighbour") == "ready")
    first = studio.sandbox.add_event("Shotgun_Task_Change", created_at=OLD)
    daemon.until(lambda: done(studio) == [first])
    daemon.until(lambda: studio.health().newest == first)
    path = studio.plugins / "plugin.py"
    path.rename(path.with_suffix(".away"))
    daemon.until(lambda: standing(studio, "plugin") == "gone")
    missed = studio.sandbox.add_events(700, created_at=OLD)
    daemon.until(lambda: len(done(studio, "neighbour")) == 701)
    path.with_suffix(".away").rename(path)
    daemon.until(lambda: daemon.said("Plugin plugin is back after its file was gone"))
    daemon.until(lambda: standing(studio, "plugin") == "on hold")
    return missed


def standing(studio: Studio, plugin: str) -> str | None:
    if studio.plugin(plugin) is None:
        return None
    return next((str(one["standing"]) for one in studio.status()["plugins"] if one["plugin"] == plugin), None)


@pytest.fixture
def two(studio: Studio) -> Studio:
    for name in ("plugin", "neighbour"):
        studio.write(name, noting())
    return studio


def test_a_plugin_that_comes_back_far_behind_gets_nothing_until_an_operator_says_so(two: Studio) -> None:
    with two.started() as daemon:
        missed = far_behind(two, daemon)
        # Then that is a trouble, with both ways on; and it stands still, over a restart, too
        status = two.status()
        (trouble,) = status["trouble"]
        assert trouble["what"].startswith(
            "Plugin plugin is held, since it came back too far behind: its file was gone, and it would"
        )
        assert f"`callsheet release {two.config} plugin`" in trouble["next"]
        assert f"`callsheet skip {two.config} --plugin plugin --to-newest`" in trouble["next"]
        assert daemon.stop() == 0
    with two.started() as daemon:
        daemon.until(lambda: standing(two, "plugin") == "on hold")
        before = len(done(two))
        # And gets all of it once it is released
        release(two, "plugin")
        daemon.until(lambda: set(missed) <= set(done(two)), 60)
        assert (before, len(done(two))) == (1, 701)
        assert two.status()["well"]


def test_a_plugin_that_comes_back_far_behind_may_start_at_the_newest_event(two: Studio) -> None:
    with two.started() as daemon:
        missed = far_behind(two, daemon)
        sent = two.command("skip", "--plugin", "plugin", "--to-newest", "--why", "it is another tool now")
        assert (sent.returncode, sent.stderr) == (0, "")
        assert sent.stdout == f"Plugin plugin goes on behind event {missed[-1]}.\n"
        next_one = two.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: next_one in done(two))
        assert len(done(two)) == 2
        assert two.status()["well"]
    sent_on, held = json.loads(two.command("operations", "--json").stdout)
    assert (sent_on["verb"], sent_on["why"]) == ("skip", "it is another tool now")
    assert sent_on["asked"] == f"site studio, plugin plugin, on behind event {missed[-1]}"
    assert (held["verb"], held["who"]) == ("hold", "callsheet")


def test_a_plugin_that_is_forgotten_while_the_daemon_runs_comes_back_as_a_new_one(two: Studio) -> None:
    with two.started() as daemon:
        first = two.sandbox.add_event("Shotgun_Task_Change", created_at=OLD)
        daemon.until(lambda: done(two) == done(two, "neighbour") == [first])
        assert "plugin plugin is there" in two.command("forget", "plugin").stderr
        path = two.plugins / "plugin.py"
        text = path.read_text()
        path.unlink()
        daemon.until(lambda: standing(two, "plugin") == "gone")
        missed = two.sandbox.add_events(3, created_at=OLD)
        daemon.until(lambda: set(missed) <= set(done(two, "neighbour")))
        assert two.command("forget", "plugin").returncode == 0
        assert standing(two, "plugin") is None
        assert [one.event_id for one in two.deliveries(plugin="plugin")] == [first]
        later = two.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: later in done(two, "neighbour"))
        # When a file of that name appears
        path.write_text(text)
        daemon.until(lambda: standing(two, "plugin") == "ready")
        new = two.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: new in done(two))
        assert done(two) == [first, new]
        assert two.status()["well"]


def test_a_plugin_that_waited_with_the_daemon_gets_all_of_it_however_old(two: Studio) -> None:
    # Given a daemon that was down while days passed at the site
    with two.started() as daemon:
        first = two.sandbox.add_event("Shotgun_Task_Change", created_at=OLD)
        daemon.until(lambda: done(two) == [first])
        assert daemon.stop() == 0
    missed = two.sandbox.add_events(20, created_at=OLD)
    # When it starts, also before the plugin's file can be seen
    path = two.plugins / "plugin.py"
    path.rename(path.with_suffix(".away"))
    with two.started() as daemon:
        daemon.until(lambda: set(missed) <= set(done(two, "neighbour")))
        path.with_suffix(".away").rename(path)
        # Then the plugin gets it
        daemon.until(lambda: set(missed) <= set(done(two)))
        assert two.status()["well"]
