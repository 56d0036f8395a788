"""Carry out operators' commands. They are transactions like any other, so they work the same whether a daemon runs or not."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, fields, replace
from typing import Any

from callsheet.desk import DeliveryQuery, DeliveryRow, Hold, Operation, OperationRow, Verb
from callsheet.errors import StateError
from callsheet.ledgers.sqlite import asked, holds, queries, replays
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
_UNSAID = DeliveryQuery()


def operate(tx: sqlite3.Connection, names: Names, operation: Operation, now: float) -> list[DeliveryRow]:
    """Carry it out and record it. Returns the deliveries that it changed, as they are now, newest first."""
    if operation.verb is Verb.HOLD:
        query = operation.query
        hold = Hold(query.lane, now, operation.who, operation.why)
        _note(tx, operation, now, holds.hold(tx, _plugins(tx, operation), query.lane, hold))
        return []
    if operation.verb is Verb.REPLAY:
        (plugin_id,) = _plugins(tx, operation)
        replays.ask(tx, _note(tx, operation, now, 0), plugin_id, operation.query.callback, operation.ranges)
        return []
    if operation.verb in {Verb.WARM, Verb.RETIRE}:
        asked.ask(tx, _note(tx, operation, now, 0), operation.verb, operation.query.site, operation.query.project)
        return []
    if operation.verb is Verb.STOP:
        _note(tx, operation, now, replays.stop(tx, operation.query.ids, now))
        return []
    released = holds.release(tx, _plugins(tx, operation), operation.query.lane) if operation.verb is Verb.RELEASE else 0
    ids = _change(tx, names, operation, now)
    _note(tx, operation, now, len(ids) + released)
    return queries.rows(tx, DeliveryQuery(ids=ids), limited=False) if ids else []


def records(tx: sqlite3.Connection, limit: int) -> tuple[OperationRow, ...]:
    """The last ones, newest first."""
    found = tx.execute("SELECT id, at, verb, who, why, query, changed FROM operations ORDER BY id DESC LIMIT ?", (limit,))
    return tuple(
        OperationRow(number, at, Verb(verb), who, why, _in_words(json.loads(query)), changed)
        for number, at, verb, who, why, query, changed in found
    )


def _change(tx: sqlite3.Connection, names: Names, operation: Operation, now: float) -> tuple[int, ...]:
    """Change the deliveries that the query wants and the verb can take, all of them: the query's limit is for lists.

    Retried and released ones start afresh, with no attempts behind them.
    """
    takes = _TAKES[operation.verb]
    states = tuple(sorted((frozenset(operation.query.states) or takes) & takes))
    found = queries.rows(tx, replace(operation.query, states=states), limited=False) if states else []
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
    return ids


def _plugins(tx: sqlite3.Connection, operation: Operation) -> list[int]:
    """The ids of the plugins that a command names: of one, or of its namesakes on several sites."""
    verb, query = operation.verb.value, operation.query
    if query.plugin is None:
        raise StateError(f"A {verb} needs a plugin: say whose.")
    sql = "SELECT p.id FROM plugins AS p JOIN sites AS s ON s.id = p.site_id WHERE p.name = ?1 AND (?2 IS NULL OR s.name = ?2)"
    found = [plugin_id for (plugin_id,) in tx.execute(sql, (query.plugin, query.site))]
    if not found:
        raise StateError(f"There is no plugin {query.plugin} to {verb}. `callsheet plugins` shows them.")
    if operation.verb is Verb.REPLAY and (len(found) > 1 or not operation.ranges):
        raise StateError(f"A replay is for the plugin of one site: say SITE/{query.plugin}, and which events.")
    return found


def _note(tx: sqlite3.Connection, operation: Operation, now: float, changed: int) -> int:
    """Put it on record; its id."""
    query = asdict(operation.query) | ({"ranges": operation.ranges} if operation.ranges else {})
    done = tx.execute(
        "INSERT INTO operations (at, verb, who, why, query, changed) VALUES (?, ?, ?, ?, ?, ?)",
        (now, operation.verb.value, operation.who, operation.why, json.dumps(query), changed),
    )
    return int(done.lastrowid or 0)


def _in_words(query: dict[str, Any]) -> str:
    """``plugin mailer, state dead``: what was said of a query that is on record."""
    usual = {one.name: getattr(_UNSAID, one.name) for one in fields(DeliveryQuery)}
    said = []
    for name, value in query.items():
        if name in {"limit", "failures"} or value in (None, [], usual.get(name, ())):
            continue
        if name == "ranges":
            said.append(f"events {', '.join(str(one) if one == other else f'{one}..{other}' for one, other in value)}")
        elif name == "states":
            said.append(f"state {' or '.join(State(one).word for one in value)}")
        elif name == "entity":
            said.append(f"entity {value[0]}:{value[1]}")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            said.append(f"{_SAID.get(name, name)} {text}")
    return ", ".join(said) or "all"


_SAID = {"event_id": "event", "event_type": "type", "ids": "delivery"}


def _resume_lanes_of(tx: sqlite3.Connection, delivery_ids: tuple[int, ...], now: float) -> None:
    """Lanes that are handed out are left alone: they take what changed when their run ends."""
    sql = """
        SELECT DISTINCT l.id
        FROM json_each(?) AS j CROSS JOIN deliveries AS d ON d.id = j.value CROSS JOIN lanes AS l ON l.id = d.lane_id
        WHERE l.run IS NULL
    """
    resume(tx, [lane_id for (lane_id,) in tx.execute(sql, (json.dumps(delivery_ids),))], now)
