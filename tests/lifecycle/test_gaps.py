"""Ids that are missing, and events that show late, on a running daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsheet.sandbox import Sandbox
from tests.support.studio import Studio
from tests.support.traces import disorder, noting

POLL = 0.1
POLLS = 15


def reads(sandbox: Sandbox) -> int:
    """How many reads a site has answered, the only requests of a daemon whose plugins ask for nothing."""
    return sandbox.requests().get("read", 0)


def requests(studio: Studio) -> int:
    return sum(studio.sandbox.requests().values())


def test_a_late_event_is_delivered_once_and_alone(studio: Studio) -> None:
    # Given events of which one is held back
    studio.write("plugin", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        studio.sandbox.withhold(next=1)
        late, *others = studio.sandbox.add_events(20)
        daemon.until(lambda: studio.trace.events("plugin") == others)  # the later ones do not wait for it
        assert [(gap.first, gap.last) for gap in studio.site().gaps] == [(late, late)]

        # When it shows
        studio.sandbox.release(late)

        # Then it comes, and nothing else comes again
        daemon.until(lambda: late in studio.trace.events("plugin"))
        further = studio.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: further in studio.trace.events("plugin"))
        assert studio.trace.events("plugin") == [*others, late, further]
        assert studio.site().gaps == ()
        daemon.until(lambda: studio.states() == {"done": 21})
        assert daemon.said(f"Adding event id {late} to backlog.")
        assert daemon.said(f"Processed id {late} from backlog.")


@pytest.mark.parametrize("gaps", ["eager", "strict"])
def test_many_holes_and_a_jump_of_200000_ids_cost_no_more_than_an_idle_log(tmp_path: Path, gaps: str) -> None:
    # Given a log of 150 scattered gaps and a jump, and an idle one beside it, polled as often by the same daemon
    with Sandbox() as holed, Sandbox() as idle:
        studio = Studio(tmp_path, {"studio": holed, "idle": idle})
        studio.configure(poll=POLL, gaps=gaps)
        studio.write("plugin", noting(options="lane='plugin'"))
        studio.write("other", noting(), site="idle")
        with studio.started() as daemon:
            events: list[int] = []
            for _ in range(150):
                events += holed.add_events(2)
                holed.skip_event_id()
            holed.set_next_event_id(events[-1] + 200_000)
            events += holed.add_events(3)
            if gaps == "strict":  # each of the 150 is waited for in turn
                daemon.until(lambda: studio.trace.events("plugin") == events[:2])
            else:  # nothing is held up
                daemon.until(lambda: studio.trace.events("plugin") == events, timeout=20)
                assert len(studio.site().gaps) == 150

            # Then the one is asked as often as the other, however many ids are missing
            before = {one: reads(one) for one in (holed, idle)}
            daemon.until(lambda: reads(idle) >= before[idle] + POLLS)
            assert abs((reads(holed) - before[holed]) - (reads(idle) - before[idle])) <= 2
            # And reading goes on
            if gaps == "eager":
                after = holed.add_event("Shotgun_Task_Change")
                daemon.until(lambda: studio.trace.events("plugin")[-1] == after, timeout=5)
            assert disorder(studio.trace.calls("plugin")) == []


def test_catching_up_over_a_hole_of_200000_ids_loses_nothing_and_does_not_dawdle(studio: Studio) -> None:
    # Given a log whose hole lies where pages are asked for ahead, and a poll that would show every halt
    studio.configure(poll=3, page=20)
    studio.write("plugin", noting(options="lane='plugin'"))
    studio.write("broken", "syntax error")
    events = list(studio.sandbox.add_events(70))
    studio.sandbox.skip_event_id(200_000)
    events += studio.sandbox.add_events(70)
    with studio.start("--from", str(events[0])) as daemon:
        # When it is read; and then once more, for a plugin that stayed behind
        for plugin in ("plugin", "broken"):
            studio.write(plugin, noting(options="lane='plugin'"))
            daemon.until(lambda plugin=plugin: studio.trace.events(plugin))  # type: ignore[misc] # mypy infers no type for it
            # Then it goes on without a halt
            daemon.until(lambda plugin=plugin: studio.trace.events(plugin) == events, timeout=2.5)  # type: ignore[misc] # as above

        assert requests(studio) < 100, "the hole was walked through"


def test_a_gap_is_still_waited_for_after_a_restart(studio: Studio) -> None:
    studio.write("plugin", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        studio.sandbox.withhold(next=1)
        late, *others = studio.sandbox.add_events(5)
        daemon.until(lambda: studio.states() == {"done": 4})
        daemon.kill()
    with studio.start() as daemon:
        daemon.until(lambda: daemon.said("is ready"))
        studio.sandbox.release(late)

        daemon.until(lambda: studio.trace.events("plugin") == [*others, late])
        daemon.until(lambda: studio.site().gaps == ())


def test_a_gap_ends_after_its_window(studio: Studio) -> None:
    studio.configure(gap_window=1)
    studio.write("plugin", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        never, *others = studio.sandbox.skip_event_id() - 1, *studio.sandbox.add_events(3)
        daemon.until(lambda: studio.trace.events("plugin") == others)
        assert daemon.said(f"Adding event id {never} to backlog.")
        daemon.until(lambda: studio.site().gaps == ())
        assert daemon.said(f"Timeout elapsed on backlog event id {never}.")


def test_the_window_of_a_gap_stands_still_while_the_site_is_down(studio: Studio) -> None:
    # Given a gap that is waited for
    studio.configure(gap_window=3, retry_sleep=0.2)
    studio.write("plugin", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        studio.sandbox.withhold(next=1)
        late, *others = studio.sandbox.add_events(3)
        daemon.until(lambda: studio.trace.events("plugin") == others)
        # When the site is down for longer than the window, and the event shows only some time after it came back
        studio.sandbox.faults.status(503)
        daemon.watch(3.5)
        studio.sandbox.faults.clear()
        daemon.until(lambda: daemon.said("Connected to SG again"))
        studio.sandbox.release(late)
        # Then it was still waited for
        daemon.until(lambda: late in studio.trace.events("plugin"), timeout=5)


def test_strict_gaps_hold_later_events_back_and_keep_the_order(studio: Studio) -> None:
    studio.configure(gaps="strict", gap_window=60)
    studio.write("plugin", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        before = studio.sandbox.add_events(3)
        studio.sandbox.withhold(next=2)
        after = studio.sandbox.add_events(6)
        daemon.until(lambda: studio.trace.events("plugin") == list(before))
        daemon.until(lambda: studio.site().gaps)
        studio.sandbox.release(after[1])  # half of the gap; the other half still holds all back
        daemon.watch(0.5)
        assert studio.trace.events("plugin") == list(before)

        studio.sandbox.release(after[0])

        daemon.until(lambda: studio.trace.events("plugin") == [*before, *after])
        daemon.until(lambda: studio.site().gaps == ())


def test_strict_gaps_let_go_at_the_end_of_the_window(studio: Studio) -> None:
    studio.configure(gaps="strict", gap_window=2)
    studio.write("plugin", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        studio.sandbox.skip_event_id()
        events = studio.sandbox.add_events(3)
        daemon.until(lambda: studio.site().gaps)
        assert studio.trace.events("plugin") == []
        daemon.until(lambda: studio.trace.events("plugin") == list(events), timeout=5)


def test_a_late_event_waits_for_a_plugin_that_is_broken(studio: Studio) -> None:
    # Given a gap, and a plugin that breaks while it is open
    path = studio.write("plugin", noting(options="lane='plugin'"))
    studio.write("other", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        studio.sandbox.withhold(next=1)
        late, *others = studio.sandbox.add_events(5)
        daemon.until(lambda: studio.trace.events("plugin") == studio.trace.events("other") == others)
        studio.write("plugin", "syntax error")
        daemon.until(lambda: daemon.said(f"Could not load the plugin at {path}"))

        # When the event shows now, and the plugin is fixed long after that
        studio.sandbox.release(late)
        daemon.until(lambda: studio.trace.events("other") == [*others, late])
        studio.write("plugin", noting(options="lane='plugin'"))

        # Then the plugin gets it, too
        daemon.until(lambda: studio.trace.events("plugin") == [*others, late])
        daemon.until(lambda: studio.site().gaps == ())
        assert studio.trace.events("other") == [*others, late]


def test_an_event_that_shows_while_a_plugin_is_behind_it_reaches_that_plugin(studio: Studio) -> None:
    # Given a plugin that is behind and full, and has had the next pages asked for ahead
    studio.configure(page=5, most_waiting=10)
    studio.write("slow", "syntax error")
    studio.write("fast", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        before = studio.sandbox.add_events(12)
        studio.sandbox.withhold(next=1)
        late, *after = studio.sandbox.add_events(40)
        daemon.until(lambda: studio.trace.events("fast") == [*before, *after])
        studio.write("slow", noting("wait_for('go')", "lane='plugin'"))
        daemon.until(lambda: studio.waiting("slow") == 5)

        # When an event shows in these pages, behind the other one
        studio.sandbox.release(late)
        daemon.until(lambda: studio.trace.events("fast") == [*before, *after, late])
        studio.trace.raise_flag("go")

        # Then both get it, and once
        daemon.until(lambda: len(studio.trace.events("slow")) == 52)
        daemon.until(lambda: studio.site().gaps == () and studio.site().positions == {"fast": None, "slow": None})
        assert [one for one in studio.trace.events("slow") if one != late] == [*before, *after]
        assert set(studio.trace.events("slow")) == {*before, late, *after}
        assert studio.trace.events("fast") == [*before, *after, late]


def test_many_late_events_do_not_starve_the_fresh_ones(studio: Studio) -> None:
    # Given more late events than a page holds
    studio.configure(page=10, poll=1)
    studio.write("plugin", noting())
    with studio.started() as daemon:
        studio.sandbox.withhold(next=200)
        late = studio.sandbox.add_events(200)
        first = studio.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: studio.trace.events("plugin") == [first])
        studio.sandbox.release()
        daemon.until(lambda: len(studio.trace.events("plugin")) > 1)

        # When a fresh one is written while they are read page by page
        fresh = studio.sandbox.add_event("Shotgun_Task_Change")

        # Then it comes long before the last of them
        daemon.until(lambda: fresh in studio.trace.events("plugin"), timeout=5)
        assert len(studio.trace.events("plugin")) < 200
        assert set(studio.trace.events("plugin")) <= {*late, first, fresh}
