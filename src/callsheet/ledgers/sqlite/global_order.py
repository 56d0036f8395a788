"""Whose turn it is among the legacy plugins of a site that run one after another, event by event (``order = "global"``).

Each of these plugins has a lane of the key GLOBAL. They are handed out as if they were one lane, ordered by event and then by the
plugins' order. A plugin that is being loaded, or was and has not come to the cursor yet, will have deliveries of the events behind
its place: the others do not pass that place before it has. A plugin that is held, broken or gone takes no part: the others go on
without it, as under shotgunEvents. So nobody waits for longer than a plugin may take to load.
"""

from __future__ import annotations

import json
import sqlite3
from typing import NamedTuple

from callsheet.domain.callback import GLOBAL
from callsheet.ledgers.sqlite import holds

# One look-up in an index per such plugin.
_HEADS = f"""
    SELECT
        (SELECT d.event_id FROM deliveries AS d WHERE d.lane_id = lanes.id AND d.state < 4 ORDER BY d.event_id, d.ordinal LIMIT 1)
            AS event_id,
        p.ordinal, lanes.id, p.id, lanes.run
    FROM plugins AS p CROSS JOIN lanes ON lanes.plugin_id = p.id AND lanes.key = ?
    WHERE p.site_id = ? AND p.state IN ('loading', 'ready') AND lanes.state IN ('ready', 'running')
        AND (lanes.run IS NOT NULL OR NOT (p.id IN ({holds.PLUGINS}) OR {holds.LANE}))
"""  # noqa: S608 - our own conditions

# The place in the log of those that stay behind the cursor. What a new one registers is not known while it is being loaded.
_BEHIND = f"""
    SELECT p.position + 1, p.ordinal, p.id FROM plugins AS p LEFT JOIN manifests AS m ON m.plugin_id = p.id
    WHERE p.site_id = :site AND p.position IS NOT NULL
        AND (instr(m.callbacks, :in_turn) OR (p.state = 'loading' AND coalesce(m.callbacks, '[]') = '[]'))
        AND p.state IN ('loading', 'ready') AND p.id NOT IN ({holds.PLUGINS})
        AND NOT EXISTS (
            SELECT 1 FROM lanes WHERE lanes.plugin_id = p.id AND lanes.key = :key AND (lanes.state = 'held' OR {holds.LANE})
        )
"""  # noqa: S608 - our own conditions
_IN_TURN = f'"lane":{json.dumps(GLOBAL)}'
"""How ``codec.encode`` writes that a callback is called in turn."""

Place = tuple[int, int]
"""An event's id, and a plugin's place in the order."""


class Turn(NamedTuple):
    """The one lane that may be handed out, and up to where: the place at which another plugin's turn begins."""

    lane_id: int
    ordinal: int
    until: Place | None

    def reaches(self, event_id: int) -> bool:
        """Whether the plugin's deliveries of that event still belong to this turn."""
        return self.until is None or (event_id, self.ordinal) < self.until


class GlobalOrder:
    """The turns of all sites within one transaction; looked up once per site."""

    def __init__(self, tx: sqlite3.Connection) -> None:
        self._tx = tx
        self._known: dict[int, Turn | None] = {}

    def of(self, site_id: int, lane_id: int) -> Turn | None:
        """The turn, if it is this lane's."""
        if site_id not in self._known:
            self._known[site_id] = _turn(self._tx, site_id)
        turn = self._known[site_id]
        return turn if turn is not None and turn.lane_id == lane_id else None

    def taken(self, site_id: int) -> None:
        """The lane was handed out: it is nobody's turn until it is given back."""
        self._known[site_id] = None


def _turn(tx: sqlite3.Connection, site_id: int) -> Turn | None:
    """Whose turn it is on that site; None while one of these lanes is handed out or one of these plugins is waited for, and where
    nothing waits in any.
    """
    heads = [row for row in tx.execute(_HEADS, (GLOBAL, site_id)) if row[0] is not None or row[4] is not None]
    if not heads or any(run is not None for *_, run in heads):
        return None
    (event_id, ordinal, lane_id, plugin_id, _), *others = sorted(heads)
    behind = tx.execute(_BEHIND, {"site": site_id, "key": GLOBAL, "in_turn": _IN_TURN}).fetchall()
    places = [(event, place) for event, place, *_ in others]
    places += [(event, place) for event, place, owner in behind if owner != plugin_id]
    until = min(places, default=None)
    return Turn(lane_id, ordinal, until) if until is None or (event_id, ordinal) < until else None
