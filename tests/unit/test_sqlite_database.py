"""The ledger's file: made with care, refused with a reason, never left half-written."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from callsheet.domain.delivery import DeliveryQuery, State
from callsheet.errors import StateError
from callsheet.ledgers.sqlite import SqliteLedger, migrations
from callsheet.ledgers.sqlite.database import Database
from callsheet.ledgers.sqlite.lock import OwnerLock
from tests.contracts.ledger import Adapter, Desk, delivery

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    with closing(SqliteLedger(path)) as one:
        yield one


def test_each_step_of_the_schema_has_a_number_of_its_own() -> None:
    numbers = [number for number, _ in migrations._steps()]

    assert numbers == list(range(1, len(numbers) + 1))


def desk_on(ledger: SqliteLedger, path: Path) -> Desk:
    return Desk(ledger, path.parent, Adapter(lambda folder: SqliteLedger(folder / path.name), lambda _: []))


def read_all(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.deliveries(DeliveryQuery(limit=10_000))


# -- making and opening


def test_the_file_and_its_companions_are_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ledger.db"
    with closing(SqliteLedger(path)) as ledger:
        ledger.recover("me", 1.0)
        desk_on(ledger, path).record_events(1)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"], 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_commits_reach_the_disk(ledger: SqliteLedger) -> None:
    with ledger._database.transaction() as tx:
        assert tx.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert tx.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    with ledger._database.transaction(durable=False) as tx:
        assert tx.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL


def test_who_only_reads_makes_no_ledger(path: Path) -> None:
    with pytest.raises(StateError, match=f"There is no ledger at {path} yet. Start the daemon once"):
        SqliteLedger(path, create=False)
    assert list(path.parent.iterdir()) == []


def test_two_processes_that_make_it_at_once_make_one(path: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from callsheet.ledgers.sqlite import SqliteLedger
        SqliteLedger(Path(sys.argv[1])).overview()
    """
    makers = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(3)]
    assert [maker.wait() for maker in makers] == [0, 0, 0]


# -- what can't be used


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"something else entirely, and longer than a header of SQLite is" * 20)
    with pytest.raises(StateError, match=r"is not an SQLite database.*move it aside.*--from ID"):
        SqliteLedger(path)


def test_the_database_of_somebody_else_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StateError, match=r"not a ledger of Callsheet. Point `state` to another folder"):
        SqliteLedger(path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_ledger_of_a_newer_version_is_refused(path: Path) -> None:
    SqliteLedger(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(StateError, match=r"schema version 99, and this Callsheet knows versions up to \d+.*Upgrade Callsheet here"):
        SqliteLedger(path)


def test_a_damaged_file_is_told_as_such(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        desk_on(ledger, path).record_events(*range(1, 2000))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    with pytest.raises(StateError, match=r"the file is damaged.*restore a backup"):
        read_all(path)


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(StateError, match=r"can't be made or read: File exists. There is a file where a folder is needed"):
        SqliteLedger(tmp_path / "state" / "ledger.db")


def test_a_python_with_an_old_sqlite_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 26, 0))
    with pytest.raises(StateError, match=r"needs SQLite 3.34 or newer"):
        Database(path)


def test_statements_are_those_that_the_oldest_sqlite_has() -> None:
    for file in (ROOT / "src" / "callsheet" / "ledgers" / "sqlite").rglob("*"):
        if file.suffix in {".py", ".sql"}:
            lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith("-- ")]
            assert not any(word in line for line in lines for word in ("RETURNING", "STRICT", "->>", "RIGHT JOIN")), file


# -- a full disk


def test_a_full_disk_changes_nothing_and_work_goes_on_once_there_is_room(ledger: SqliteLedger, path: Path) -> None:
    desk = desk_on(ledger, path)
    desk.record_events(1)
    writer = ledger._database._writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    page = [delivery(number, "new callback", plugin="new plugin") for number in range(2, 500)]
    with pytest.raises(StateError, match=r"the disk is full.*Free some space"):
        desk.record(*page, cursor=499)
    assert (desk.states(), ledger.site("studio").cursor) == ({1: State.WAITING}, None)
    writer.execute("PRAGMA max_page_count = 1000000")
    assert desk.record(*page, cursor=499) == 498  # also with the names that were new in the page that failed
    assert desk.plugin("new plugin").waiting == 498


