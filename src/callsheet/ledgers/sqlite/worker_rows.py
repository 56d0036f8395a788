"""The workers as the daemon last said, for `status` and `workers`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, astuple, replace
from typing import NamedTuple

from callsheet.domain.overview import SessionFacts, WorkerRow

FRESH = 5.0
"""Seconds for which counts and memory may be old: they change with every delivery, and a beat should stay cheap."""

_COLUMNS = "site, plugins, project, pid, state, since, memory, calls, restarts, problem, retry_at, call, called_at, toolkit"


class Written(NamedTuple):
    """What the table says, and since when."""

    rows: tuple[WorkerRow, ...]
    at: float


def keep(tx: sqlite3.Connection, before: Written | None, workers: Sequence[WorkerRow], now: float) -> Written:
    """Replace the table, unless it says the same but for what changes all the time. Returns what it says now."""
    rows = tuple(workers)
    if before and (rows == before.rows or (now - before.at < FRESH and _gist(rows) == _gist(before.rows))):
        return before
    tx.execute("DELETE FROM workers")
    tx.executemany(
        f"INSERT INTO workers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
        [(row.site, json.dumps(row.plugins), *astuple(row)[2:-1], _told(row.toolkit)) for row in rows],
    )
    return Written(rows, now)


def rows(tx: sqlite3.Connection) -> tuple[WorkerRow, ...]:
    """The workers, as last said."""
    found = tx.execute(f"SELECT {_COLUMNS} FROM workers ORDER BY rowid")  # noqa: S608 - our own names
    return tuple(
        replace(
            WorkerRow(site, tuple(json.loads(plugins)), *facts), toolkit=SessionFacts(**json.loads(toolkit)) if toolkit else None
        )
        for site, plugins, *facts, toolkit in found
    )


def _told(toolkit: SessionFacts | None) -> str | None:
    return None if toolkit is None else json.dumps(asdict(toolkit))


def _gist(rows: Sequence[WorkerRow]) -> list[WorkerRow]:
    """What is told at once when it changes: who is there, and who is in trouble."""
    return [_settled(row) for row in rows]


def _settled(row: WorkerRow) -> WorkerRow:
    """Without what changes with every delivery; that a worker turns from idle to busy and back is no news."""
    if row.state in {"idle", "busy"}:
        row = replace(row, state="idle", since=0.0)
    return replace(row, memory=None, calls=0, call="", called_at=None)
