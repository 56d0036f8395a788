"""Events that are read again for one plugin: what was asked for, and how far it is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import NewDelivery, State
from callsheet.domain.reading import Replay
from callsheet.ledgers.sqlite import plugin_rows
from callsheet.ledgers.sqlite.id_cache import Names
from callsheet.ledgers.sqlite.state_counters import StateCounters

_SELECT = """
    SELECT r.id, s.name, p.name, r.callback, r.ranges, r.position, r.events, r.deliveries,
           coalesce(o.who, ''), coalesce(o.why, ''), r.since, r.ended
    FROM replays AS r JOIN plugins AS p ON p.id = r.plugin_id JOIN sites AS s ON s.id = p.site_id
    LEFT JOIN operations AS o ON o.id = r.id
"""
_FINISHED = """
    SELECT d.id, d.state FROM deliveries AS d WHERE d.event_id = ? AND d.callback_id = ? AND d.state >= 4
"""
_MOVE = "UPDATE deliveries SET lane_id = ?, ordinal = ? WHERE id = ?"


def ask(tx: sqlite3.Connection, operation: int, plugin_id: int, callback: str | None, ranges: Sequence[tuple[int, int]]) -> None:
    """Note a replay, under the id of its operation."""
    tx.execute(
        "INSERT INTO replays (id, plugin_id, callback, ranges, position, since)"
        " SELECT id, ?, ?, ?, ?, at FROM operations WHERE id = ?",
        (plugin_id, callback, json.dumps(ranges), ranges[0][0] - 1, operation),
    )


def going_on(tx: sqlite3.Connection, site_id: int) -> tuple[Replay, ...]:
    """Those of a site that have not ended, the oldest first."""
    return _read(tx, "WHERE r.ended IS NULL AND p.site_id = ? ORDER BY r.id", site_id)


def last(tx: sqlite3.Connection, ended: int) -> tuple[Replay, ...]:
    """All that have not ended, and so many of those that have; the newest first."""
    return _read(tx, "WHERE r.ended IS NULL ORDER BY r.id DESC") + _read(
        tx, "WHERE r.ended IS NOT NULL ORDER BY r.id DESC LIMIT ?", ended
    )


def move(tx: sqlite3.Connection, replay: Replay, more: int) -> None:
    """Keep how a replay stands after a page that made ``more`` deliveries wait."""
    tx.execute(
        "UPDATE replays SET position = ?, events = ?, deliveries = deliveries + ?, ended = coalesce(ended, ?) WHERE id = ?",
        (replay.position, replay.events, more, replay.ended_at, replay.id),
    )
    tx.execute("UPDATE operations SET changed = changed + ? WHERE id = ?", (more, replay.id))


def stop(tx: sqlite3.Connection, ids: Sequence[int], now: float) -> int:
    """End these where they are; returns how many had not ended."""
    return tx.executemany("UPDATE replays SET ended = ? WHERE id = ? AND ended IS NULL", [(now, one) for one in ids]).rowcount


def reopen(
    tx: sqlite3.Connection, names: Names, deliveries: Sequence[tuple[NewDelivery, int]], now: float, tally: StateCounters
) -> list[int]:
    """Let those that exist and are finished wait again, in the lane (given by its id) that they belong to by now.

    Returns the lane of each that does.
    """
    lanes = []
    for delivery, lane_id in deliveries:
        callback_id = names.callback(tx, delivery.callback)
        for delivery_id, state in tx.execute(_FINISHED, (delivery.event.id, callback_id)).fetchall():
            plugin_rows.reopen(tx, [delivery_id], now)
            tx.execute(_MOVE, (lane_id, delivery.ordinal, delivery_id))
            tally.move(names.plugin_of(tx, callback_id), state, State.WAITING)
            lanes.append(lane_id)
    return lanes


def _read(tx: sqlite3.Connection, which: str, *params: Any) -> tuple[Replay, ...]:
    return tuple(
        Replay(number, PluginKey(site, plugin), callback, tuple((one, other) for one, other in json.loads(ranges)), *facts)
        for number, site, plugin, callback, ranges, *facts in tx.execute(f"{_SELECT} {which}", params)
    )
