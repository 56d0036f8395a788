"""Bring a ledger's tables up to the version that this code knows.

A step may add tables, columns with defaults, and indexes, and nothing else: after an upgrade, `callsheet status` may apply it while
the daemon of the version before still runs on the file.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from callsheet.errors import StateError

APPLICATION_ID = 0x43_41_4C_4C
"""Marks a file as a ledger of Callsheet ("CALL"), for SQLite and for ``file``."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply what is missing, each version in one transaction.

    StateError when the file is somebody else's database, or was written by a newer Callsheet.
    """
    steps = list(_steps())
    newest = steps[-1][0]
    while (version := _version_now(connection, path)) < newest:
        number, sql = next(step for step in steps if step[0] > version)
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection, path) == version:  # else another process was faster
                for statement in _statements(sql):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    if version > newest:
        raise StateError(
            f"The ledger {path} has schema version {version}, and this Callsheet knows versions up to {newest}: a newer one "
            "wrote it. Upgrade Callsheet here, or give this configuration a `state` folder of its own."
        )


def _version_now(connection: sqlite3.Connection, path: Path) -> int:
    """As of one moment: another process may be making the file, and be between its mark and its tables."""
    connection.execute("BEGIN")
    try:
        return _version(connection, path)
    finally:
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables:
            raise StateError(f"{path} is an SQLite database, but not a ledger of Callsheet. Point `state` to another folder.")
    return int(version)


def _steps() -> Iterator[tuple[int, str]]:
    """Version number and SQL of each file in ``schema``, in order."""
    folder = resources.files("callsheet.ledgers.sqlite") / "schema"
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if number := re.match(r"(\d+)_.*\.sql$", file.name):
            yield int(number[1]), file.read_text(encoding="utf-8")


def _statements(sql: str) -> Iterator[str]:
    """The single statements of a script; ``executescript`` would commit the transaction that they belong to."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(statement):
            yield statement
            statement = ""
