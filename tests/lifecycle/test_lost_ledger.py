"""A ledger whose files are removed, replaced or emptied while the daemon runs: told, saved, and nothing is skipped."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.running import RunningDaemon
from tests.support.studio import Studio
from tests.support.traces import noting

LOST = "The ledger is lost: "


@pytest.fixture
def reading(studio: Studio) -> Studio:
    """A studio with a plugin."""
    studio.write("plugin", noting(options="lane='plugin'"))
    return studio


def deliver(studio: Studio, daemon: RunningDaemon) -> range:
    """Some events, delivered and settled."""
    events = studio.sandbox.add_events(5)
    daemon.until(lambda: studio.trace.events("plugin")[-1:] == [events[-1]])
    return events


def remove_folder(state: Path) -> None:
    shutil.rmtree(state, ignore_errors=True)


def empty_folder(state: Path) -> None:
    for path in state.iterdir():
        if path.is_file():
            path.unlink()


def move_folder(state: Path) -> None:
    state.rename(state.with_name("moved"))


def remove(*endings: str) -> Callable[[Path], None]:
    def removed(state: Path) -> None:
        for ending in endings:
            (state / f"ledger.db{ending}").unlink()

    return removed


WAYS: dict[str, Callable[[Path], None]] = {
    "folder removed": remove_folder,
    "folder emptied": empty_folder,
    "folder moved away": move_folder,
    "ledger removed": remove(""),
    "log removed": remove("-wal"),
    "index removed": remove("-shm"),
    "ledger and log removed": remove("", "-wal", "-shm"),
    "ledger emptied": lambda state: os.truncate(state / "ledger.db", 0),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_removed_while_the_daemon_runs_is_told_and_saved(reading: Studio, way: str) -> None:
    studio = reading
    with studio.started() as daemon:
        events = deliver(studio, daemon)
        # When it is taken away
        WAYS[way](studio.state)
        # Then the daemon says so, saves what it has, and ends with a failure
        assert daemon.wait() == 1
        assert daemon.log.count(LOST) == 1
        assert f"ERROR:engine:{LOST}" in daemon.log
        assert "was removed" in daemon.log or "was emptied" in daemon.log
        assert f"site studio up to event {events[-1]}" in daemon.log
        assert "The next start goes on with it" in daemon.log
    # When events are written, and it is started again, as by a service manager
    missed = studio.sandbox.add_events(5)
    with studio.start() as daemon:
        # Then none of them is skipped, and nothing comes again
        daemon.until(lambda: studio.trace.events("plugin") == [*events, *missed])
        daemon.until(lambda: studio.states() == {"done": 10})
        assert daemon.stop() == 0
    with sqlite3.connect(studio.state / "ledger.db") as look:
        assert look.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_is_removed_in_the_last_moment_is_saved_as_well(reading: Studio) -> None:
    studio = reading
    with studio.started() as daemon:
        events = deliver(studio, daemon)
        daemon.terminate()
        remove_folder(studio.state)
        assert daemon.wait() == 1
    missed = studio.sandbox.add_events(5)
    with studio.start() as daemon:
        daemon.until(lambda: studio.trace.events("plugin") == [*events, *missed])


def test_a_ledger_that_stands_in_the_place_of_the_lost_one_is_not_written_over(reading: Studio) -> None:
    # Given a backup of the ledger, and a daemon that has gone on since
    studio = reading
    with studio.started() as daemon:
        early = deliver(studio, daemon)
        backup = studio.folder / "backup.db"
        with sqlite3.connect(studio.state / "ledger.db") as ledger, sqlite3.connect(backup) as copy:
            ledger.backup(copy)
        late = deliver(studio, daemon)
        # When the backup is put in its place
        backup.replace(studio.state / "ledger.db")
        assert daemon.wait() == 1
        assert "was replaced by another file" in daemon.log
        (saved,) = studio.state.glob("ledger.db.saved-*")
        assert f"move {saved} there first" in daemon.log
        assert f"site studio up to event {late[-1]}" in daemon.log
    # Then the next start goes on with the backup: events come again, and none is skipped
    with studio.start() as daemon:
        daemon.until(lambda: studio.trace.events("plugin") == [*early, *late, *late])
        assert daemon.stop() == 0
    # And the saved one can be gone on with, too
    for ending in ("-wal", "-shm"):
        (studio.state / f"ledger.db{ending}").unlink(missing_ok=True)
    saved.replace(studio.state / "ledger.db")
    further = studio.sandbox.add_events(2)
    with studio.start() as daemon:
        daemon.until(lambda: studio.trace.events("plugin")[-2:] == list(further))
        assert studio.trace.events("plugin") == [*early, *late, *late, *further]


def test_an_emptied_ledger_is_no_first_start(reading: Studio) -> None:
    # Given a ledger that was emptied, and a daemon that could save nothing of it, since it was killed
    studio = reading
    with studio.started() as daemon:
        events = deliver(studio, daemon)
        daemon.kill()
    for path in studio.state.glob("ledger.db*"):
        os.truncate(path, 0)
    missed = studio.sandbox.add_events(5)
    for _ in range(2):
        with studio.launch() as daemon:
            assert daemon.wait() == 2
            assert daemon.said("is empty, though a daemon has run with it")
            assert daemon.said("`callsheet run --from ID`")
    with studio.start("--from", str(missed[0])) as daemon:
        daemon.until(lambda: studio.trace.events("plugin") == [*events, *missed])


def test_a_damaged_ledger_is_told_with_how_to_begin_without_it(reading: Studio) -> None:
    studio = reading
    studio.drain()
    (studio.state / "ledger.db").write_bytes(b"not a database" * 1000)
    with studio.launch() as daemon:
        assert daemon.wait() == 2
        assert daemon.said("`callsheet run --from ID`")


def test_a_ledger_that_was_removed_while_no_daemon_ran_is_missed_at_the_start(reading: Studio) -> None:
    studio = reading
    studio.drain()
    (studio.state / "ledger.db").unlink()
    missed = studio.sandbox.add_events(5)
    with studio.launch() as daemon:
        assert daemon.wait() == 2
        assert daemon.said("is gone, though a daemon has run with it")
    assert not (studio.state / "ledger.db").exists()
    assert studio.command("import-state", "nowhere.id").returncode == 2
    with studio.start("--from", str(missed[0])) as daemon:
        daemon.until(lambda: studio.trace.events("plugin") == list(missed))


def test_a_lock_file_that_is_removed_does_not_let_a_second_daemon_in(reading: Studio) -> None:
    studio = reading
    with studio.started() as daemon:
        (studio.state / "ledger.db.lock").unlink()
        daemon.until((studio.state / "ledger.db.lock").exists)
        with studio.launch() as second:
            assert second.wait() == 2
            assert second.said("Another Callsheet daemon")
        deliver(studio, daemon)
        assert daemon.stop() == 0


def test_a_copy_of_the_file_alone_has_what_was_recorded_first(reading: Studio) -> None:
    studio = reading
    with studio.started() as daemon:
        deliver(studio, daemon)

        def copied() -> int | None:
            copy = studio.folder / "copy.db"
            shutil.copy(studio.state / "ledger.db", copy)
            with sqlite3.connect(copy) as ledger:
                found: tuple[int | None] = ledger.execute("SELECT max(cursor) FROM sites").fetchone()
            return found[0]

        daemon.until(copied, 10)
