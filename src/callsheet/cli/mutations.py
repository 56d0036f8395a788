"""What the commands that change something share: carry an operation out and say what it changed."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import click

from callsheet.cli import TROUBLE
from callsheet.cli.command_context import CommandContext, who
from callsheet.cli.tables import echo, table
from callsheet.domain.delivery import DeliveryQuery, DeliveryRow
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.overview import Changed
from callsheet.domain.plugin import PluginRecord
from callsheet.report import json_output
from callsheet.report.daemon_troubles import is_running
from callsheet.report.formatting import count

ENOUGH = 1000
"""Deliveries looked at to say why an operation met none; and read at once, where all that changed are printed."""
REDRAW, PLAIN_EVERY = 0.2, 5.0
"""Seconds between two words of progress: on a terminal, elsewhere."""


def operate(at: CommandContext, verb: Verb, query: DeliveryQuery, why: str, *, as_json: bool, to_newest: int | None = None) -> int:
    """Do it, in the user's name, and show what changed; how many that are. Where it takes long, how far it is is told."""
    progress = Progress()
    try:
        changed = at.ledger.operate(Operation(verb, who(), why, query, to_newest=to_newest), time.time(), progress)
    except KeyboardInterrupt:
        progress.close()
        echo(f"Interrupted: {progress}. The same command goes on with the rest.", err=True)
        raise
    progress.close()
    if as_json:
        json_output.print_json([json_output.delivery(row) for row in _rows(at, changed.ids)])
    elif changed.ids:
        echo(*_changed(changed))
        when_stopped(at)
    return len(changed.ids)


class Progress:
    """How far an operation is, on stderr: on a terminal as it goes, elsewhere a line now and then."""

    def __init__(self) -> None:
        self._done = self._of = 0
        self._terminal = sys.stderr.isatty()
        self._told_at = time.monotonic()
        self._begun = False

    def __call__(self, done: int, of: int) -> None:
        """Note it, and tell it."""
        self._done, self._of = done, of
        now = time.monotonic()
        if done < of and now - self._told_at >= (REDRAW if self._terminal else PLAIN_EVERY):
            self._told_at = now
            self._begun = True
            click.echo(f"\r{self} " if self._terminal else str(self), nl=not self._terminal, err=True)

    def __str__(self) -> str:
        return f"{self._done:,} of {count(self._of, 'delivery')} changed"

    def close(self) -> None:
        """What is told behind it begins on a line of its own."""
        if self._terminal and self._begun:
            click.echo("\r\x1b[K", nl=False, err=True)


def when_stopped(at: CommandContext) -> None:
    """Say so where no daemon runs that would act on it now."""
    if not is_running(at.ledger.overview(), time.time()):
        echo("The daemon is not running; this takes effect when it starts.", err=True)


def unknown(plugin: str, known: Sequence[PluginRecord]) -> str:
    """Why a command about that plugin does nothing: there is none."""
    return f"there is no plugin {plugin}. Known plugins: {', '.join(one.key.name for one in known) or 'none yet'}."


def nothing(message: str) -> int:
    """Say why nothing was changed; the exit code."""
    echo(f"Nothing was changed: {message}", err=True)
    return TROUBLE


def unfit(at: CommandContext, query: DeliveryQuery, fit: str) -> int:
    """Say why an operation met nothing: no delivery is like that, or none in a fit state."""
    states = sorted({row.state for row in at.ledger.deliveries(replace(query, limit=ENOUGH))})
    if not states:
        return nothing("no delivery is like that. `callsheet deliveries` shows what there is.")
    found = " or ".join(state.word for state in states)
    return nothing(f"what is meant is {found}, and only {fit} deliveries can be.")


def _rows(at: CommandContext, ids: Sequence[int]) -> list[DeliveryRow]:
    """These deliveries as they are now, newest first."""
    found: list[DeliveryRow] = []
    for first in range(0, len(ids), ENOUGH):
        found += at.ledger.deliveries(DeliveryQuery(ids=tuple(ids[first : first + ENOUGH]), limit=ENOUGH))
    return sorted(found, key=lambda row: row.id, reverse=True)


def _changed(changed: Changed) -> list[str]:
    number, after = len(changed.ids), changed.first[0].state
    lines = table(
        ["ID", "STATE", "EVENT", "TYPE", "CALLBACK"],
        [[row.id, row.state.word, row.event_id, row.event_type, f"{row.plugin}.{row.callback}"] for row in changed.first],
    )
    if number > len(changed.first):
        lines.append(f"… and {count(number - len(changed.first), 'delivery')} more")
    return [*lines, f"{count(number, 'delivery')} changed: {number:,} now {after.word}."]
