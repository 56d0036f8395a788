"""A site that is set to another event log: the old log's events and deliveries keep their rows, under ids that are free.

Else an event of the new log would count as delivered where one of the old log had its id. Ids of an old log are below zero, in the
same order, those of the oldest log lowest: so what is still open comes first in its lane, as before.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping

from callsheet.domain.event import LARGEST_ID
from callsheet.domain.operation import Operation
from callsheet.errors import StateError
from callsheet.ledgers.sqlite.database import Database
from callsheet.policy.log_identity import UNFINISHED
from callsheet.ports import Told

_LOGS = 10**6
"""More logs than a site has."""
_CHUNK = 500
"""Events whose ids are changed in one transaction, with their deliveries."""
_LONGEST_PAUSE = 0.25
"""Seconds between two such transactions at most; else as long as one took, since a daemon works beside this for other sites."""

_SHIFT = (
    "UPDATE events SET id = id - :offset WHERE site_id = :site AND id BETWEEN :first AND :last",
    """
    UPDATE deliveries SET event_id = event_id - :offset WHERE event_id BETWEEN :first AND :last AND callback_id IN (
        SELECT callbacks.id FROM callbacks JOIN plugins ON plugins.id = plugin_id WHERE site_id = :site
    )
    """,
    """
    UPDATE lanes SET head_event = head_event - :offset
    WHERE run IS NOT NULL AND head_event BETWEEN :first AND :last AND plugin_id IN (SELECT id FROM plugins WHERE site_id = :site)
    """,
    """
    UPDATE lanes SET tail_event = tail_event - :offset
    WHERE run IS NOT NULL AND tail_event BETWEEN :first AND :last AND plugin_id IN (SELECT id FROM plugins WHERE site_id = :site)
    """,
)
_DELIVERIES = "SELECT coalesce(sum(waiting + retrying + held + done + dead + skipped), 0) FROM plugins WHERE site_id = ?"
# All that is said in ids of the old log goes with it.
_GO_ON = (
    """
    UPDATE sites SET
        cursor = :cursor, address = :address, recent = :recent, empty_at = NULL, pruned_to = NULL, log_epoch = log_epoch + 1
    WHERE id = :site
    """,
    """
    UPDATE plugins SET
        position = NULL, gone_since = NULL, gone_newest = NULL, began_after = iif(began_after IS NULL, NULL, :cursor)
    WHERE site_id = :site
    """,
    "DELETE FROM gaps WHERE site_id = :site",
    "DELETE FROM expired_gaps WHERE site_id = :site",
    "DELETE FROM earlier_callbacks WHERE plugin_id IN (SELECT id FROM plugins WHERE site_id = :site)",
    "UPDATE replays SET ended = :now WHERE ended IS NULL AND plugin_id IN (SELECT id FROM plugins WHERE site_id = :site)",
)


def real_id(stored: int) -> int:
    """The event's id in its log."""
    return stored % LARGEST_ID


def stored_ids(tx: sqlite3.Connection, event_id: int) -> list[int]:
    """The ids under which events of that id may be found: of the log that is read now, and of those that were read before."""
    (epochs,) = tx.execute("SELECT coalesce(max(log_epoch), 0) FROM sites").fetchone()
    return [event_id, *(event_id - _offset(epoch) for epoch in range(epochs))]


def set_site(
    database: Database, operation: Operation, now: float, told: Told, note: Callable[[sqlite3.Connection], object]
) -> None:
    """Let the reading of a site go on as the operator says; ``note`` puts it on record in the same transaction.

    The site is not read until that is done; after an interruption, not before it was done again. ``told``: see ports.Ledger.
    """
    site, reset = operation.query.site, operation.reset
    with database.transaction() as tx:
        row = tx.execute("SELECT id, address, log_epoch FROM sites WHERE name = ? AND cursor IS NOT NULL", (site,)).fetchone()
        if row is None or reset is None:
            raise StateError(f"Site {site} has never been read, so there is nothing to reset.")
        site_id, address, epoch = row
        if reset.cursor is None:
            if address == UNFINISHED:
                raise StateError(
                    f"A reset of site {site} was interrupted: say again where to go on, with --to-newest or --from ID."
                )
            tx.execute("UPDATE sites SET address = ? WHERE id = ?", (reset.address, site_id))
            note(tx)
            return
        tx.execute("UPDATE sites SET address = ? WHERE id = ?", (UNFINISHED, site_id))
        (of,) = tx.execute(_DELIVERIES, (site_id,)).fetchone()
    params = {"site": site_id, "offset": _offset(epoch)}
    done = 0
    while (more := _shift_some(database, params)) is not None:
        done += more
        told(min(done, of), of)
    with database.transaction() as tx:
        # What was recorded meanwhile, by a reader that had its page already.
        _shift(tx, params, 1, LARGEST_ID)
        go_on = {"cursor": reset.cursor, "address": reset.address, "recent": json.dumps(reset.recent), "now": now}
        for sql in _GO_ON:
            tx.execute(sql, {**go_on, **params})
        note(tx)


def _shift_some(database: Database, params: Mapping[str, int]) -> int | None:
    """Change the ids of the next events; how many deliveries these have. None if there are none left."""
    began = time.monotonic()
    with database.transaction(durable=False) as tx:
        sql = f"SELECT id FROM events WHERE site_id = :site AND id > 0 ORDER BY id LIMIT {_CHUNK}"  # noqa: S608 - our own number
        ids = [event_id for (event_id,) in tx.execute(sql, params)]
        if not ids:
            return None
        deliveries = _shift(tx, params, ids[0], ids[-1])
    time.sleep(min(time.monotonic() - began, _LONGEST_PAUSE))
    return deliveries


def _shift(tx: sqlite3.Connection, params: Mapping[str, int], first: int, last: int) -> int:
    """Change the ids of these events; how many deliveries they have."""
    _, deliveries, *_ = [tx.execute(sql, {**params, "first": first, "last": last}).rowcount for sql in _SHIFT]
    return deliveries


def _offset(epoch: int) -> int:
    return (_LOGS - epoch) * LARGEST_ID
