"""A site that is set to another event log: the old log's events and deliveries keep their rows, under ids that are free.

Else an event of the new log would count as delivered where one of the old log had its id. Ids of an old log are below zero, in the
same order, those of the oldest log lowest: so what is still open comes first in its lane, as before.
"""

from __future__ import annotations

import json
import sqlite3

from callsheet.domain.event import LARGEST_ID
from callsheet.domain.operation import Reset

_LOGS = 10**6
"""More logs than a site has."""

_SHIFT = (
    "UPDATE events SET id = id - :offset WHERE site_id = :site AND id > 0",
    """
    UPDATE deliveries SET event_id = event_id - :offset WHERE event_id > 0 AND lane_id IN (
        SELECT lanes.id FROM lanes JOIN plugins ON plugins.id = plugin_id WHERE site_id = :site
    )
    """,
    """
    UPDATE lanes SET head_event = head_event - :offset, tail_event = tail_event - :offset
    WHERE run IS NOT NULL AND head_event > 0 AND plugin_id IN (SELECT id FROM plugins WHERE site_id = :site)
    """,
)
_GO_ON = (
    """
    UPDATE sites SET cursor = :cursor, address = :address, recent = :recent, empty_at = NULL, log_epoch = log_epoch + 1
    WHERE id = :site
    """,
    "UPDATE sites SET pruned_to = NULL WHERE id = :site",
    "UPDATE plugins SET position = NULL, began_after = 0 WHERE site_id = :site",
    "DELETE FROM earlier_callbacks WHERE plugin_id IN (SELECT id FROM plugins WHERE site_id = :site)",
    "DELETE FROM expired_gaps WHERE site_id = :site",
    "DELETE FROM gaps WHERE site_id = :site",
    "UPDATE replays SET ended = :now WHERE ended IS NULL AND plugin_id IN (SELECT id FROM plugins WHERE site_id = :site)",
)


def real_id(stored: int) -> int:
    """The event's id in its log."""
    return stored % LARGEST_ID


def stored_ids(tx: sqlite3.Connection, event_id: int) -> list[int]:
    """The ids under which events of that id may be found: of the log that is read now, and of those that were read before."""
    (epochs,) = tx.execute("SELECT coalesce(max(log_epoch), 0) FROM sites").fetchone()
    return [event_id, *(event_id - _offset(epoch) for epoch in range(epochs))]


def set_site(tx: sqlite3.Connection, site_id: int, reset: Reset, now: float) -> None:
    """Let the reading of a site go on as the operator says."""
    if reset.cursor is None:
        tx.execute("UPDATE sites SET address = ? WHERE id = ?", (reset.address, site_id))
        return
    (epoch,) = tx.execute("SELECT log_epoch FROM sites WHERE id = ?", (site_id,)).fetchone()
    told = {"cursor": reset.cursor, "address": reset.address, "recent": json.dumps(reset.recent), "now": now}
    for sql in (*_SHIFT, *_GO_ON):
        tx.execute(sql, {**told, "site": site_id, "offset": _offset(epoch)})


def _offset(epoch: int) -> int:
    return (_LOGS - epoch) * LARGEST_ID
