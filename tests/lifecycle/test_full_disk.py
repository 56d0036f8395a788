"""The ledger on a disk that fills up: it is told, nothing is lost, and all goes on when there is room again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet.sandbox import Sandbox
from tests.support.disk import Disk, small_disk
from tests.support.studio import SITE, Studio
from tests.support.traces import disorder, noting

EVENTS = 6_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", "4m") as disk:
        if disk is None:
            pytest.skip("needs the right to mount a tmpfs")
        yield disk


@pytest.fixture
def studio(tmp_path: Path, disk: Disk) -> Iterator[Studio]:
    with Sandbox() as sandbox:
        studio = Studio(tmp_path, {SITE: sandbox}, state=disk.folder / "state")
        yield studio
        for daemon in studio.daemons:
            print(daemon.log[-10_000:])  # noqa: T201 - pytest shows it for tests that fail


def test_a_disk_that_fills_up_is_told_and_nothing_is_lost(studio: Studio, disk: Disk) -> None:
    # Given a small disk, and more events than it can hold
    studio.configure(most_waiting=1_000)
    studio.write("plugin", noting())
    with studio.started() as daemon:
        events = studio.sandbox.add_events(EVENTS)
        # Then it is told, with what to do
        daemon.until(lambda: daemon.said("the disk is full"))
        assert daemon.said("Free some space")
        assert not daemon.said("Unexpected error")
        assert "disk:::" + str(studio.state) in [one["key"] for one in studio.status()["trouble"]]
        # And goes on telling, without turning in circles
        told = daemon.log.count("the disk is full")
        daemon.watch(1)
        assert daemon.log.count("the disk is full") - told <= 8

        # When a plugin comes and one changes while nothing can be written
        studio.write("plugin", noting("note('new', event)"))
        studio.write("second", noting())
        daemon.watch(1.5)
        # And there is room again
        disk.resize("64m")

        # Then all goes on by itself
        daemon.until(lambda: set(studio.trace.events("plugin")) == set(events))
        daemon.until(lambda: studio.states().keys() == {"done"})
        further = studio.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: studio.trace.events("plugin", word="new")[-1:] == [further])
        daemon.until(lambda: studio.trace.events("second")[-1:] == [further])
        assert disorder(studio.trace.calls("plugin")) == [], "nothing twice, and every lane in order"
        assert daemon.stop() == 0


def test_a_start_on_a_full_disk_is_refused_with_the_reason(studio: Studio, disk: Disk) -> None:
    disk.fill()
    with studio.start() as daemon:
        assert daemon.wait(timeout=10) == 2
        assert daemon.said("callsheet: ")
        assert daemon.said("space")
        assert not daemon.said("Traceback")


@pytest.mark.parametrize("known", [False, True], ids=["first start", "later start"])
def test_a_start_on_a_read_only_disk_is_refused_with_the_reason(studio: Studio, disk: Disk, *, known: bool) -> None:
    if known:
        studio.drain()
    disk.protect()
    with studio.start() as daemon:
        assert daemon.wait(timeout=10) == 2
        assert daemon.said("callsheet: ")
        assert daemon.said("mounted read-only") or daemon.said("Read-only")
        assert not daemon.said("Traceback")


def test_a_callback_that_finished_while_the_disk_was_full_is_settled_later_and_not_run_again(studio: Studio, disk: Disk) -> None:
    studio.write("plugin", noting("note('begun', event)\nwait_for('go')", "lane='plugin'"))
    with studio.started() as daemon:
        events = studio.sandbox.add_events(3)
        daemon.until(lambda: studio.trace.events("plugin", word="begun"))
        filler = disk.fill()
        studio.trace.raise_flag("go")
        daemon.until(lambda: studio.trace.events("plugin") == list(events))
        filler.unlink()
        daemon.until(lambda: studio.states() == {"done": 3})
        further = studio.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: studio.trace.events("plugin") == [*events, further])
        assert studio.trace.events("plugin", word="begun") == [*events, further]
