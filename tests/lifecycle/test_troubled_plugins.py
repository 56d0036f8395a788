"""Plugins that can't be loaded or are held, while the others go on; and their way back."""

from __future__ import annotations

import os

import pytest

from callsheet.domain.delivery import State
from callsheet.domain.plugin import PluginState
from tests.support.running import RunningDaemon
from tests.support.studio import Studio
from tests.support.traces import legacy, noting

MANY = int(os.environ.get("CALLSHEET_HELD_EVENTS", "20000"))
"""100,000 take twice as long as all other tests of this folder together."""
MOST_WAITING = 2_000
PAGE = 500
CALLBACKS = 2
IDS = """
FILE = os.open(os.path.join(FOLDER, __name__ + ".ids"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def registerCallbacks(reg):
    for one in (first, second):
        reg.registerCallback("script", "key", one, {"Shotgun_Task_Change": ["sg_status_list"]}, None, True)

def first(sg, logger, event, args):
    os.write(FILE, b"first %d\\n" % event["id"])

def second(sg, logger, event, args):
    if event["id"] == FAILS and not flag("fixed"): raise ValueError("the farm is away")
    os.write(FILE, b"second %d\\n" % event["id"])
"""
"""A legacy plugin that notes events at the least cost, and whose second callback fails for one of them."""


def ids(studio: Studio, plugin: str) -> list[tuple[str, int]]:
    """Callback and event of each call that such a plugin noted."""
    file = studio.trace.folder / f"{plugin}.ids"
    words = file.read_bytes().split() if file.exists() else []
    return [(name.decode(), int(number)) for name, number in zip(words[::2], words[1::2], strict=True)]


def test_a_plugin_with_a_syntax_error_gets_all_that_it_missed_and_the_others_never_waited(studio: Studio) -> None:
    # Given a plugin that can't be loaded, beside one that can
    path = studio.write("broken", "def registerCallbacks(reg:\n")
    studio.write("other", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        events = studio.sandbox.add_events(1_000)

        # Then the other one gets all events
        daemon.until(lambda: studio.trace.events("other") == list(events))
        # And the broken one is told, with its file, and keeps its place
        record = studio.plugin("broken")
        assert record is not None
        assert (record.state, record.waiting, record.position) == (PluginState.BROKEN, 0, events[0] - 1)
        assert daemon.said(f"Could not load the plugin at {path}")
        assert "SyntaxError" in studio.status()["trouble"][0]["what"]

        # When it is fixed
        studio.write("broken", noting(options="lane='plugin'"))

        # Then it gets all of them in their order, and joins the others
        daemon.until(lambda: len(studio.trace.events("broken")) == 1_000)
        assert studio.trace.events("broken") == list(events)
        daemon.until(lambda: studio.site().positions == {"broken": None, "other": None})
        further = studio.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: studio.trace.events("broken")[-1] == studio.trace.events("other")[-1] == further)
        assert len(studio.trace.events("other")) == 1_001


def hold(studio: Studio, daemon: RunningDaemon, fails: int) -> None:
    """Wait until the plugin ``held`` is held at that event's second callback."""
    daemon.until(lambda: (now := studio.plugin("held")) and now.held == 1)
    (held,) = studio.deliveries(State.HELD)
    assert (held.callback, held.event_id) == ("second", fails)
    assert daemon.said(f"Plugin held is held at event {fails} (callback second): the farm is away.")


@pytest.mark.timeout(240)
def test_a_plugin_held_for_many_events_fills_no_disk_and_catches_up_in_order_after_release(studio: Studio) -> None:
    # Given a plugin that is held at an event, whose first callback has handled it
    studio.configure(most_waiting=MOST_WAITING, page=PAGE)
    start = studio.sandbox.add_event("Shotgun_Project_Change")
    fails = start + 5
    studio.write("held", f"FAILS = {fails}\n{IDS}")
    studio.write("other", f"FAILS = -1\n{IDS}")
    with studio.started() as daemon:
        events = studio.sandbox.add_events(MANY)
        hold(studio, daemon, fails)

        # When the others have got all of them meanwhile
        most = 0

        def others_are_done() -> bool:
            nonlocal most
            most = max(most, studio.waiting("held"))
            return studio.waiting("other") == 0 and studio.site().cursor == events[-1]

        daemon.until(others_are_done, timeout=120)

        # Then little waits for it
        assert ids(studio, "other") == [(name, event) for event in events for name in ("first", "second")]
        assert 0 < most <= MOST_WAITING + PAGE * CALLBACKS
        assert ids(studio, "held")[-1] == ("first", fails)
        size = (studio.state / "ledger.db").stat().st_size / 1e6
        print(f"{MANY:,} events: {most:,} deliveries waited at most; the ledger, history included, has {size:.0f} MB")  # noqa: T201

        # When the cause is fixed and it is released
        studio.trace.raise_flag("fixed")
        assert studio.command("release", "held").returncode == 0

        # Then it goes on at that very delivery, in order, and runs nothing again
        daemon.until(lambda: studio.waiting("held") == 0 and studio.site().positions["held"] is None, timeout=120)
        assert ids(studio, "held") == [(name, event) for event in events for name in ("first", "second")]
        assert studio.states() == {"done": 2 * CALLBACKS * MANY}


