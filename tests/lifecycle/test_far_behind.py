"""A daemon far behind its site: what it reads, how much it holds, and that it loses nothing on the way."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support.running import RunningDaemon
from tests.support.studio import Studio
from tests.support.traces import noting

MANY = int(os.environ.get("CALLSHEET_EVENTS_BEHIND", "20000"))
"""500,000 take a minute."""
MOST_MEMORY = 90
"""MB that a daemon takes at most, however far behind it is."""
WINDOW = 300
AGE = 3_600.0


def memory(daemon: RunningDaemon) -> float:
    """MB that the daemon's own process has taken at most."""
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def add_old(studio: Studio, count: int, event_type: str = "Shotgun_Version_Change") -> range:
    """Events of an hour ago."""
    return studio.sandbox.add_events(count, event_type, created_at=time.time() - AGE)


def test_old_events_that_nobody_wants_are_not_read(studio: Studio) -> None:
    # Given a long log that is older than any gap is waited for, with few events that are wanted, and a young end
    studio.configure(gap_window=WINDOW)
    studio.write("plugin", noting(options="lane='plugin'"))
    first = add_old(studio, 5_000)
    wanted = [*add_old(studio, 3, "Shotgun_Task_Change")]
    add_old(studio, 15_000)
    wanted += [*add_old(studio, 3, "Shotgun_Task_Change")]
    studio.sandbox.skip_event_id(200_000)
    studio.sandbox.withhold(next=1)
    late, *young = studio.sandbox.add_events(50)
    with studio.start("--from", str(first[0])) as daemon:
        # When the daemon catches up, then it has what is wanted after a few requests
        daemon.until(lambda: studio.trace.events("plugin") == [*wanted, *young])
        assert studio.sandbox.requests()["read"] < 15
        assert daemon.said(f"Far behind: up to event {wanted[-1]}, only events of the 1 types that plugins want are read.")
        # And gaps are seen where they may still be filled
        daemon.until(lambda: any(gap.last == late for gap in studio.site().gaps))
        studio.sandbox.release(late)
        daemon.until(lambda: studio.trace.events("plugin") == [*wanted, *young, late])


def test_our_clock_may_be_ahead_of_the_sites(studio: Studio) -> None:
    # Given a site whose clock is an hour behind ours: all it has is an hour old for us
    studio.sandbox.site.clock = lambda: time.time() - AGE
    studio.configure(gap_window=WINDOW)
    studio.write("plugin", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        # When an id is missing, then it is waited for nevertheless
        studio.sandbox.withhold(next=1)
        late, *others = studio.sandbox.add_events(5)
        daemon.until(lambda: studio.trace.events("plugin") == others)
        studio.sandbox.release(late)
        daemon.until(lambda: studio.trace.events("plugin") == [*others, late])


def test_a_slow_site_delays_no_live_event_by_more_than_its_pages(studio: Studio) -> None:
    # Given a plugin that has much to catch up with, beside one that stands at the cursor, and a site that takes its time
    studio.configure(page=20)
    studio.write("behind", "syntax error")
    studio.write("live", noting(types=("Shotgun_Shot_Change",)))
    with studio.started() as daemon:
        events = studio.sandbox.add_events(1_200)
        daemon.until(lambda: studio.site().cursor == events[-1])
        studio.sandbox.faults.slow(0.2, method="read")
        studio.write("behind", noting(options="lane='plugin'"))
        daemon.until(lambda: studio.trace.events("behind"))
        # When events happen, then they come before the other one is through
        fresh = studio.sandbox.add_event("Shotgun_Shot_Change")
        daemon.until(lambda: studio.trace.events("live") == [fresh])
        assert len(studio.trace.events("behind")) < len(events)
        studio.sandbox.faults.clear()
        daemon.until(lambda: studio.trace.events("behind") == list(events))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("age", [0.0, AGE], ids=["young", "old"])
def test_memory_stays_flat_however_far_behind(studio: Studio, age: float) -> None:
    # Given many events, all wanted by a plugin that stands still and by one that doesn't
    studio.configure(page=500)
    studio.write("slow", noting("wait_for('go')", "lane='plugin'"))
    studio.write("fast", noting(options="lane='plugin'", types=("Shotgun_Shot_New",)))
    events = studio.sandbox.add_events(MANY, created_at=time.time() - age)
    marks = [studio.sandbox.add_event("Shotgun_Shot_New", created_at=time.time() - age) for _ in range(3)]
    with studio.start("--from", str(events[0])) as daemon:
        # When the one has come to the end while the other waits
        daemon.until(lambda: studio.trace.events("fast") == marks, timeout=200)
        # Then the daemon holds little
        print(f"{MANY:,} events behind: {memory(daemon):.0f} MB")  # noqa: T201
        assert 0 < studio.waiting("slow") <= 5_500
        assert memory(daemon) < MOST_MEMORY
        assert daemon.stop() == 0
