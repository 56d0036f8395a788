"""Carry out operators' commands. They are transactions like any other, so they work the same whether a daemon runs or not."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, replace

from callsheet.desk import DeliveryQuery, DeliveryRow, Operation, Verb
from callsheet.errors import StateError
from callsheet.ledgers.sqlite import queries
from callsheet.ledgers.sqlite.counts import Tally
from callsheet.ledgers.sqlite.lanes import resume
from callsheet.ledgers.sqlite.names import Names
from callsheet.ledgers.sqlite.plugins import close, reopen
from callsheet.model import PluginKey, State

_TAKES = {
    Verb.RETRY: frozenset({State.DEAD, State.HELD, State.RETRYING, State.SKIPPED}),
    # Not those that are handed out: their worker may be at them, and to call one skipped that runs after all would be a lie.
    Verb.SKIP: frozenset({State.WAITING, State.RETRYING, State.HELD, State.DEAD}),
    Verb.RELEASE: frozenset({State.HELD}),
}


def operate(tx: sqlite3.Connection, names: Names, operation: Operation, now: float) -> list[DeliveryRow]:
    """Change the deliveries that the query wants and the verb can take, all of them: the query's limit is for lists.

    Retried and released ones start afresh, with no attempts behind them. Returns them as they are now, newest first.
    """
    found = _find(tx, operation)
    ids = tuple(row.id for row in found)
    after = State.SKIPPED if operation.verb is Verb.SKIP else State.WAITING
    if operation.verb is Verb.SKIP:
        close(tx, ids, now)
    else:
        reopen(tx, ids, now)
    tally = Tally()
    for row in found:
        tally.move(names.plugin(tx, PluginKey(row.site, row.plugin)), row.state, after)
    tally.write(tx)
    _resume_lanes_of(tx, ids, now)
    tx.execute(
        "INSERT INTO operations (at, verb, who, why, query, changed) VALUES (?, ?, ?, ?, ?, ?)",
        (now, operation.verb.value, operation.who, operation.why, json.dumps(asdict(operation.query)), len(ids)),
    )
    return queries.rows(tx, DeliveryQuery(ids=ids), limited=False) if ids else []


def _find(tx: sqlite3.Connection, operation: Operation) -> list[DeliveryRow]:
    takes = _TAKES[operation.verb]
    if operation.verb is Verb.RELEASE and operation.query.plugin is None:
        raise StateError("A release needs a plugin: say whose held lanes are to go on.")
    wanted = frozenset(operation.query.states) or takes
    states = tuple(sorted(wanted & takes))
    return queries.rows(tx, replace(operation.query, states=states), limited=False) if states else []


def _resume_lanes_of(tx: sqlite3.Connection, delivery_ids: tuple[int, ...], now: float) -> None:
    """Lanes that are handed out are left alone: they take what changed when their run ends."""
    sql = """
        SELECT DISTINCT l.id
        FROM json_each(?) AS j CROSS JOIN deliveries AS d ON d.id = j.value CROSS JOIN lanes AS l ON l.id = d.lane_id
        WHERE l.run IS NULL
    """
    resume(tx, [lane_id for (lane_id,) in tx.execute(sql, (json.dumps(delivery_ids),))], now)
