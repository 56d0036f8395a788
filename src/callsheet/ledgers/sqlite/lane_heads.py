"""Where a lane goes on: the one rule behind settling, recovering, reloading and operators' commands.

A lane is held as long as a held delivery stands in it: nothing else of it runs, not even what came in late or was retried, until
that delivery is released, retried or skipped. Otherwise it goes on at its first open delivery, once that is due.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

RUNNING = """(
    l.run IS NOT NULL AND d.state = 0 AND d.due IS NULL AND d.id <= l.newest
    AND (d.event_id, d.ordinal) BETWEEN (l.head_event, l.head_ordinal) AND (l.tail_event, l.tail_ordinal)
)"""
"""SQL: whether delivery ``d`` of lane ``l`` is handed out: not one that came in, or was reopened, after its lane was."""

PATIENCE = 10
"""How many times as long as a lane must be quiet the first event of a burst waits at most."""

_RESUME = """
    UPDATE lanes SET
        owner = NULL,
        run = NULL,
        state = CASE
            WHEN EXISTS (SELECT 1 FROM deliveries WHERE lane_id = lanes.id AND state IN (2, 3, 5) AND state = 3) THEN 'held'
            WHEN EXISTS (SELECT 1 FROM deliveries WHERE lane_id = lanes.id AND state < 4) THEN 'ready'
            ELSE 'idle'
        END,
        due = coalesce(
            (SELECT due FROM deliveries WHERE lane_id = lanes.id AND state < 4 ORDER BY event_id, ordinal LIMIT 1),
            CASE state WHEN 'ready' THEN min(due, :now) ELSE :now END
        )
    WHERE id IN (SELECT value FROM json_each(:lanes))
"""


_SET_BACK = (
    "UPDATE deliveries SET due = max(:now, due - :seconds) WHERE state < 4 AND due > :now",
    "UPDATE lanes SET due = max(:now, due - :seconds) WHERE state = 'ready' AND due > :now",
)


def set_back(tx: sqlite3.Connection, now: float, seconds: float) -> None:
    """The clock was set back by so much: what is due behind ``now`` is due that much earlier, as it was meant to be."""
    for sql in _SET_BACK:
        tx.execute(sql, {"now": now, "seconds": seconds})


def count_running(tx: sqlite3.Connection) -> int:
    """How many deliveries are handed out and not settled yet."""
    sql = f"SELECT count(*) FROM lanes AS l CROSS JOIN deliveries AS d ON d.lane_id = l.id AND d.state < 4 WHERE {RUNNING}"  # noqa: S608 - our own condition
    return int(tx.execute(sql).fetchone()[0])


def resume(tx: sqlite3.Connection, lane_ids: Iterable[int], now: float) -> None:
    """Let these lanes go on from where they stand. Whoever had one of them has it no more.

    Among the ready ones of a plugin, a lane that already waited for a slot keeps its place.
    """
    tx.execute(_RESUME, {"lanes": json.dumps(list(lane_ids)), "now": now})


def postpone(tx: sqlite3.Connection, lane_id: int, settle: float, now: float) -> None:
    """Something was added to a lane that must be quiet for ``settle`` seconds: what waits there waits anew, from now on.

    But not for ever: a burst that does not end is handed out PATIENCE times as long after its first. One that is handed out, and
    one that is to be tried again, keeps its own time.
    """
    sql = "SELECT min(recorded) FROM deliveries WHERE lane_id = ? AND state = 0 AND due IS NOT NULL"
    (first,) = tx.execute(sql, (lane_id,)).fetchone()
    due = min(now + settle, (now if first is None else first) + PATIENCE * settle)
    tx.execute("UPDATE deliveries SET due = ? WHERE lane_id = ? AND state = 0 AND due IS NOT NULL", (due, lane_id))
    if tx.execute("SELECT 1 FROM lanes WHERE id = ? AND run IS NULL", (lane_id,)).fetchone():
        resume(tx, [lane_id], now)
