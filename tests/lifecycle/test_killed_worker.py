"""``kill -9`` of a worker while the daemon lives: another one takes over, and no callback that had finished runs again."""

from __future__ import annotations

import os
import signal

import pytest

from callsheet.domain.delivery import State
from tests.support.studio import Studio
from tests.support.traces import disorder, legacy, noting


def test_an_idle_worker_is_replaced_before_the_next_event(studio: Studio) -> None:
    # Given a worker that has nothing to do
    studio.write("plugin", noting())
    with studio.started() as daemon:
        first = studio.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: studio.states() == {"done": 1})
        (worker,) = {one.pid for one in studio.trace.calls("plugin")}

        # When it is killed
        os.kill(worker, signal.SIGKILL)
        daemon.until(lambda: daemon.said("The worker of the plugin was lost"))

        # Then the next event goes to another one
        second = studio.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: studio.states() == {"done": 2})
        assert studio.trace.events("plugin") == [first, second]
        assert studio.trace.calls("plugin")[-1].pid != worker
        assert daemon.said("while idle")


def test_a_callback_whose_worker_is_killed_runs_again_and_no_other_does(studio: Studio) -> None:
    events = studio.sandbox.add_events(30)
    at = events[12]
    studio.write("plugin", noting(f"note('begun', event)\nif event['id'] == {at}: wait_for('go')", "lane='plugin'"))
    with studio.start("--from", str(events[0])) as daemon:
        daemon.until(lambda: at in studio.trace.events("plugin", word="begun"))
        worker = studio.trace.calls("plugin", word="begun")[-1].pid
        studio.trace.raise_flag("go")

        os.kill(worker, signal.SIGKILL)

        daemon.until(lambda: studio.states() == {"done": 30})
        again = [one for one in events if studio.trace.events("plugin", word="begun").count(one) > 1]
        assert again in ([at], []), "only what ran in it may run again"  # none, where the flag was faster than the kill
        assert disorder(studio.trace.calls("plugin")) == []
        assert set(studio.trace.events("plugin")) == set(events)


IN_THE_SECOND = legacy("", "if event['id'] == {at} and once('died'): die()")
# What only Python can decide is decided in the worker: after the callback before was reported, before this one is called.
BETWEEN_TWO = """
from callsheet import on

def kills(event):
    if event["id"] == {at} and once("died"): die()
    return True

@on("Shotgun_Task_Change", lane="plugin")
def first(ctx): note("done", ctx.event, "first")

@on("Shotgun_Task_Change", lane="plugin", where=kills)
def second(ctx): note("done", ctx.event, "second")
"""


@pytest.mark.parametrize("source", [IN_THE_SECOND, BETWEEN_TWO], ids=["in the second callback", "between two callbacks"])
def test_what_had_finished_of_a_run_is_not_run_again(studio: Studio, source: str) -> None:
    events = studio.sandbox.add_events(30)
    studio.write("plugin", source.replace("{at}", str(events[12])))

    log = studio.drain("--from", str(events[0]))

    assert "SIGKILL" in log
    assert studio.trace.events("plugin", callback="first") == list(events)
    assert studio.trace.events("plugin", callback="second") == list(events)
    assert studio.states() == {"done": 60}


def test_a_worker_killed_while_it_loads_its_plugin_is_started_again(studio: Studio) -> None:
    events = studio.sandbox.add_events(5)
    studio.write("plugin", "if once('died'): die()\n" + noting())
    studio.write("other", noting())
    with studio.start("--from", str(events[0])) as daemon:
        daemon.until(lambda: studio.states() == {"done": 10})
        assert daemon.said("The worker died while loading it: was killed by signal 9 (SIGKILL)")
        assert studio.trace.events("plugin") == studio.trace.events("other") == list(events)
        assert daemon.stop() == 0


def test_a_delivery_that_kills_every_worker_is_given_up_and_its_lane_goes_on(studio: Studio) -> None:
    events = studio.sandbox.add_events(10)
    poison = events[4]
    studio.write("plugin", noting(f"note('begun', event)\nif event['id'] == {poison}: die()", "lane='plugin'"))
    studio.write("other", noting())

    studio.drain("--from", str(events[0]), code=1)

    assert studio.trace.events("plugin", word="begun").count(poison) == 3
    assert studio.trace.events("plugin") == [one for one in events if one != poison]
    assert studio.trace.events("other") == list(events)
    (dead,) = studio.deliveries(State.DEAD)
    assert (dead.plugin, dead.event_id) == ("plugin", poison)
