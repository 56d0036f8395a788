"""List deliveries as operators ask for them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from callsheet.desk import DeliveryQuery, DeliveryRow
from callsheet.ledgers.sqlite.lanes import RUNNING
from callsheet.model import Failure, State

OPEN = frozenset(state for state in State if state < State.DONE)
_TROUBLED = frozenset({State.RETRYING, State.HELD, State.DEAD})
_ROW = f"""
    SELECT d.id, s.name, p.name, c.name, d.event_id, coalesce(e.type, ''), l.key, CASE WHEN {RUNNING} THEN 1 ELSE d.state END,
           d.attempts, d.recorded, d.started, d.finished, CASE d.state WHEN 2 THEN d.due END, f.kind, f.text, f.traceback, f.locals
"""
# CROSS JOIN keeps SQLite from beginning at another table than the one named first.
_JOINS = """
    CROSS JOIN deliveries AS d ON d.id = chosen.id
    CROSS JOIN lanes AS l ON l.id = d.lane_id
    CROSS JOIN callbacks AS c ON c.id = d.callback_id
    CROSS JOIN plugins AS p ON p.id = c.plugin_id
    CROSS JOIN sites AS s ON s.id = p.site_id
    LEFT JOIN events AS e ON e.site_id = p.site_id AND e.id = d.event_id
    LEFT JOIN failures AS f ON f.id = (SELECT max(id) FROM failures WHERE delivery_id = d.id)
"""
_CALLBACKS = """
    SELECT callbacks.id FROM callbacks JOIN plugins ON plugins.id = plugin_id JOIN sites ON sites.id = site_id
    WHERE (:site IS NULL OR sites.name = :site) AND (:plugin IS NULL OR plugins.name = :plugin)
"""


def rows(tx: sqlite3.Connection, query: DeliveryQuery, *, limited: bool = True) -> list[DeliveryRow]:
    """What the query wants, newest first; all of it if not ``limited``."""
    wanted, params = _conditions(query)
    params["limit"] = query.limit if limited else -1
    chosen = (
        f"SELECT d.id FROM deliveries AS d {_hint(query)} CROSS JOIN lanes AS l ON l.id = d.lane_id"  # noqa: S608 - values go as parameters
        f" WHERE {' AND '.join(wanted)} ORDER BY d.id DESC LIMIT :limit"
    )
    sql = f"{_ROW} FROM ({chosen}) AS chosen {_JOINS} ORDER BY d.id DESC"
    return [_to_row(row, query) for row in tx.execute(sql, params)]


def _hint(query: DeliveryQuery) -> str:
    """Few deliveries are open or in trouble, and millions may be done: begin at the few. SQLite can't know without statistics."""
    if not query.states or query.ids or query.event_id is not None:
        return ""
    states = set(query.states)
    if states <= _TROUBLED:
        return "INDEXED BY deliveries_troubled"
    return "INDEXED BY deliveries_open" if states <= OPEN else ""


def _conditions(query: DeliveryQuery) -> tuple[list[str], dict[str, Any]]:
    params: dict[str, Any] = {}
    wanted = ["1"]

    def want(condition: str, **values: Any) -> None:
        wanted.append(condition)
        params.update(values)

    if query.ids:
        want("d.id IN (SELECT value FROM json_each(:ids))", ids=json.dumps(query.ids))
    if query.event_id is not None:
        want("d.event_id = :event_id", event_id=query.event_id)
    if query.site is not None or query.plugin is not None:
        want(f"d.callback_id IN ({_CALLBACKS})", site=query.site, plugin=query.plugin)
    if query.lane is not None:
        want("d.lane_id IN (SELECT id FROM lanes WHERE key = :lane)", lane=query.lane)
    if query.since is not None:
        want("(d.recorded >= :since OR d.finished >= :since)", since=query.since)
    if query.states:
        want(_in_states(set(query.states)))
    return wanted, params


def _in_states(states: set[State]) -> str:
    stored = sorted(int(state) for state in states - {State.WAITING, State.RUNNING})
    either = [f"d.state IN ({', '.join(map(str, stored))})"] if stored else []
    if State.WAITING in states:
        either.append("d.state = 0" if State.RUNNING in states else f"(d.state = 0 AND NOT {RUNNING})")
    elif State.RUNNING in states:
        either.append(RUNNING)
    condition = f"({' OR '.join(either)})"
    # In the words of the partial indexes, else SQLite does not see that they hold all that is wanted.
    if states <= _TROUBLED:
        condition = f"d.state IN (2, 3, 5) AND {condition}"
    elif states <= OPEN:
        condition = f"d.state < 4 AND {condition}"
    return condition


def _to_row(row: tuple[Any, ...], query: DeliveryQuery) -> DeliveryRow:
    *facts, kind, text, traceback, local_values = row
    failure = None
    if kind is not None:
        failure = Failure(kind, text, traceback, local_values) if query.failures else Failure(kind, text)
    facts[7] = State(facts[7])
    facts.append(failure)
    return DeliveryRow(*facts)
