"""What operators hold. A claim passes it by; nothing else of a delivery, a lane or a plugin is touched by it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from callsheet.domain.plugin import DAEMON, Hold

PLUGINS = "SELECT plugin_id FROM holds WHERE lane IS NULL"
"""SQL: the ids of the plugins that are held as a whole."""

LANE = "EXISTS (SELECT 1 FROM holds WHERE holds.plugin_id = lanes.plugin_id AND holds.lane = lanes.key)"
"""SQL: whether a row of ``lanes`` is held, by a hold of its own."""


def hold(tx: sqlite3.Connection, plugin_ids: Sequence[int], lane: str | None, hold: Hold) -> int:
    """Hold these plugins, or the lane of that key in each; a hold that is there already takes the newer reason.

    That of the daemon and that of an operator stand beside each other.
    """
    sql = "DELETE FROM holds WHERE plugin_id = ? AND lane IS ? AND (who = ?) = ?"
    for plugin_id in plugin_ids:
        tx.execute(sql, (plugin_id, lane, DAEMON, hold.undecided))
        tx.execute(
            "INSERT INTO holds (plugin_id, lane, at, who, why) VALUES (?, ?, ?, ?, ?)",
            (plugin_id, lane, hold.since, hold.who, hold.why),
        )
    return len(plugin_ids)


def release(tx: sqlite3.Connection, plugin_ids: Sequence[int], lane: str | None) -> int:
    """End these plugins' holds (``lane``: the one of that lane); returns how many there were."""
    sql = "DELETE FROM holds WHERE plugin_id = ? AND (?2 IS NULL OR lane = ?2)"
    return sum(tx.execute(sql, (plugin_id, lane)).rowcount for plugin_id in plugin_ids)


def decide(tx: sqlite3.Connection, plugin_id: int) -> None:
    """End the daemon's hold of that plugin: an operator has decided."""
    tx.execute("DELETE FROM holds WHERE plugin_id = ? AND who = ?", (plugin_id, DAEMON))


def undecided(tx: sqlite3.Connection, site_id: int) -> frozenset[str]:
    """The names of the plugins of a site that the daemon holds."""
    sql = "SELECT p.name FROM holds AS h CROSS JOIN plugins AS p ON p.id = h.plugin_id WHERE h.who = ? AND p.site_id = ?"
    return frozenset(name for (name,) in tx.execute(sql, (DAEMON, site_id)))


def by_plugin(tx: sqlite3.Connection) -> dict[int, tuple[Hold, ...]]:
    """The holds of each plugin that has any, the oldest first."""
    found: dict[int, tuple[Hold, ...]] = {}
    for plugin_id, lane, since, who, why in tx.execute("SELECT plugin_id, lane, at, who, why FROM holds ORDER BY at, rowid"):
        found[plugin_id] = (*found.get(plugin_id, ()), Hold(lane, since, who, why))
    return found


def lanes(tx: sqlite3.Connection, site_id: int) -> dict[str, frozenset[str | None]]:
    """Of a site, the name of each plugin that has holds, and which lanes they hold; None among them: all."""
    sql = "SELECT p.name, h.lane FROM holds AS h CROSS JOIN plugins AS p ON p.id = h.plugin_id WHERE p.site_id = ?"
    found: dict[str, frozenset[str | None]] = {}
    for name, lane in tx.execute(sql, (site_id,)):
        found[name] = found.get(name, frozenset()) | {lane}
    return found
