"""Carry out operators' commands. They are transactions like any other, so they work the same whether a daemon runs or not."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import DeliveryQuery, DeliveryRow, State
from callsheet.domain.operation import Operation, OperationRow, Verb
from callsheet.domain.overview import Changed
from callsheet.domain.plugin import Hold, PluginState
from callsheet.errors import StateError
from callsheet.ledgers.sqlite import daemon_commands, delivery_queries, event_logs, holds, replay_rows
from callsheet.ledgers.sqlite.database import Database
from callsheet.ledgers.sqlite.id_cache import Names
from callsheet.ledgers.sqlite.lane_heads import resume
from callsheet.ledgers.sqlite.plugin_rows import close, reopen
from callsheet.ledgers.sqlite.state_counters import StateCounters

_TAKES = {
    Verb.RETRY: frozenset({State.DEAD, State.HELD, State.RETRYING, State.SKIPPED}),
    # Not those that are handed out: their worker may be at them, and to call one skipped that runs after all would be a lie.
    Verb.SKIP: frozenset({State.WAITING, State.RETRYING, State.HELD, State.DEAD}),
    Verb.RELEASE: frozenset({State.HELD}),
    Verb.FORGET: frozenset({State.WAITING, State.RETRYING, State.HELD, State.DEAD}),
}
_STILL_TO_COME = frozenset({State.WAITING, State.RETRYING, State.HELD})
_UNSAID = DeliveryQuery()
CHUNK = 500
"""Deliveries that are changed in one transaction: some 10 ms."""
SHOWN = 20
"""Changed deliveries that are told one by one; beyond that, the number says more than the list."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 0.25
"""Seconds between two such transactions; as long as one took, within these bounds."""


def operate(database: Database, operation: Operation, now: float, told: Callable[[int, int], None]) -> Changed:
    """Carry it out and record it, a little at a time, so that nobody waits for it. Returns what it changed.

    ``told`` is called after each part with how many deliveries were changed, and how many were meant. Where it raises, or the
    process ends, the rest is as it was, and the same operation can be carried out again.
    """
    if operation.reset is not None:
        event_logs.set_site(database, operation, now, told, lambda tx: _note(tx, operation, now, 0))
        return Changed()
    if operation.verb not in _TAKES:
        with database.transaction() as tx:
            _ask(tx, operation, now)
        return Changed()
    takes = _TAKES[operation.verb] if operation.to_newest is None else _STILL_TO_COME
    query = replace(operation.query, states=tuple(sorted((frozenset(operation.query.states) or takes) & takes)))
    with database.transaction() as tx:
        # A hold ends first, and at once; what is changed is added to the record as it is changed.
        released = holds.release(tx, _plugins(tx, operation), query.lane) if operation.verb is Verb.RELEASE else 0
        number = _note(tx, operation, now, released)
        _begin(tx, operation, now)
    with database.snapshot() as tx:
        meant = sorted(delivery_queries.ids(tx, query)) if query.states else []
    changed: list[int] = []
    shown: tuple[DeliveryRow, ...] = ()
    for first in range(0, len(meant), CHUNK):
        began = time.monotonic()
        with database.transaction() as tx:
            # Those that still are as they were meant: a daemon works on beside this.
            ids = _change(tx, database.names, operation.verb, replace(query, ids=tuple(meant[first : first + CHUNK])), now)
            tx.execute("UPDATE operations SET changed = changed + ? WHERE id = ?", (len(ids), number))
            if missing := ids[: SHOWN - len(shown)]:
                shown += tuple(reversed(delivery_queries.rows(tx, DeliveryQuery(ids=missing))))
        changed += ids
        told(len(changed), len(meant))
        if first + CHUNK < len(meant):
            # SQLite's lock is nobody's in turn: whoever waits for it looks now and then whether it is free.
            time.sleep(min(max(time.monotonic() - began, SHORTEST_PAUSE), LONGEST_PAUSE))
    if operation.verb is Verb.FORGET or operation.to_newest is not None:
        with database.transaction() as tx:
            _finish(tx, operation, now)
    return Changed(tuple(changed), shown)


def _begin(tx: sqlite3.Connection, operation: Operation, now: float) -> None:
    """What comes before the deliveries: from here on the plugin is given nothing more of what it had not come to."""
    plugin_ids: Sequence[int] = ()
    if operation.verb is Verb.FORGET:
        plugin_ids = _gone(tx, operation)
    elif operation.to_newest is not None:
        plugin_ids = _plugins(tx, operation)
    for plugin_id in plugin_ids:
        tx.execute("UPDATE plugins SET position = NULL, gone_since = NULL, gone_newest = NULL WHERE id = ?", (plugin_id,))
        # The site's newest event may lie ahead of what was read by now.
        sql = "UPDATE plugins SET position = ?1 WHERE id = ?2 AND ?1 > (SELECT cursor FROM sites WHERE sites.id = site_id)"
        tx.execute(sql, (operation.to_newest, plugin_id))
        tx.execute("UPDATE replays SET ended = ? WHERE plugin_id = ? AND ended IS NULL", (now, plugin_id))
        # Late events of the past that it could not be given yet.
        sql = "DELETE FROM gaps WHERE (site_id, plugin) = (SELECT site_id, name FROM plugins WHERE id = ?)"
        tx.execute(sql, (plugin_id,))


