"""Which plugins have deliveries that failed for good, stand still, or wait for their site; and what the last one failed with."""

from __future__ import annotations

import sqlite3

from callsheet.domain.callback import CallbackKey, PluginKey
from callsheet.domain.overview import FailingCallback, FailureSummary, UnansweredCalls, WaitingSince
from callsheet.ledgers.sqlite import holds

# The last that was noted, unless it was tried again, skipped or forgotten since: then the newest of those that stand, by an index
# that holds nothing but what is in trouble. Lanes are few where deliveries are many.
_FAILING = """
    SELECT s.name, p.name, p.dead, p.held, coalesce((
        SELECT f.kind || ': ' || f.text FROM failures AS f WHERE f.delivery_id = coalesce(
            (SELECT d.id FROM deliveries AS d WHERE d.id = p.troubled AND d.state IN (3, 5)),
            (
                SELECT max(d.id) FROM lanes AS l CROSS JOIN deliveries AS d INDEXED BY deliveries_troubled ON d.lane_id = l.id
                WHERE d.state IN (2, 3, 5) AND d.state IN (3, 5) AND l.plugin_id = p.id
            )
        ) ORDER BY f.id DESC LIMIT 1
    ), ''), p.troubled_since
    FROM plugins AS p JOIN sites AS s ON s.id = p.site_id WHERE p.dead + p.held > 0 ORDER BY s.name, p.ordinal, p.name
"""

# Of plugins that can run: what else stands still is told by itself.
_ALWAYS = """
    SELECT s.name, p.name, c.name, c.failures, c.failing_since, coalesce((
        SELECT f.kind || ': ' || f.text FROM failures AS f WHERE f.delivery_id = c.last_failed ORDER BY f.id DESC LIMIT 1
    ), '')
    FROM callbacks AS c JOIN plugins AS p ON p.id = c.plugin_id JOIN sites AS s ON s.id = p.site_id
    WHERE c.failures >= ? AND p.forgotten IS NULL AND p.state = 'ready' ORDER BY s.name, p.ordinal, p.name, c.name
"""

# Lanes that are ready, and not handed out; and what waits behind a run. Not what is held, or not due yet.
_LATE = f"""
    SELECT s.name, p.name, min(
        coalesce((
            SELECT due FROM lanes WHERE plugin_id = p.id AND state = 'ready' AND NOT {holds.LANE} ORDER BY due LIMIT 1
        ), :never),
        coalesce((
            SELECT min((
                SELECT d.recorded FROM deliveries AS d INDEXED BY deliveries_open
                WHERE d.lane_id = lanes.id AND d.state < 4
                    AND (d.event_id, d.ordinal) > (lanes.tail_event, lanes.tail_ordinal) AND d.state = 0 AND d.due IS NULL
                ORDER BY d.event_id, d.ordinal LIMIT 1
            )) FROM lanes INDEXED BY lanes_run WHERE run IS NOT NULL AND plugin_id = p.id
        ), :never)
    ) AS since
    FROM plugins AS p JOIN sites AS s ON s.id = p.site_id
    WHERE p.state = 'ready' AND p.forgotten IS NULL AND p.waiting > 0 AND p.id NOT IN ({holds.PLUGINS}) AND since < :never
    ORDER BY s.name, p.ordinal, p.name
"""  # noqa: S608 - our own conditions
_NEVER = 1e15

ALWAYS = 20
"""So many calls of a callback in a row have failed where `status` says that all of them do."""

MOST_LOOKED_AT = 2000
"""Deliveries to be tried again that are looked at: in an outage there may be one per lane."""

# Not those that failed so once, and soon: the next try may do, and comes before anybody could do anything.
_UNANSWERED = """
    SELECT s.name, p.name, u.deliveries, u.tries, coalesce((
        SELECT f.kind || ': ' || f.text FROM failures AS f WHERE f.delivery_id = u.last ORDER BY f.id DESC LIMIT 1
    ), '')
    FROM (
        SELECT l.plugin_id, count(*) AS deliveries, max(d.outages) AS tries, max(d.id) AS last
        FROM (
            SELECT id, lane_id, outages, finished - started AS took FROM deliveries INDEXED BY deliveries_troubled
            WHERE state IN (2, 3, 5) AND state = 2 LIMIT ?
        ) AS d JOIN lanes AS l ON l.id = d.lane_id WHERE d.outages > 1 OR (d.outages = 1 AND d.took > 10) GROUP BY l.plugin_id
    ) AS u JOIN plugins AS p ON p.id = u.plugin_id JOIN sites AS s ON s.id = p.site_id ORDER BY s.name, p.ordinal, p.name
"""


def unanswered(tx: sqlite3.Connection) -> tuple[UnansweredCalls, ...]:
    """One for each plugin whose calls a site has not answered twice in a row or more."""
    found = tx.execute(_UNANSWERED, (MOST_LOOKED_AT,))
    return tuple(UnansweredCalls(PluginKey(site, name), deliveries, tries, last) for site, name, deliveries, tries, last in found)


def rows(tx: sqlite3.Connection) -> tuple[FailureSummary, ...]:
    """One for each plugin of which something is dead or held."""
    return tuple(FailureSummary(PluginKey(site, name), *facts) for site, name, *facts in tx.execute(_FAILING))


def always(tx: sqlite3.Connection) -> tuple[FailingCallback, ...]:
    """Callbacks of which ALWAYS calls in a row, or more, have failed."""
    found = tx.execute(_ALWAYS, (ALWAYS,))
    return tuple(FailingCallback(CallbackKey(PluginKey(site, plugin), name), *facts) for site, plugin, name, *facts in found)


def late(tx: sqlite3.Connection) -> tuple[WaitingSince, ...]:
    """Since when the oldest delivery of each plugin waits that could run; of those plugins that have one."""
    return tuple(WaitingSince(PluginKey(site, name), since) for site, name, since in tx.execute(_LATE, {"never": _NEVER}))
