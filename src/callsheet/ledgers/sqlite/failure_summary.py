"""Which plugins have deliveries that failed for good, stand still, or wait for their site; and what the last one failed with."""

from __future__ import annotations

import sqlite3

from callsheet.domain.callback import PluginKey
from callsheet.domain.overview import FailureSummary, UnansweredCalls

# The newest of each, by an index that holds nothing but what is in trouble. Lanes are few where deliveries are many.
_FAILING = """
    SELECT s.name, p.name, p.dead, p.held, coalesce((
        SELECT f.kind || ': ' || f.text FROM failures AS f WHERE f.delivery_id = (
            SELECT max(d.id) FROM deliveries AS d INDEXED BY deliveries_troubled JOIN lanes AS l ON l.id = d.lane_id
            WHERE d.state IN (2, 3, 5) AND d.state IN (3, 5) AND l.plugin_id = p.id
        ) ORDER BY f.id DESC LIMIT 1
    ), '')
    FROM plugins AS p JOIN sites AS s ON s.id = p.site_id WHERE p.dead + p.held > 0 ORDER BY s.name, p.ordinal, p.name
"""

MOST_LOOKED_AT = 2000
"""Deliveries to be tried again that are looked at: in an outage there may be one per lane."""

# Not those that failed so once: the next try may do, and comes before anybody could do anything.
_UNANSWERED = """
    SELECT s.name, p.name, u.deliveries, u.tries, coalesce((
        SELECT f.kind || ': ' || f.text FROM failures AS f WHERE f.delivery_id = u.last ORDER BY f.id DESC LIMIT 1
    ), '')
    FROM (
        SELECT l.plugin_id, count(*) AS deliveries, max(d.outages) AS tries, max(d.id) AS last
        FROM (
            SELECT id, lane_id, outages FROM deliveries INDEXED BY deliveries_troubled
            WHERE state IN (2, 3, 5) AND state = 2 LIMIT ?
        ) AS d JOIN lanes AS l ON l.id = d.lane_id WHERE d.outages > 1 GROUP BY l.plugin_id
    ) AS u JOIN plugins AS p ON p.id = u.plugin_id JOIN sites AS s ON s.id = p.site_id ORDER BY s.name, p.ordinal, p.name
"""


def unanswered(tx: sqlite3.Connection) -> tuple[UnansweredCalls, ...]:
    """One for each plugin whose calls a site has not answered twice in a row or more."""
    found = tx.execute(_UNANSWERED, (MOST_LOOKED_AT,))
    return tuple(UnansweredCalls(PluginKey(site, name), deliveries, tries, last) for site, name, deliveries, tries, last in found)


def rows(tx: sqlite3.Connection) -> tuple[FailureSummary, ...]:
    """One for each such plugin."""
    return tuple(FailureSummary(PluginKey(site, name), dead, held, last) for site, name, dead, held, last in tx.execute(_FAILING))