def test_a_disk_that_refuses_writes_is_told_and_nothing_acknowledged_is_lost(path: Path) -> None:
    code = """if True:
        import resource, sys
        from pathlib import Path
        from callsheet.errors import StateError
        from callsheet.ledgers.sqlite import SqliteLedger
        from callsheet.domain.reading import Intake
        from tests.contracts.ledger import delivery
        ledger = SqliteLedger(Path(sys.argv[1]))
        largest = max(file.stat().st_size for file in Path(sys.argv[1]).parent.iterdir()) + 300_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        acknowledged = 0
        try:
            for first in range(1, 100_000, 100):
                ledger.record(Intake("studio", tuple(delivery(n) for n in range(first, first + 100)), cursor=first + 99), 1.0)
                acknowledged = first + 99
        except StateError as error:
            print(acknowledged, ledger.site("studio").cursor, error)
    """
    run = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=True)
    acknowledged, cursor, message = run.stdout.split(maxsplit=2)
    assert int(acknowledged) == int(cursor) > 0
    assert "can't be used" in message
    with closing(SqliteLedger(path)) as ledger:
        assert ledger.site("studio").cursor == int(acknowledged)
        assert ledger.overview().states[State.WAITING] == int(acknowledged)


# -- transactions


def test_a_transaction_that_raises_leaves_no_trace(ledger: SqliteLedger) -> None:
    database = ledger._database

    def use_a_name_and_fail() -> None:
        with database.transaction() as tx:
            database.names.site(tx, "studio")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        use_a_name_and_fail()
    assert ledger.overview().sites == ()
    with database.transaction() as tx:
        database.names.site(tx, "other")
        assert database.names.site(tx, "studio") == 2  # not the id that was rolled back


def test_a_mistake_of_ours_is_not_blamed_on_the_machine(ledger: SqliteLedger) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"), ledger._database.snapshot() as tx:
        tx.execute("SELECT * FROM no_such")


def test_a_slow_reader_holds_up_no_writer_and_sees_one_state(ledger: SqliteLedger, path: Path) -> None:
    desk = desk_on(ledger, path)
    desk.record_events(1)
    reading, written = threading.Event(), threading.Event()
    seen: list[int] = []

    def read_slowly() -> None:
        with ledger._database.snapshot() as tx:
            count = "SELECT count(*) FROM deliveries"
            seen.append(tx.execute(count).fetchone()[0])
            reading.set()
            assert written.wait(30)
            seen.append(tx.execute(count).fetchone()[0])

    reader = threading.Thread(target=read_slowly)
    reader.start()
    assert reading.wait(30)
    desk.record_events(2)
    assert desk.ledger.overview().states[State.WAITING] == 2  # nor another reader
    written.set()
    reader.join()
    assert seen == [1, 1]


def test_readers_are_opened_as_needed_and_used_again(ledger: SqliteLedger) -> None:
    for _ in range(20):
        ledger.overview()
    assert len(ledger._database._readers) == 1


# -- migrations


def test_a_later_version_is_applied_on_what_is_there(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SqliteLedger(path)) as ledger:
        desk_on(ledger, path).record_events(1)
    later = max(number for number, _ in migrations._steps()) + 1
    steps = [*migrations._steps(), (later, "ALTER TABLE lanes ADD COLUMN note TEXT;\nUPDATE lanes SET note = 'semi;colon';\n")]
    monkeypatch.setattr(migrations, "_steps", lambda: iter(steps))
    with closing(SqliteLedger(path)) as ledger:
        assert desk_on(ledger, path).states() == {1: State.WAITING}
    with closing(sqlite3.connect(path)) as seen:
        assert seen.execute("SELECT key, note FROM lanes").fetchall() == [("lane", "semi;colon")]
        assert seen.execute("PRAGMA user_version").fetchone() == (later,)


def test_a_migration_that_fails_leaves_the_version_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteLedger(path).close()
    later = max(number for number, _ in migrations._steps()) + 1
    steps = [*migrations._steps(), (later, "ALTER TABLE lanes ADD COLUMN note TEXT;\nUPDATE no_such SET x = 1;\n")]
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "_steps", lambda: iter(steps))
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            SqliteLedger(path)
    with closing(SqliteLedger(path)), closing(sqlite3.connect(path)) as seen:
        assert "note" not in [row[1] for row in seen.execute("PRAGMA table_info(lanes)")]


def test_states_in_the_schema_are_those_of_the_model() -> None:
    expected = "0 waiting, 2 retrying, 3 held | 4 done, 5 dead, 6 skipped"
    assert ", ".join(f"{state.value} {state.word}" for state in State if state is not State.RUNNING) == expected.replace(" |", ",")
    assert expected in next(sql for _, sql in migrations._steps())


# -- the lock


def test_the_lock_is_free_again_once_released(tmp_path: Path) -> None:
    first, second = OwnerLock(tmp_path / "lock"), OwnerLock(tmp_path / "lock")
    first.acquire("one")
    first.acquire("one")
    with pytest.raises(StateError, match="one"):
        second.acquire("two")
    first.release()
    second.acquire("a longer name than before")
    second.release()
    first.acquire("short")
    with pytest.raises(StateError, match=r"pid \d+, short\) runs"):
        second.acquire("two")
    first.release()
