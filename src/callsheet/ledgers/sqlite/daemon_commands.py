"""What operators ask of the running daemon; it takes that at its next beat."""

from __future__ import annotations

import json
import sqlite3

from callsheet.domain.delivery import DeliveryQuery
from callsheet.domain.operation import DaemonCommand, Verb
from callsheet.errors import StateError


def ask(tx: sqlite3.Connection, operation: int, verb: Verb, query: DeliveryQuery) -> None:
    """Note it, under the id of its operation."""
    if verb is not Verb.RELOAD and (query.site is None or query.project is None):
        raise StateError(f"To {verb.value} a session, say of which site and project.")
    tx.execute(
        "INSERT INTO asked (id, verb, site, project, plugin) VALUES (?, ?, ?, ?, ?)",
        (operation, verb.value, query.site or "", json.dumps(query.project), query.plugin),
    )


def take(tx: sqlite3.Connection) -> list[DaemonCommand]:
    """All that was asked since the last call, in order."""
    found = tx.execute("SELECT id, verb, site, project, plugin FROM asked ORDER BY id").fetchall()
    if found:
        tx.execute("DELETE FROM asked WHERE id <= ?", (found[-1][0],))
    return [DaemonCommand(Verb(verb), site or None, json.loads(project), plugin) for _, verb, site, project, plugin in found]
