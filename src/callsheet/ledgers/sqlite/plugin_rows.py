"""What the ledger knows of plugins: where they lie, how they are, what they registered, how far they are."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import State
from callsheet.domain.overview import Described
from callsheet.domain.plugin import EarlierCallbacks, Manifest, PluginFile, PluginRecord, PluginState
from callsheet.ledgers import manifest_codec
from callsheet.ledgers.sqlite import holds
from callsheet.ledgers.sqlite.id_cache import Names
from callsheet.ledgers.sqlite.lane_heads import resume
from callsheet.ledgers.sqlite.state_counters import StateCounters

_RECORDS = """
    SELECT s.name, p.name, p.path, p.ordinal, p.state, p.mtime, p.position, p.waiting + p.retrying + p.held, p.held,
           coalesce(m.problem, ''), coalesce(m.callbacks, '[]'), p.updated, p.own, coalesce(m.file, ''), p.began_after, p.id
    FROM plugins AS p JOIN sites AS s ON s.id = p.site_id LEFT JOIN manifests AS m ON m.plugin_id = p.id
    WHERE (:site IS NULL OR s.name = :site) AND p.forgotten IS NULL
    ORDER BY s.name, p.ordinal, p.path, p.name
"""
# Open deliveries of a plugin whose callback its manifest no longer has.
_ORPHANS = """
    SELECT c.name, d.id, d.state
    FROM lanes AS l CROSS JOIN deliveries AS d ON d.lane_id = l.id AND d.state < 4 CROSS JOIN callbacks AS c ON c.id = d.callback_id
    WHERE l.plugin_id = ? AND c.name NOT IN (SELECT value FROM json_each(?))
"""
_CALLED = "SELECT name, called FROM callbacks WHERE plugin_id = ? AND called IS NOT NULL"
_BEGIN = """
    UPDATE plugins SET began_after = coalesce(position, (SELECT cursor FROM sites WHERE id = :site))
    WHERE site_id = :site AND began_after IS NULL AND state <> 'gone'
"""
_CHANGE = """
    INSERT INTO earlier_callbacks (plugin_id, until_event, at, callbacks)
    SELECT p.id, coalesce(p.position, s.cursor, 0), :now, :callbacks FROM plugins AS p JOIN sites AS s ON s.id = p.site_id
    WHERE p.id = :plugin
"""
_MOST_EARLIER = 20
"""How many changes of a plugin's filters are kept: what was asked for at the time of an event of the last days."""
_HELD = """
    SELECT d.id FROM deliveries AS d INDEXED BY deliveries_troubled JOIN lanes AS l ON l.id = d.lane_id
    WHERE d.state IN (2, 3, 5) AND d.state = 3 AND l.plugin_id = ?
"""
_STANDS = """
    UPDATE plugins SET troubled = (
        SELECT max(d.id) FROM lanes AS l CROSS JOIN deliveries AS d INDEXED BY deliveries_troubled ON d.lane_id = l.id
        WHERE d.state IN (2, 3, 5) AND d.state IN (3, 5) AND l.plugin_id = plugins.id
    ) WHERE troubled IN (SELECT value FROM json_each(?))
"""

_TRY_AFRESH = """
    UPDATE deliveries SET attempts = 0, crashes = 0 WHERE id IN (
        SELECT d.id FROM deliveries AS d INDEXED BY deliveries_troubled JOIN lanes AS l ON l.id = d.lane_id
        WHERE d.state IN (2, 3, 5) AND d.state = 2 AND l.plugin_id = ?
    )
"""

LATELY = 60.0
"""Seconds for which the newest id that the site showed counts as its newest."""

_LEAVE = """
    UPDATE plugins SET gone_since = :now, gone_newest = (
        SELECT max(coalesce(h.newest, 0), coalesce(s.cursor, 0)) FROM sites AS s JOIN health AS h ON h.site = s.name
        WHERE s.id = plugins.site_id AND h.answered_at >= :lately AND NOT EXISTS (SELECT 1 FROM heartbeat WHERE stopped_at NOTNULL)
    )
    WHERE id = :plugin AND gone_since IS NULL AND forgotten IS NULL
"""


