"""The file and its connections: one that writes, behind a lock, and as many that read as there are readers at once."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from callsheet.errors import LedgerLostError, StateError, in_words
from callsheet.ledgers.sqlite.id_cache import Names
from callsheet.ledgers.sqlite.ledger_files import LedgerFiles
from callsheet.ledgers.sqlite.lock import lock_path
from callsheet.ledgers.sqlite.migrations import migrate
from callsheet.ledgers.sqlite.sqlite_errors import explain
from callsheet.state_folder import make_file
from callsheet.wire.event_facts import entity_of
from callsheet.wire.texts import storable

_OLDEST_SQLITE = (3, 34, 0)
_PATIENCE = 15.0  # seconds to wait for another process's transaction; ours take milliseconds, so this is one that hangs


class Database:
    """Transactions on one ledger file. May be used from any thread.

    WAL lets readers and the writer go on beside each other, in this process and in others. A commit is on the disk when
    ``transaction`` ends (``synchronous=FULL``), unless it was asked for as not ``durable``.
    """

    def __init__(self, path: Path, *, create: bool = True, anew: bool = False) -> None:
        """Open ``path`` and bring its schema up to date; ``create`` it and its folder if missing.

        StateError if that can't be done, and where a daemon has run with a ledger that is gone or empty by now, unless ``anew``.
        """
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise StateError(
                f"Callsheet needs SQLite 3.34 or newer, and this Python has {sqlite3.sqlite_version}. Use a newer Python."
            )
        self.path = path
        self.names = Names()
        self._lock = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._closed = False
        _ensure(path, create=create, anew=anew)
        with self._explained():
            self._writer = self._connect()
            try:
                _use_wal(self._writer, path)
                migrate(self._writer, path)
                self.files = LedgerFiles(path)
            except BaseException:
                self._writer.close()
                raise

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction, alone among all writers of all processes; rolled back if the block raises.

        Not ``durable``: it survives the end of the process, but a power cut may undo it, together with all that came after it.
        """
        with self._lock, self._explained():
            writer = self._writer
            writer.execute("PRAGMA synchronous = FULL" if durable else "PRAGMA synchronous = NORMAL")
            writer.execute("BEGIN IMMEDIATE")
            try:
                yield writer
                writer.execute("COMMIT")
            except BaseException:
                self.names.forget()  # ids interned in this transaction are gone with it
                if writer.in_transaction:  # some errors have rolled back already
                    writer.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection on which all reads see one and the same state. Never waits for writers nor makes them wait."""
        with self._explained():
            reader = self._take_reader()
            try:
                reader.execute("BEGIN")
                yield reader
            finally:
                if reader.in_transaction:
                    reader.execute("ROLLBACK")
                self._return_reader(reader)

    def checkpoint(self) -> None:
        """Move what was committed from the write-ahead log into the file itself. Nobody waits for it."""
        with self._explained(), closing(self._connect_again()) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def cursors(self) -> dict[str, int | None]:
        """Up to where each site has been read, as the open file has it, whatever stands in its place."""
        with self._lock, self._explained():
            return dict(self._writer.execute("SELECT name, cursor FROM sites ORDER BY name").fetchall())

    def save(self) -> Path:
        """Copy what the connections still have of files that were removed, replaced or emptied; returns the copy.

        It is put in the ledger's place unless another file stands there. StateError if it can't be had, or is not whole.
        """
        saved = self.path.with_name(f"{self.path.name}.saved-{os.getpid()}") if self.files.is_replaced() else self.path
        draft = self.path.with_name(f"{self.path.name}.draft-{os.getpid()}")
        with self._lock, self._explained():
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                draft.unlink(missing_ok=True)
                make_file(draft)
                with closing(sqlite3.connect(draft)) as copy:
                    self._writer.backup(copy)
                    whole = copy.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
                if not whole:
                    draft.unlink()
                    raise StateError("It can't be saved: a part of it is gone.")
                draft.replace(saved)
            except OSError as error:
                raise StateError(f"It can't be saved in {saved}: {in_words(error)}.") from error
            # They would be taken for those of whatever stands in the ledger's place.
            self.files.remove_companions()
        return saved

    def close(self) -> None:
        """Close all connections; those in use, once they are returned."""
        with self._lock:
            self._closed = True
            while self._readers:
                self._readers.pop().close()
            self._writer.close()

    def _take_reader(self) -> sqlite3.Connection:
        if self._closed:
            raise StateError(f"The ledger {self.path} is closed.")
        try:
            return self._readers.pop()
        except IndexError:
            reader = self._connect_again()
            reader.execute("PRAGMA query_only = ON")
            return reader

    def _return_reader(self, reader: sqlite3.Connection) -> None:
        self._readers.append(reader)
        if self._closed:
            self.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if known := explain(error, self.path):
                raise known from error
            raise

    def _connect_again(self) -> sqlite3.Connection:
        """Another connection to the file that is open already, never to one that stands in its place by now."""
        connection = self._connect()
        connection.execute("PRAGMA schema_version")  # opens the files
        problem = self.files.lost()
        if problem is not None:
            connection.close()
            raise LedgerLostError(f"The ledger can't be read: {problem}.")
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",  # never made here: see _ensure
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,  # transactions begin where we say so
            check_same_thread=False,  # the writer has its lock, and a reader is with one thread at a time
            cached_statements=256,
            factory=_Connection,
        )
        connection.execute("PRAGMA cache_size = -12288")  # KiB
        connection.execute("PRAGMA journal_size_limit = 67108864")  # bytes; a burst must not leave a huge log behind
        connection.create_function("event_entity", 1, _event_entity, deterministic=True)
        return connection


class _Connection(sqlite3.Connection):
    """Takes every text: what UTF-8 has no form for becomes a visible escape (``texts.storable``).

    It is done here since nothing reaches the file by another way: an error's text, a path or a name may come from anywhere, and one
    that can't be written would fail a transaction that many share.
    """

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """See sqlite3."""
        try:
            return super().execute(sql, parameters)
        except UnicodeEncodeError:
            return super().execute(sql, _storable(parameters))

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        """See sqlite3. Where a text has to be changed, the cursor's ``rowcount`` lacks the rows in front of it."""
        rows = list(parameters)
        left = iter(rows)
        try:
            return super().executemany(sql, left)
        except UnicodeEncodeError:
            behind = sum(1 for _ in left)  # the row that failed was taken, those in front of it are written
            return super().executemany(sql, [_storable(row) for row in rows[len(rows) - behind - 1 :]])


