"""Which plugins have deliveries that failed for good or stand still, and what the last one of each failed with."""

from __future__ import annotations

import sqlite3

from callsheet.domain.callback import PluginKey
from callsheet.domain.overview import FailureSummary

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


def rows(tx: sqlite3.Connection) -> tuple[FailureSummary, ...]:
    """One for each such plugin."""
    return tuple(FailureSummary(PluginKey(site, name), dead, held, last) for site, name, dead, held, last in tx.execute(_FAILING))
