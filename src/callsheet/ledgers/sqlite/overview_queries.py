"""All that `status` shows, and the heartbeat by which it sees that a daemon lives."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, astuple
from typing import Any

from callsheet.domain.delivery import State
from callsheet.domain.overview import Condition, Heartbeat, Overview, ServiceHealth, SiteHealth
from callsheet.ledgers.sqlite import failure_summary, operation_log, plugin_rows, replay_rows, state_counters, worker_rows
from callsheet.ledgers.sqlite.lane_heads import count_running
from callsheet.ledgers.sqlite.recording import site_state
from callsheet.wire.texts import storable

# Ids grow with the order of recording; the index holds nothing but what is open.
_OLDEST = "SELECT recorded FROM deliveries WHERE id = (SELECT min(id) FROM deliveries INDEXED BY deliveries_open WHERE state < 4)"
_OLDEST_OF_MANY = "SELECT recorded FROM deliveries NOT INDEXED WHERE state < 4 ORDER BY id LIMIT 1"


ENDED_REPLAYS = 5
"""So many replays that have ended are shown."""


def overview(tx: sqlite3.Connection, last_operations: int) -> Overview:
    """Everything, as of one moment."""
    states = state_counters.states(tx)
    running = count_running(tx)
    states.update({State.RUNNING: running, State.WAITING: -running})
    heartbeat = tx.execute("SELECT pid, started_at, at, version, config, stopped_at, report FROM heartbeat").fetchone()
    health = tx.execute("SELECT site, url, newest, answered_at, error, error_since, problem, patience FROM health ORDER BY site")
    sites = [name for (name,) in tx.execute("SELECT name FROM sites ORDER BY name")]
    oldest = tx.execute(_OLDEST if state_counters.open_are_few(tx) else _OLDEST_OF_MANY).fetchone()
    return Overview(
        heartbeat=Heartbeat(*heartbeat[:-1], **_decoded(heartbeat[-1])) if heartbeat else None,
        health=tuple(SiteHealth(*row) for row in health),
        sites=tuple(site_state(tx, name) for name in sites),
        plugins=tuple(plugin_rows.records(tx, None)),
        states={state: states[state] for state in State},
        oldest_waiting=oldest[0] if oldest else None,
        workers=worker_rows.rows(tx),
        replays=replay_rows.last(tx, ENDED_REPLAYS),
        operations=operation_log.records(tx, last_operations),
        failing=failure_summary.rows(tx),
        always_failing=failure_summary.always(tx),
        late=failure_summary.late(tx),
        unanswered=failure_summary.unanswered(tx),
    )


def last_beat(tx: sqlite3.Connection) -> float:
    """When a daemon last said that it lives; 0 if none ever did."""
    row = tx.execute("SELECT at FROM heartbeat").fetchone()
    return float(row[0]) if row else 0.0


def beat(tx: sqlite3.Connection, heartbeat: Heartbeat, health: Sequence[SiteHealth]) -> None:
    """Replace the heartbeat and what was known of the sites' health."""
    one = heartbeat
    tx.execute(
        "INSERT OR REPLACE INTO heartbeat (id, pid, started_at, at, version, config, stopped_at, report)"
        " VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
        (one.pid, one.started_at, one.at, one.version, one.config, one.stopped_at, _encoded(one)),
    )
    tx.execute("DELETE FROM health")
    tx.executemany(
        "INSERT INTO health (site, url, newest, answered_at, error, error_since, problem, patience)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [astuple(one) for one in health],
    )


def _encoded(heartbeat: Heartbeat) -> str:
    """What the daemon says of itself, as JSON whose texts can be read again."""
    services, conditions = ([asdict(one) for one in many] for many in (heartbeat.services, heartbeat.conditions))
    for one in (*services, *conditions):
        one.update({name: storable(value) for name, value in one.items() if isinstance(value, str)})
    return json.dumps({"services": services, "conditions": conditions, "folders": list(map(storable, heartbeat.folders))})


def _decoded(report: str) -> dict[str, Any]:
    known = json.loads(report)
    return {
        "services": tuple(ServiceHealth(**one) for one in known.get("services", ())),
        "conditions": tuple(Condition(**one) for one in known.get("conditions", ())),
        "folders": tuple(known.get("folders", ())),
    }