def _storable(parameters: Any) -> Any:
    if isinstance(parameters, dict):
        return {name: _storable_value(value) for name, value in parameters.items()}
    return tuple(map(_storable_value, parameters))


def _storable_value(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _ensure(path: Path, *, create: bool, anew: bool) -> None:
    """See that the file is there, for its owner and the state folder's group alone: it holds events and locals of plugins."""
    try:
        size = path.stat().st_size if os.path.lexists(path) else None
        lock = lock_path(path)
        if not size and not anew and lock.exists():  # which a daemon makes once it has a ledger
            raise StateError(
                f"The ledger {path} is {'gone' if size is None else 'empty'}, though a daemon has run with it. To begin at the "
                "newest event would skip others. Restore it from a backup; or start with `callsheet run --from ID`, at the first "
                f"event that is still to be delivered; or remove {lock} as well to begin at the newest."
            )
        if size is not None:
            return
        if not create:
            raise StateError(
                f"There is no ledger at {path} yet. Start the daemon once, or see that `state` names the right folder."
            )
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_file(path)
    except OSError as error:
        raise StateError(f"The ledger {path} can't be made or read: {in_words(error)}.") from error


def _use_wal(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StateError(f"The ledger {path} can't use a write-ahead log there. Put `state` on a local disk.")


def _event_entity(payload: str) -> str | None:
    """The SQL function of that name: ``Task:14`` of an event's JSON text, None where no entity is known."""
    try:
        kind, number = entity_of(json.loads(payload)) or (None, None)
    except (ValueError, RecursionError):
        return None
    return None if number is None else f"{kind}:{number}"
