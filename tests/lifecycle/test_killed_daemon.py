"""``kill -9`` of the daemon at each step of an event's path: nothing lost, order kept, nothing finished run again."""

from __future__ import annotations

import sys

import pytest

from callsheet.domain.delivery import State
from tests.support.kill_points import POINTS
from tests.support.running import alive
from tests.support.studio import Studio
from tests.support.traces import disorder, legacy, noting
from tests.support.waiting import until

EVENTS = 120
PAGE = 20
SIGKILLED = -9


def doomed(point: str, passing: int) -> list[str]:
    return [sys.executable, "-m", "tests.support.kill_points", point, str(passing)]


def finished(studio: Studio) -> set[tuple[str, str, int]]:
    """Plugin, callback and event of each delivery whose end is in the ledger."""
    return {(one.plugin, one.callback, one.event_id) for one in studio.deliveries(State.DONE)}


def assert_all_well(studio: Studio, events: range, before: set[tuple[str, str, int]], lives: int) -> None:
    """Judge the trace and the ledger: ``before`` was finished when the daemon was killed, ``lives`` is how long the trace was."""
    calls = studio.trace.calls()
    due = {
        (plugin, callback, event)
        for event in events
        for plugin, callback in (("lanes", "noted"), ("old", "first"), ("old", "second"))
    }
    run = [(one.plugin, one.callback, one.event) for one in calls]
    assert set(run) == due, "lost, or never asked for"
    assert all(run.count(one) == 1 for one in before), "a callback whose end was recorded has run again"
    assert disorder(calls[:lives]) == []
    assert disorder(calls[lives:]) == []
    # One event's callbacks keep their order, also when the kill came between them.
    firsts, seconds = studio.trace.events("old", callback="first"), studio.trace.events("old", callback="second")
    assert list(dict.fromkeys(firsts)) == list(dict.fromkeys(seconds)) == list(events)
    assert studio.states() == {"done": len(due)}
    assert studio.site().cursor == events[-1]


@pytest.mark.parametrize("point", POINTS)
def test_a_daemon_killed_at_any_step_loses_nothing_and_repeats_nothing_that_was_settled(studio: Studio, point: str) -> None:
    # Given a daemon that will be killed at that step of the path
    studio.configure(page=PAGE)
    studio.write("lanes", noting())
    studio.write("old", legacy("", ""))
    events = studio.sandbox.add_events(EVENTS)
    with studio.start("--drain", "--from", str(events[0]), command=doomed(point, 2)) as daemon:
        assert daemon.wait() == SIGKILLED, daemon.tail()
    before, lives = finished(studio), len(studio.trace.calls())
    assert len(before) < 3 * EVENTS, "the kill came too late to be a test"

    # When it is started again as it is
    studio.drain()

    # Then all have run, and what was settled has run once
    assert_all_well(studio, events, before, lives)


def test_a_daemon_killed_while_a_callback_runs_runs_that_one_again(studio: Studio) -> None:
    # Given a callback that runs
    events = studio.sandbox.add_events(10)
    fifth = events[4]
    studio.write("slow", noting(f"if event['id'] == {fifth}: note('begun', event); wait_for('go')", "lane='plugin'"))
    with studio.start("--from", str(events[0])) as daemon:
        daemon.until(lambda: studio.trace.events("slow", word="begun"))
        (worker,) = {one.pid for one in studio.trace.calls("slow", word="begun")}
        daemon.until(lambda: studio.states().get("done") == 4)
        # When the daemon is killed
        daemon.kill()

    # Then its worker ends with it, although nobody told it to
    until(lambda: not alive(worker))
    # And the next daemon runs that callback again, and no other one twice
    studio.trace.raise_flag("go")
    studio.drain()
    assert studio.trace.events("slow", word="begun") == [fifth, fifth]
    assert studio.trace.events("slow") == list(events)


def test_killed_again_and_again_it_still_gets_through(studio: Studio) -> None:
    studio.configure(page=PAGE)
    studio.write("lanes", noting())
    studio.write("old", legacy("", ""))
    events = studio.sandbox.add_events(EVENTS)
    arguments = ["--drain", "--from", str(events[0])]
    for point, passing in [("after-record", 2), ("before-settle", 1), ("claim", 2), ("decide", 7), ("after-settle", 1)]:
        with studio.start(*arguments, command=doomed(point, passing)) as daemon:
            assert daemon.wait() == SIGKILLED, daemon.tail()
        arguments = ["--drain"]
    before, lives = finished(studio), len(studio.trace.calls())

    studio.drain()

    assert {one.event for one in studio.trace.calls("lanes")} == set(events)
    assert disorder(studio.trace.calls()[lives:]) == []
    assert finished(studio) >= before
    assert studio.states() == {"done": 3 * EVENTS}


def test_a_kill_in_the_middle_of_a_first_start_leaves_a_ledger_that_can_be_used(studio: Studio) -> None:
    studio.write("lanes", noting())
    with studio.launch() as daemon:
        daemon.until((studio.state / "ledger.db").exists)
        daemon.kill()

    with studio.started():
        pass
    events = studio.sandbox.add_events(5)
    studio.drain()

    assert studio.trace.events("lanes") == list(events)


def test_status_says_at_once_that_the_daemon_was_killed(studio: Studio) -> None:
    studio.write("lanes", noting())
    with studio.started() as daemon:
        assert studio.status()["daemon"]["state"] == "running"
        daemon.kill()
        shown = studio.status()
    assert (shown["daemon"]["running"], shown["daemon"]["state"]) == (False, "killed")
    assert [(one["key"], f"process {daemon.pid} was killed or crashed" in one["what"]) for one in shown["trouble"]] == [
        ("daemon", True)
    ]
    assert studio.command("status").returncode == 1