def records(tx: sqlite3.Connection, site: str | None) -> list[PluginRecord]:
    """The plugins of a site (None: of all), in the order in which they lie."""
    found = []
    held_on_purpose = holds.by_plugin(tx)
    for (
        site_name,
        name,
        path,
        ordinal,
        state,
        mtime,
        position,
        waiting,
        held,
        problem,
        callbacks,
        updated,
        own,
        fingerprint,
        began_after,
        plugin_id,
    ) in tx.execute(_RECORDS, {"site": site}):
        key = PluginKey(site_name, name)
        facts = (mtime, position, waiting, held, problem, manifest_codec.decode(key, callbacks), updated, own)
        found.append(
            PluginRecord(
                key,
                path,
                ordinal,
                PluginState(state),
                *facts,
                holds=held_on_purpose.get(plugin_id, ()),
                fingerprint=fingerprint,
                began_after=began_after,
                earlier=_earlier(tx, plugin_id, key),
                called=dict(tx.execute(_CALLED, (plugin_id,)).fetchall()),
            )
        )
    return found


def enrol(
    tx: sqlite3.Connection, names: Names, plugins: Sequence[PluginFile], *, state: PluginState, now: float, problem: str
) -> None:
    """Note the files and their common state, and where those begin that are new."""
    for plugin in plugins:
        _note(tx, names.plugin(tx, plugin.key), plugin, state=state, now=now, problem=problem)
    for site in {plugin.key.site for plugin in plugins}:
        begin(tx, names.site(tx, site))


def begin(tx: sqlite3.Connection, site_id: int) -> None:
    """Note where plugins begin that are there and have not begun: at their position, else at the cursor, once there is one."""
    tx.execute(_BEGIN, {"site": site_id})


def describe(tx: sqlite3.Connection, names: Names, plugin: PluginFile, manifest: Manifest, now: float) -> Described:
    """Keep a manifest. READY: skip what has lost its callback; if the file is another one, release what is held, and
    let what is retried be as if never tried.
    """
    plugin_id = names.plugin(tx, plugin.key)
    if manifest.problem is not None:
        _note(tx, plugin_id, plugin, state=PluginState.BROKEN, now=now, problem=manifest.problem)
        return Described()
    _note(tx, plugin_id, plugin, state=PluginState.READY, now=now, problem="")
    before, registered = tx.execute("SELECT file, callbacks FROM manifests WHERE plugin_id = ?", (plugin_id,)).fetchone()
    is_another = not plugin.fingerprint or plugin.fingerprint != before
    callbacks = manifest_codec.encode(manifest.callbacks)
    if registered not in {callbacks, "[]"}:
        _keep_earlier(tx, plugin_id, registered, now)
    tx.execute("UPDATE manifests SET callbacks = ?, file = ? WHERE plugin_id = ?", (callbacks, plugin.fingerprint, plugin_id))
    for callback in manifest.callbacks:
        names.callback(tx, callback.key)
    tally = StateCounters()
    skipped = _skip_orphans(tx, plugin_id, [callback.key.name for callback in manifest.callbacks], now, tally)
    held = [delivery_id for (delivery_id,) in tx.execute(_HELD, (plugin_id,))] if is_another else []
    if is_another:
        tx.execute("UPDATE callbacks SET failures = 0, failing_since = NULL WHERE plugin_id = ? AND failures > 0", (plugin_id,))
    reopen(tx, held, now)
    if is_another:  # what failed was the file before; each is due when it was
        tx.execute(_TRY_AFRESH, (plugin_id,))
    tally.move(plugin_id, State.HELD, State.WAITING, len(held))
    tally.write(tx)
    if skipped or held:
        sql = "SELECT id FROM lanes WHERE plugin_id = ? AND state IN ('ready', 'held')"
        resume(tx, [lane_id for (lane_id,) in tx.execute(sql, (plugin_id,))], now)
    return Described(skipped, len(held))


