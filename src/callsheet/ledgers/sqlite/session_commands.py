"""What operators ask of the running daemon; it takes that at its next beat."""

from __future__ import annotations

import json
import sqlite3

from callsheet.domain.operation import SessionCommand, Verb
from callsheet.errors import StateError


def ask(tx: sqlite3.Connection, operation: int, verb: Verb, site: str | None, project: int | str | None) -> None:
    """Note it, under the id of its operation."""
    if site is None or project is None:
        raise StateError(f"To {verb.value} a session, say of which site and project.")
    tx.execute(
        "INSERT INTO asked (id, verb, site, project) VALUES (?, ?, ?, ?)", (operation, verb.value, site, json.dumps(project))
    )


def take(tx: sqlite3.Connection) -> list[SessionCommand]:
    """All that was asked since the last call, in order."""
    found = tx.execute("SELECT id, verb, site, project FROM asked ORDER BY id").fetchall()
    if found:
        tx.execute("DELETE FROM asked WHERE id <= ?", (found[-1][0],))
    return [SessionCommand(Verb(verb), site, json.loads(project)) for _, verb, site, project in found]
