"""List deliveries as operators ask for them."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from typing import Any

from callsheet.domain.delivery import Attempt, DeliveryQuery, DeliveryRow, Failure, State
from callsheet.ledgers.sqlite import event_logs, state_counters
from callsheet.ledgers.sqlite.lane_heads import RUNNING

OPEN = frozenset(state for state in State if state < State.DONE)
_TROUBLED = frozenset({State.RETRYING, State.HELD, State.DEAD})
_ROW = f"""
    SELECT d.id, s.name, p.name, c.name, d.event_id, coalesce(e.type, ''), l.key, CASE WHEN {RUNNING} THEN 1 ELSE d.state END,
           d.attempts, d.recorded, d.started, d.finished, CASE d.state WHEN 2 THEN d.due END, f.kind, f.text, f.traceback, f.locals,
           coalesce(e.payload, ''), coalesce(d.mark, '')
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
        AND (:callback IS NULL OR callbacks.name = :callback)
"""
# What is asked of an event itself is looked up in it: no index knows what a payload says. That its text has the digits at all is
# seen much faster than where it has them.
_EVENTS = " CROSS JOIN plugins AS p ON p.id = l.plugin_id CROSS JOIN events AS e ON e.site_id = p.site_id AND e.id = d.event_id"
_ENTITY = "(instr(e.payload, :entity_id) AND instr(e.payload, :entity_type) AND event_entity(e.payload) = :entity)"
_KIND = "(SELECT kind FROM failures WHERE delivery_id = d.id ORDER BY id DESC LIMIT 1)"
_FAILED = "SELECT delivery_id FROM failures WHERE kind = :error OR kind LIKE '%.' || :error"
_ONE_VALUE = {
    "lane": "d.lane_id IN (SELECT id FROM lanes WHERE key = :lane)",
    "since": "(d.recorded >= :since OR d.finished >= :since)",
    "before": "d.recorded < :before",
    "error": f"d.id IN ({_FAILED}) AND ({_KIND} = :error OR {_KIND} LIKE '%.' || :error)",
    "mark": "d.mark = :mark",
    "event_type": "e.type = :event_type",
    "session_uuid": "instr(e.payload, :session_uuid)",
}
"""Field of the query → its condition; dearer ones last."""
_OF_ENTITY = f"d.event_id IN (SELECT e.id FROM events AS e WHERE {_ENTITY})"  # noqa: S608 - our own condition
_HISTORY = """
    SELECT attempt, started, ended, state, kind, text, traceback, locals FROM failures WHERE delivery_id = ? ORDER BY id
"""


def rows(tx: sqlite3.Connection, query: DeliveryQuery, *, limited: bool = True) -> list[DeliveryRow]:
    """What the query wants, newest first; all of it if not ``limited``."""
    chosen, params = _chosen(tx, query)
    params["limit"] = query.limit if limited else -1
    sql = f"{_ROW} FROM ({chosen}) AS chosen {_JOINS} ORDER BY {_order(query)}"
    found = [_to_row(row, query) for row in tx.execute(sql, params)]
    return [replace(row, history=_history(tx, row.id)) for row in found] if query.failures else found


def ids(tx: sqlite3.Connection, query: DeliveryQuery) -> list[int]:
    """The ids of all that the query wants, whatever its limit, newest first."""
    chosen, params = _chosen(tx, query)
    return [number for (number,) in tx.execute(chosen, params | {"limit": -1})]


def _chosen(tx: sqlite3.Connection, query: DeliveryQuery) -> tuple[str, dict[str, Any]]:
    """SQL that chooses the ids, up to ``:limit``, and its other parameters."""
    wanted, params = _conditions(tx, query)
    events = (
        _EVENTS
        if query.event_type is not None or query.session_uuid is not None or query.project is not None or query.entity is not None
        else ""
    )
    chosen = (
        f"SELECT d.id FROM deliveries AS d {_hint(tx, query)} CROSS JOIN lanes AS l ON l.id = d.lane_id{events}"  # noqa: S608 - values go as parameters
        f" WHERE {' AND '.join(wanted)} ORDER BY {_order(query)} LIMIT :limit"
    )
    return chosen, params


def _order(query: DeliveryQuery) -> str:
    return "d.event_id, d.ordinal" if query.in_order else "d.id DESC"


def _history(tx: sqlite3.Connection, delivery_id: int) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(number, started, ended, State(state), Failure(*failure))
        for number, started, ended, state, *failure in tx.execute(_HISTORY, (delivery_id,))
    )


def _hint(tx: sqlite3.Connection, query: DeliveryQuery) -> str:
    """Few deliveries are open or in trouble, as a rule, and millions may be done: begin at the few. SQLite can't know it."""
    if query.ids:
        return ""
    if query.event_id is not None or query.events is not None or _by_entity(query):
        return "INDEXED BY deliveries_once"
    if not query.states:
        return ""
    states = set(query.states)
    if states <= _TROUBLED:
        return "INDEXED BY deliveries_troubled"
    return "INDEXED BY deliveries_open" if states <= OPEN and (query.lane is not None or state_counters.open_are_few(tx)) else ""


def _by_entity(query: DeliveryQuery) -> bool:
    """Few events are of one entity: unless something else is rarer, they are found first, by one walk through the events."""
    return query.entity is not None and not (query.states or query.plugin or query.callback or query.lane or query.ids)


def _conditions(tx: sqlite3.Connection, query: DeliveryQuery) -> tuple[list[str], dict[str, Any]]:
    given = {name: getattr(query, name) for name in _ONE_VALUE if getattr(query, name) is not None}
    wanted = ["1", *(_ONE_VALUE[name] for name in given)]
    params: dict[str, Any] = dict(given)

    def want(condition: str, **values: Any) -> None:
        wanted.append(condition)
        params.update(values)

    if query.event_id is not None:
        want("d.event_id IN (SELECT value FROM json_each(:events))", events=json.dumps(event_logs.stored_ids(tx, query.event_id)))
    if query.ids:
        want("d.id IN (SELECT value FROM json_each(:ids))", ids=json.dumps(query.ids))
    if query.events is not None:
        want("d.event_id BETWEEN :first AND :last", first=query.events[0], last=query.events[1])
    if query.site is not None or query.plugin is not None or query.callback is not None:
        want(f"d.callback_id IN ({_CALLBACKS})", site=query.site, plugin=query.plugin, callback=query.callback)
    if query.states:
        want(_in_states(set(query.states)))
    if query.project is not None:
        if isinstance(query.project, int):
            want("instr(e.payload, :project) AND json_extract(e.payload, '$.project.id') = :project", project=query.project)
        else:
            want("json_extract(e.payload, '$.project.name') = :project", project=query.project)
    if query.entity is not None:
        first = _OF_ENTITY if _by_entity(query) else "1"
        kind, number = query.entity
        want(f"{first} AND {_ENTITY}", entity_type=kind, entity_id=number, entity=f"{kind}:{number}")
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
    *facts, kind, text, traceback, local_values, payload, mark = row
    failure = None
    if kind is not None:
        failure = Failure(kind, text, traceback, local_values) if query.failures else Failure(kind, text)
    facts[4] = event_logs.real_id(facts[4])
    facts[7] = State(facts[7])
    values: tuple[Any, ...] = (*facts, failure, (), payload, mark)
    return DeliveryRow(*values)
