"""Forget what ended long ago, a little at a time, so that nobody waits for it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

from callsheet.domain.delivery import State
from callsheet.ledgers.sqlite.database import Database
from callsheet.ledgers.sqlite.state_counters import StateCounters
from callsheet.ports import Told, quietly

_CHUNK = 1000  # rows looked at in one transaction: some 10 ms
_NEXT = "SELECT id, event_id, callback_id, state, recorded, finished FROM deliveries WHERE id > ? ORDER BY id LIMIT ?"
_EVENTS = """
    DELETE FROM events WHERE site_id = :site AND id = :event AND NOT EXISTS (
        SELECT 1 FROM deliveries AS d JOIN callbacks AS c ON c.id = d.callback_id JOIN plugins AS p ON p.id = c.plugin_id
        WHERE d.event_id = :event AND p.site_id = :site
    )
"""


class _Next(NamedTuple):
    """A row of _NEXT."""

    id: int
    event_id: int
    callback_id: int
    state: int
    recorded: float
    finished: float | None


@dataclass(slots=True)
class _Progress:
    """How far a pass over the deliveries is."""

    after: int = 0
    deliveries: int = 0
    events: int = 0
    over: bool = False


def prune(database: Database, before: float, told: Told = quietly) -> tuple[int, int]:
    """Forget deliveries that ended before that time, and with them their failures, events, lanes and the operators' commands.

    One transaction per chunk: what a kill interrupts goes on at the next pass. Returns how many deliveries and events went.
    """
    progress = _Progress()
    while not progress.over:
        with database.transaction(durable=False) as tx:
            _prune_chunk(database, tx, before, progress)
        told(progress.deliveries, progress.deliveries)
    lanes_after: int | None = 0
    while lanes_after is not None:
        with database.transaction(durable=False) as tx:
            lanes_after = _prune_lanes(tx, before, lanes_after)
        told(progress.deliveries, progress.deliveries)
    with database.transaction(durable=False) as tx:
        tx.execute("DELETE FROM operations WHERE at < ?", (before,))
        tx.execute("DELETE FROM replays WHERE ended < ?", (before,))
        tx.execute("DELETE FROM expired_gaps WHERE at < ?", (before,))
        tx.execute("DELETE FROM earlier_callbacks WHERE at < ?", (before,))
    return progress.deliveries, progress.events


def _prune_chunk(database: Database, tx: sqlite3.Connection, before: float, progress: _Progress) -> None:
    """Deliveries are recorded in the order of their ids, and end after that: once a whole chunk is young, the rest is, too."""
    rows = [_Next(*row) for row in tx.execute(_NEXT, (progress.after, _CHUNK))]
    if not rows or min(row.recorded for row in rows) >= before:
        progress.over = True
        return
    progress.after = rows[-1].id
    gone = [row for row in rows if row.state >= State.DONE and row.finished is not None and row.finished < before]
    ids = json.dumps([row.id for row in gone])
    tx.execute("DELETE FROM deliveries WHERE id IN (SELECT value FROM json_each(?))", (ids,))
    tx.execute("DELETE FROM failures WHERE delivery_id IN (SELECT value FROM json_each(?))", (ids,))
    tally = StateCounters()
    events = set()
    names = database.names
    for row in gone:
        tally.add(names.plugin_of(tx, row.callback_id), row.state, -1)
        events.add((names.site(tx, names.callback_key(tx, row.callback_id).plugin.site), row.event_id))
    tally.write(tx)
    tx.executemany("UPDATE sites SET pruned_to = max(coalesce(pruned_to, 0), ?) WHERE id = ?", [(two, one) for one, two in events])
    removed = tx.executemany(_EVENTS, [{"site": site_id, "event": event_id} for site_id, event_id in sorted(events)]).rowcount
    progress.deliveries += len(gone)
    progress.events += max(removed, 0)


def _prune_lanes(tx: sqlite3.Connection, before: float, after: int) -> int | None:
    """A lane that fell idle before that time holds only deliveries that ended before it, and those are gone by now."""
    rows = tx.execute("SELECT id, state, due FROM lanes WHERE id > ? ORDER BY id LIMIT ?", (after, _CHUNK)).fetchall()
    gone = [(lane_id,) for lane_id, state, due in rows if state == "idle" and due < before]
    tx.executemany("DELETE FROM lanes WHERE id = ?", gone)
    return int(rows[-1][0]) if rows else None
