"""Starts that would skip events, deliver them again, or destroy a file, in silence: they are refused, with the cure."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.running import RunningDaemon
from tests.support.studio import Studio
from tests.support.traces import noting


def refused(studio: Studio, *arguments: str) -> str:
    """What a start says that is refused."""
    with studio.launch(*arguments) as daemon:
        assert daemon.wait() == 2, daemon.tail()
        assert not daemon.said("Traceback")
        return daemon.log


def read_on(studio: Studio, daemon: RunningDaemon, events: range) -> None:
    daemon.until(lambda: studio.trace.events("plugin") == list(events))


@pytest.fixture
def moved(studio: Studio) -> Studio:
    """A studio that moves over from shotgunEvents; its site has a history."""
    studio.conf()
    studio.write("plugin", noting(options="lane='plugin'"))
    studio.sandbox.add_events(20)
    return studio


def _damaged(path: Path) -> None:
    path.write_bytes(pickle.dumps({"/plugins": {"plugin": (17, {})}})[:-5])


def _text(path: Path) -> None:
    path.write_text("last id: 812934\n")


def _zero(path: Path) -> None:
    path.write_text("0\n")


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("unmounted") / "daemon.id")


UNFIT: dict[str, Callable[[Path], None]] = {
    "damaged": _damaged,
    "text": _text,
    "zero": _zero,
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "dangling link": _dangling,
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_a_first_start_with_an_id_file_that_can_not_be_used_is_refused(moved: Studio, unfit: str) -> None:
    studio = moved
    id_file = studio.folder / "daemon.id"
    UNFIT[unfit](id_file)
    # When it is checked or started, then it says why not, and how
    checked = studio.command("check", "--offline")
    assert (checked.returncode, f"id file {id_file}" in checked.stderr) == (2, True)
    said = refused(studio)
    assert f"id file {id_file}" in said
    assert "`callsheet run --from ID`" in said
    # And that works, without the file being touched
    events = studio.sandbox.add_events(3)
    with studio.start("--from", str(events[0])) as daemon:
        read_on(studio, daemon, events)
        assert os.path.lexists(id_file)
        assert daemon.stop() == 0
    # Once the ledger knows the site, nobody needs the file
    assert studio.command("check", "--offline").returncode == 0
    with studio.start() as daemon:
        daemon.until(
            lambda: daemon.said(f"Site 127.0.0.1 is read on behind event {events[-1]}. The last event that was read is of 20")
        )
        further = studio.sandbox.add_event("Shotgun_Task_Change")
        read_on(studio, daemon, range(events[0], further + 1))


def test_an_id_that_the_site_has_not_come_to_is_a_trouble(moved: Studio) -> None:
    studio = moved
    (studio.folder / "daemon.id").write_text("900000\n")
    with studio.start() as daemon:
        newest = studio.sandbox.events()[-1]["id"]
        wanted = f"its newest event is {newest}, and it was read up to event 900000"
        daemon.until(lambda: any(wanted in one["what"] for one in studio.status()["trouble"]))


def test_one_file_for_two_things_is_refused_and_left_alone(moved: Studio) -> None:
    studio = moved
    shared = studio.folder / "daemon.id"
    shared.write_text("7")
    link = studio.folder / "link.pid"
    link.symlink_to(shared)
    for pid_file in (shared, f"{studio.folder}/./daemon.id", link):
        studio.conf(pidFile=pid_file)
        assert studio.command("check").returncode == 2
        said = refused(studio)
        assert "shotgunEventDaemon.conf:3: [daemon] eventIdFile" in said
        assert "is what [daemon] pidFile names in line 2" in said
    assert shared.read_text() == "7"


@pytest.mark.parametrize("holder", ["logs/daemon.log", "shotgunEventDaemon.conf"])
def test_a_pid_file_never_writes_over_another_file(moved: Studio, holder: str) -> None:
    studio = moved
    studio.conf(pidFile=studio.folder / holder)
    assert "[daemon] pidFile" in refused(studio)
    # Also where it is no file of the configuration
    notes = studio.folder / "notes"
    notes.write_text("call Ada")
    studio.conf(pidFile=notes)
    assert f"The pid file {notes} holds something else than a process id" in refused(studio)
    assert notes.read_text() == "call Ada"


def test_shotgun_events_that_still_runs_is_not_run_beside(moved: Studio) -> None:
    # Given the old daemon, as its pid file says
    studio = moved
    script = studio.folder / "shotgunEventDaemon.py"
    script.write_text("print('up', flush=True)\ninput()\n")
    pid_file = studio.folder / "daemon.pid"
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as old:
        assert old.stdout is not None
        assert old.stdout.readline()
        pid_file.write_text(f"{old.pid}\n")
        assert f"shotgunEvents still runs, as the process {old.pid}" in refused(studio)
        assert pid_file.read_text() == f"{old.pid}\n"
        old.communicate(b"\n")
    # Its stale pid file stops nobody
    with studio.start() as daemon:
        daemon.until(lambda: pid_file.read_text() == f"{daemon.pid}\n")
        assert daemon.stop() == 0


def test_a_pid_file_that_can_not_be_written_is_told(moved: Studio) -> None:
    studio = moved
    studio.conf(pidFile=studio.config / "daemon.pid")
    assert "The pid file" in refused(studio)


def test_a_state_folder_that_is_a_file_is_told(studio: Studio) -> None:
    for state in (studio.folder / "file", studio.folder / "file" / "state"):
        (studio.folder / "file").touch()
        studio.configure({"state": str(state)})
        assert str(state) in refused(studio)


def test_a_site_with_a_new_name_is_not_begun_anew(studio: Studio) -> None:
    # Given a site that has been read
    studio.write("plugin", noting(options="lane='plugin'"))
    studio.drain()
    events = studio.sandbox.add_events(5)
    # When it has another name in the configuration
    text = studio.config.read_text()
    studio.config.write_text(text.replace("[sites.studio]", "[sites.main]"))
    # Then it is not begun at its newest event
    said = refused(studio)
    assert "Site main has never been read, but site studio, which the configuration no longer has" in said
    assert f"`callsheet run --from {events[0]}`" in said
    # And either cure works
    studio.config.write_text(text)
    studio.drain()
    assert studio.trace.events("plugin") == list(events)
    studio.config.write_text(text.replace("[sites.studio]", "[sites.main]"))
    further = studio.sandbox.add_events(3)
    studio.drain("--from", str(further[0]))
    assert studio.trace.events("plugin") == [*events, *further]
