"""Bursts that are folded, and batches, in whole daemons: nothing is lost, and nothing is called that need not be."""

from __future__ import annotations

import time

from callsheet.domain.delivery import State
from tests.support.running import RunningDaemon
from tests.support.studio import Studio
from tests.support.traces import noting

QUIET = 0.4
LONG = 30
FOLDING = """
note("folded", event, text=",".join(map(str, ctx.folded)))
if event["meta"].get("new_value") == "bad" and not flag("fixed"): raise ValueError("bad value")
"""


def burst(studio: Studio, count: int, **meta: object) -> list[int]:
    """Events of one task, one behind another."""
    task = studio.sandbox.connect().find_one("Task", [])
    about = {"entity_type": "Task", "entity_id": task["id"], **meta}
    return list(studio.sandbox.add_events(count, entity=task, meta=about))


def folds(studio: Studio) -> list[tuple[int, str]]:
    """Which event stood for which."""
    return [(one.event, one.text) for one in studio.trace.calls("folding", word="folded")]


def listed(events: list[int]) -> str:
    return ",".join(map(str, events))


def states(studio: Studio, plugin: str) -> dict[int, State]:
    return {one.event_id: one.state for one in studio.deliveries(plugin=plugin)}


def waits(studio: Studio, daemon: RunningDaemon, count: int) -> None:
    """So many deliveries wait for their lane to be quiet."""
    daemon.until(lambda: len(studio.deliveries(State.WAITING, plugin="folding")) == count)


def test_a_burst_is_one_call_with_its_last_event_and_others_do_not_wait(studio: Studio) -> None:
    # Given a callback that folds, and one of the same plugin that does not
    other = "\n@on('Shotgun_Task_Change')\ndef each(ctx): note('each', ctx.event)\n"
    studio.write("folding", noting(FOLDING, f"settle={QUIET}") + other)
    with studio.started() as daemon:
        # When a burst comes
        began = time.time()
        events = burst(studio, 50)

        # Then the one gets all at once, and the other the last of them once it has been quiet
        daemon.until(lambda: studio.trace.events("folding", word="each") == events)
        daemon.until(lambda: folds(studio) == [(events[-1], listed(events[:-1]))])
        daemon.until(lambda: not studio.waiting("folding"))
        folded = [one for one in studio.deliveries(plugin="folding") if one.callback == "noted"]
        assert [one.state for one in folded] == [State.SKIPPED] * 49 + [State.DONE]
        assert {one.failure.text for one in folded[:-1] if one.failure} == {f"folded into event {events[-1]}"}
        assert folded[-1].started_at is not None
        assert folded[-1].started_at - began >= QUIET


def test_a_burst_survives_the_daemon_and_waits_no_less_for_it(studio: Studio) -> None:
    # Given a burst that waits
    studio.write("folding", noting(FOLDING, f"settle={LONG}"))
    with studio.started() as daemon:
        first = burst(studio, 5)
        waits(studio, daemon, 5)
        daemon.kill()
    assert folds(studio) == []

    # When the daemon comes back, and more of it comes
    with studio.started() as daemon:
        second = burst(studio, 3)
        waits(studio, daemon, 8)
        daemon.kill()
    assert folds(studio) == []

    # Then it is folded as one, once its time has come
    studio.write("folding", noting(FOLDING, f"settle={QUIET}"))
    with studio.started() as daemon:
        third = burst(studio, 1)
        events = [*first, *second, *third]
        daemon.until(lambda: folds(studio) == [(events[-1], listed(events[:-1]))])
        daemon.until(lambda: not studio.waiting("folding"))


def test_a_burst_whose_call_fails_or_dies_loses_nothing(studio: Studio) -> None:
    # Given a callback that fails, and takes its worker down, and the daemon too
    body = FOLDING + "if once('died'): die()\nif not flag('lived'): wait_for('lived')\n"
    studio.write("folding", noting(body, f"settle={QUIET}, retry={{'first': 0.2, 'factor': 1}}"))
    with studio.started() as daemon:
        events = burst(studio, 4, new_value="bad")
        daemon.until(lambda: len(folds(studio)) >= 2)
        assert set(folds(studio)) == {(events[-1], listed(events[:-1]))}
        assert set(states(studio, "folding").values()) <= {State.RETRYING, State.WAITING, State.RUNNING}

        # When it works, but the daemon is killed in the middle
        studio.trace.raise_flag("fixed")
        daemon.until((studio.trace.folder / "died.flag").exists)
        calls = len(folds(studio))
        daemon.until(lambda: len(folds(studio)) > calls)
        daemon.kill()

    # Then the same burst, and what came meanwhile, is folded again
    more = burst(studio, 2)
    studio.trace.raise_flag("lived")
    with studio.started() as daemon:
        daemon.until(lambda: studio.states() == {"done": 1, "skipped": 5} or studio.states() == {"done": 2, "skipped": 4})
    assert studio.trace.events("folding")[-1] == more[-1]
    assert all(state in (State.DONE, State.SKIPPED) for state in states(studio, "folding").values())


def test_batches_of_a_lane_come_in_order_and_what_failed_together_comes_again_together(studio: Studio) -> None:
    text = """
    from callsheet import on

    @on("Shotgun_Task_Change", batch=10, lane="plugin", retry={"first": 0.05, "factor": 1, "jitter": 0.9, "attempts": 9})
    def many(contexts):
        events = [one.event["id"] for one in contexts]
        note("called", contexts[0].event, text=",".join(map(str, events)))
        if not flag("fixed"): raise ValueError("not yet")
        for one in contexts: note("done", one.event)
    """
    studio.write("batched", text)
    with studio.started() as daemon:
        events = list(studio.sandbox.add_events(35))
        daemon.until(lambda: len(studio.trace.calls("batched", word="called")) >= 4)
        called = {one.text for one in studio.trace.calls("batched", word="called")}
        studio.trace.raise_flag("fixed")

        daemon.until(lambda: studio.states() == {"done": 35})

    # The first batch was tried again as it was, and told once at each try
    (first,) = called
    assert events[: len(first.split(","))] == [*map(int, first.split(","))]
    assert studio.trace.events("batched") == events
    failed = sum(one.text == first for one in studio.trace.calls("batched", word="called")) - 1
    assert daemon.log.count("failed (ValueError: not yet)") == failed
