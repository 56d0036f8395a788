"""What the commands that change something share: carry an operation out and say what it changed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import click

from callsheet.cli import TROUBLE, facts
from callsheet.cli.opening import Opened, who
from callsheet.cli.tables import table
from callsheet.cli.words import count
from callsheet.desk import DeliveryQuery, DeliveryRow, Operation, PluginRecord, Verb

SHOWN = 20
"""Changed deliveries listed one by one; beyond that, the number says more than the list."""
ENOUGH = 1000
"""Deliveries looked at to say why an operation met none."""


def operate(at: Opened, verb: Verb, query: DeliveryQuery, why: str, *, as_json: bool) -> list[DeliveryRow]:
    """Do it, in the user's name, and show what changed; the deliveries as they are now."""
    now = time.time()
    changed = at.ledger.operate(Operation(verb, who(), why, query), now)
    if as_json:
        facts.print_json([facts.delivery(row) for row in changed])
    elif changed:
        click.echo("\n".join(_changed(changed)))
        when_stopped(at)
    return changed


def when_stopped(at: Opened) -> None:
    """Say so where no daemon runs that would act on it now."""
    if not facts.daemon(at.ledger.overview().heartbeat, time.time())["running"]:
        click.echo("The daemon is not running; this takes effect when it starts.", err=True)


def unknown(plugin: str, known: Sequence[PluginRecord]) -> str:
    """Why a command about that plugin does nothing: there is none."""
    return f"there is no plugin {plugin}. Known plugins: {', '.join(one.key.name for one in known) or 'none yet'}."


def nothing(message: str) -> int:
    """Say why nothing was changed; the exit code."""
    click.echo(f"Nothing was changed: {message}", err=True)
    return TROUBLE


def unfit(at: Opened, query: DeliveryQuery, fit: str) -> int:
    """Say why an operation met nothing: no delivery is like that, or none in a fit state."""
    states = sorted({row.state for row in at.ledger.deliveries(replace(query, limit=ENOUGH))})
    if not states:
        return nothing("no delivery is like that. `callsheet deliveries` shows what there is.")
    found = " or ".join(state.word for state in states)
    return nothing(f"what is meant is {found}, and only {fit} deliveries can be.")


def _changed(rows: list[DeliveryRow]) -> list[str]:
    by_state = Counter(row.state for row in rows)
    now_are = ", ".join(f"{number:,} now {state.word}" for state, number in sorted(by_state.items()))
    listed = sorted(rows, key=lambda row: row.id)[:SHOWN]
    lines = table(
        ["ID", "STATE", "EVENT", "TYPE", "CALLBACK"],
        [[row.id, row.state.word, row.event_id, row.event_type, f"{row.plugin}.{row.callback}"] for row in listed],
    )
    if len(rows) > SHOWN:
        lines.append(f"… and {count(len(rows) - SHOWN, 'delivery')} more")
    return [*lines, f"{count(len(rows), 'delivery')} changed: {now_are}."]