def reopen(tx: sqlite3.Connection, delivery_ids: Sequence[int], now: float) -> None:
    """Let these wait again as if never tried; their failures stay on record. Counts and lanes are the caller's.

    Being due tells them from those that a run has in hand, should their lane be handed out at this moment.
    """
    tx.execute(
        "UPDATE deliveries SET state = 0, attempts = 0, crashes = 0, outages = 0, started = NULL, finished = NULL, due = ?"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (now, json.dumps(delivery_ids)),
    )
    tx.execute(_STANDS, (json.dumps(delivery_ids),))


def close(tx: sqlite3.Connection, delivery_ids: Sequence[int], now: float) -> None:
    """Mark these as skipped. Counts and lanes are the caller's."""
    tx.execute(
        "UPDATE deliveries SET state = 6, finished = ?, due = NULL WHERE id IN (SELECT value FROM json_each(?))",
        (now, json.dumps(delivery_ids)),
    )
    tx.execute(_STANDS, (json.dumps(delivery_ids),))


def _note(tx: sqlite3.Connection, plugin_id: int, plugin: PluginFile, *, state: PluginState, now: float, problem: str) -> None:
    facts = (plugin.path, plugin.ordinal, plugin.mtime, state.value, now, plugin_id)
    tx.execute("UPDATE plugins SET path = ?, ordinal = ?, mtime = ?, state = ?, updated = ? WHERE id = ?", facts)
    if state is PluginState.GONE:
        tx.execute(_LEAVE, {"plugin": plugin_id, "now": now, "lately": now - LATELY})
    else:
        tx.execute("UPDATE plugins SET position = NULL, forgotten = NULL WHERE id = ? AND forgotten IS NOT NULL", (plugin_id,))
    tx.execute(
        "INSERT INTO manifests (plugin_id, problem) VALUES (?, ?) ON CONFLICT (plugin_id) DO UPDATE SET problem = excluded.problem",
        (plugin_id, problem),
    )


def _keep_earlier(tx: sqlite3.Connection, plugin_id: int, callbacks: str, now: float) -> None:
    """Keep what was registered up to the plugin's position, the last few times that it changed."""
    tx.execute(_CHANGE, {"plugin": plugin_id, "now": now, "callbacks": callbacks})
    sql = "SELECT rowid FROM earlier_callbacks WHERE plugin_id = ? ORDER BY rowid DESC LIMIT -1 OFFSET ?"
    tx.execute(f"DELETE FROM earlier_callbacks WHERE rowid IN ({sql})", (plugin_id, _MOST_EARLIER))  # noqa: S608 - our own query


def _earlier(tx: sqlite3.Connection, plugin_id: int, key: PluginKey) -> tuple[EarlierCallbacks, ...]:
    sql = "SELECT until_event, at, callbacks FROM earlier_callbacks WHERE plugin_id = ? ORDER BY until_event, at"
    return tuple(
        EarlierCallbacks(until, at, manifest_codec.decode(key, callbacks)) for until, at, callbacks in tx.execute(sql, (plugin_id,))
    )


def _skip_orphans(tx: sqlite3.Connection, plugin_id: int, kept: list[str], now: float, tally: StateCounters) -> dict[str, int]:
    """Also those that are handed out: one that still ends well in the old worker becomes ``done`` nevertheless (see ``runs``)."""
    wanted = (plugin_id, json.dumps(kept))
    sql = "SELECT EXISTS (SELECT 1 FROM callbacks WHERE plugin_id = ? AND name NOT IN (SELECT value FROM json_each(?)))"
    if tx.execute(sql, wanted).fetchone() == (0,):  # the usual reload need not walk through what waits
        return {}
    orphans = tx.execute(_ORPHANS, wanted).fetchall()
    close(tx, [delivery_id for _, delivery_id, _ in orphans], now)
    for _, _, state in orphans:
        tally.move(plugin_id, state, State.SKIPPED)
    return dict(Counter(name for name, _, _ in orphans))
