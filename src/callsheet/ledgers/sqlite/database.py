"""The file and its connections: one that writes, behind a lock, and as many that read as there are readers at once."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from callsheet.errors import StateError
from callsheet.ledgers.sqlite.delivery_queries import event_entity
from callsheet.ledgers.sqlite.id_cache import Names
from callsheet.ledgers.sqlite.migrations import migrate
from callsheet.ledgers.sqlite.sqlite_errors import explain
from callsheet.wire.texts import storable

_OLDEST_SQLITE = (3, 34, 0)
_PATIENCE = 15.0  # seconds to wait for another process's transaction; ours take milliseconds, so this is one that hangs


class Database:
    """Transactions on one ledger file. May be used from any thread.

    WAL lets readers and the writer go on beside each other, in this process and in others. A commit is on the disk when
    ``transaction`` ends (``synchronous=FULL``), unless it was asked for as not ``durable``.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        """Open ``path`` and bring its schema up to date; ``create`` it (mode 0600) and its folder if missing.

        StateError if that can't be done.
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
        _ensure(path, create=create)
        with self._explained():
            self._writer = self._connect()
            try:
                _use_wal(self._writer, path)
                migrate(self._writer, path)
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
            reader = self._connect()
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

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=_PATIENCE,
            isolation_level=None,  # transactions begin where we say so
            check_same_thread=False,  # the writer has its lock, and a reader is with one thread at a time
            cached_statements=256,
            factory=_Connection,
        )
        connection.execute("PRAGMA cache_size = -12288")  # KiB
        connection.execute("PRAGMA journal_size_limit = 67108864")  # bytes; a burst must not leave a huge log behind
        connection.create_function("event_entity", 1, event_entity, deterministic=True)
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


def _ensure(path: Path, *, create: bool) -> None:
    """See that the file is there, readable by its owner alone: it holds events and locals of plugins."""
    if path.exists():
        return
    if not create:
        raise StateError(f"There is no ledger at {path} yet. Start the daemon once, or see that `state` names the right folder.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StateError(
            f"The ledger {path} can't be created ({error.strerror}). Give this user the right to write there."
        ) from error


def _use_wal(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StateError(f"The ledger {path} can't use a write-ahead log there. Put `state` on a local disk.")