def test_a_changed_file_lets_a_held_plugin_go_on_at_the_delivery_that_failed(studio: Studio) -> None:
    studio.configure(most_waiting=100, page=50)
    events = studio.sandbox.add_events(1_000)
    studio.write("held", f"FAILS = {events[5]}\n{IDS}")
    with studio.start("--from", str(events[0])) as daemon:
        hold(studio, daemon, events[5])
        assert ids(studio, "held")[-1] == ("first", events[5])

        studio.write("held", f"FAILS = -1\n{IDS}")

        daemon.until(lambda: len(ids(studio, "held")) == 2_000)
        assert ids(studio, "held") == [(name, event) for event in events for name in ("first", "second")]


def test_a_plugin_that_fails_on_its_very_first_event_keeps_it_over_a_restart(studio: Studio) -> None:
    studio.write("plugin", legacy("if not flag('fixed'): raise ValueError('not yet')"))
    events = studio.sandbox.add_events(5)
    with studio.start("--from", str(events[0])) as daemon:
        daemon.until(lambda: (now := studio.plugin("plugin")) and now.held == 1)
        assert daemon.stop() == 0

    studio.trace.raise_flag("fixed")
    assert studio.command("release", "plugin").returncode == 0
    studio.drain()

    assert studio.trace.events("plugin") == list(events)


def test_what_is_held_stays_so_over_restarts_until_its_file_changes(studio: Studio) -> None:
    # Given a plugin that is held at the second of its events, for a cause that lies elsewhere
    events = studio.sandbox.add_events(3, "Shotgun_Task_Change")
    studio.write("held", f"FAILS = {events[1]}\n{IDS}")
    studio.drain("--from", str(events[0]), code=1)
    assert ids(studio, "held")[-1] == ("first", events[1])

    # When the daemon starts again with the file as it was, then it stays held
    log = studio.drain(code=1)
    assert "released" not in log
    assert ids(studio, "held")[-1] == ("first", events[1])
    assert (now := studio.plugin("held")) is not None
    assert now.held == 1

    # When the file changes while no daemon runs, then the next one goes on from that very delivery
    studio.write("held", f"FAILS = -1\n{IDS}")
    studio.drain()
    assert ids(studio, "held") == [(name, event) for event in events for name in ("first", "second")]


def test_a_held_lane_holds_no_other_lane(studio: Studio) -> None:
    tasks = [{"type": "Task", "id": number} for number in (301, 302)]
    body = "if event['entity']['id'] == 301: raise GiveUp('no use')"
    studio.write("plugin", "from callsheet import GiveUp\n" + noting(body, "on_dead='hold'"))
    with studio.started() as daemon:
        events = studio.sandbox.add_events(
            10, make=lambda number: {"entity": tasks[number % 2], "attribute_name": "sg_status_list"}
        )

        daemon.until(lambda: studio.trace.events("plugin") == list(events[1::2]))
        daemon.until(lambda: studio.states() == {"done": 5, "held": 1, "waiting": 4})


def test_a_slow_plugin_holds_up_nobody(studio: Studio) -> None:
    studio.write("slow", noting("wait_for('go')", "lane='plugin'"))
    studio.write("fast", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        events = studio.sandbox.add_events(200)
        daemon.until(lambda: studio.trace.events("fast") == list(events))
        assert studio.trace.events("slow") == []
        studio.trace.raise_flag("go")
        daemon.until(lambda: studio.trace.events("slow") == list(events))


def test_coroutines_run_at_once_and_those_that_hang_end_alone(studio: Studio) -> None:
    # Given a plugin one of whose coroutines waits for the test, another one for ever, and a third is not awaited
    studio.write(
        "plugin",
        """
        import asyncio
        from callsheet import on

        @on("Shotgun_Task_Change", lane="none", slots=4)
        async def waits(ctx):
            note("begun", ctx.event)
            while not flag("go"):
                await asyncio.sleep(0.01)
            note("done", ctx.event)

        @on("Shotgun_Task_Change", lane="none", slots=4, timeout=1, retry={"attempts": 1})
        async def hangs(ctx):
            await asyncio.sleep(3600)

        @on("Shotgun_Task_Change", lane="none", retry={"attempts": 1})
        def forgets(ctx):
            return hangs(ctx)
        """,
    )
    with studio.started() as daemon:
        events = list(studio.sandbox.add_events(2))
        daemon.until(lambda: sorted(studio.trace.events(word="begun")) == events)

        # When those that hang are past their deadline
        daemon.until(lambda: len(studio.deliveries(State.DEAD)) == 4)
        studio.trace.raise_flag("go")

        # Then those beside them end as they should, each in the call that it began with
        daemon.until(lambda: studio.states() == {"done": 2, "dead": 4})
        assert sorted(studio.trace.events()) == sorted(studio.trace.events(word="begun")) == events
        texts = {one.callback: one.failure.text for one in studio.deliveries(State.DEAD) if one.failure}
        assert texts["hangs"] == "It took longer than its timeout."
        assert texts["forgets"].startswith("forgets returned a coroutine that nobody awaited: declare the callback with async def")