def _finish(tx: sqlite3.Connection, operation: Operation, now: float) -> None:
    """What comes behind the deliveries: a plugin that is held runs none of them before they are given up."""
    for plugin_id in _plugins(tx, operation):
        if operation.verb is Verb.FORGET:
            tx.execute("DELETE FROM manifests WHERE plugin_id = ?", (plugin_id,))
            tx.execute("UPDATE plugins SET state = 'gone', path = '', forgotten = ? WHERE id = ?", (now, plugin_id))
            holds.release(tx, [plugin_id], None)
        else:
            holds.decide(tx, plugin_id)


def _gone(tx: sqlite3.Connection, operation: Operation) -> list[int]:
    plugin_ids = _plugins(tx, operation)
    states = [tx.execute("SELECT state FROM plugins WHERE id = ?", (plugin_id,)).fetchone()[0] for plugin_id in plugin_ids]
    if not operation.absent and any(state != PluginState.GONE for state in states):
        raise StateError(
            f"Plugin {operation.query.plugin} is not gone, so it can't be forgotten. Remove its file first; or let it start at the "
            f"newest event, with `callsheet skip --plugin {operation.query.plugin} --to-newest`."
        )
    return plugin_ids


def _ask(tx: sqlite3.Connection, operation: Operation, now: float) -> None:
    """Note what others carry out."""
    query = operation.query
    if operation.verb is Verb.HOLD:
        hold = Hold(query.lane, now, operation.who, operation.why)
        _note(tx, operation, now, holds.hold(tx, _plugins(tx, operation), query.lane, hold))
    elif operation.verb is Verb.REPLAY:
        (plugin_id,) = _plugins(tx, operation)
        replay_rows.ask(tx, _note(tx, operation, now, 0), plugin_id, query.callback, operation.ranges)
    elif operation.verb is Verb.STOP:
        _note(tx, operation, now, replay_rows.stop(tx, query.ids, now))
    else:
        if operation.verb is Verb.RELOAD and query.plugin is not None:
            _plugins(tx, operation)  # there is one
        daemon_commands.ask(tx, _note(tx, operation, now, 0), operation.verb, query)


def records(tx: sqlite3.Connection, limit: int) -> tuple[OperationRow, ...]:
    """The last ones, newest first."""
    found = tx.execute("SELECT id, at, verb, who, why, query, changed FROM operations ORDER BY id DESC LIMIT ?", (limit,))
    return tuple(
        OperationRow(number, at, Verb(verb), who, why, _in_words(json.loads(query)), changed)
        for number, at, verb, who, why, query, changed in found
    )


def _change(tx: sqlite3.Connection, names: Names, verb: Verb, query: DeliveryQuery, now: float) -> tuple[int, ...]:
    """Change the deliveries that the query wants. Retried and released ones start afresh, with no attempts behind them."""
    found = delivery_queries.rows(tx, query, limited=False)
    ids = tuple(row.id for row in reversed(found))
    ends = verb in {Verb.SKIP, Verb.FORGET}
    after = State.SKIPPED if ends else State.WAITING
    if ends:
        close(tx, ids, now)
    else:
        reopen(tx, ids, now)
    tally = StateCounters()
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
    sql += " AND p.forgotten IS NULL"
    found = [plugin_id for (plugin_id,) in tx.execute(sql, (query.plugin, query.site))]
    if not found:
        raise StateError(f"There is no plugin {query.plugin} to {verb}. `callsheet plugins` shows them.")
    if operation.to_newest is not None and len(found) > 1:
        raise StateError(f"Each site has a newest event of its own: say SITE/{query.plugin}.")
    if operation.verb is Verb.REPLAY and (len(found) > 1 or not operation.ranges):
        raise StateError(f"A replay is for the plugin of one site: say SITE/{query.plugin}, and which events.")
    return found


def _note(tx: sqlite3.Connection, operation: Operation, now: float, changed: int) -> int:
    """Put it on record; its id."""
    query = asdict(operation.query) | ({"ranges": operation.ranges} if operation.ranges else {})
    if operation.reset is not None:
        query |= {"address": operation.reset.address, "cursor": operation.reset.cursor}
    if operation.to_newest is not None:
        query["to_newest"] = operation.to_newest
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


_SAID = {"event_id": "event", "event_type": "type", "ids": "delivery", "to_newest": "on behind event"}


def _resume_lanes_of(tx: sqlite3.Connection, delivery_ids: tuple[int, ...], now: float) -> None:
    """Lanes that are handed out are left alone: they take what changed when their run ends."""
    sql = """
        SELECT DISTINCT l.id
        FROM json_each(?) AS j CROSS JOIN deliveries AS d ON d.id = j.value CROSS JOIN lanes AS l ON l.id = d.lane_id
        WHERE l.run IS NULL
    """
    resume(tx, [lane_id for (lane_id,) in tx.execute(sql, (json.dumps(delivery_ids),))], now)
