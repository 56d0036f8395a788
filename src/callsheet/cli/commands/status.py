"""``callsheet status``: is all well, and if not, what to do."""

from __future__ import annotations

import threading
import time

import click

from callsheet.cli import TROUBLE, status_view
from callsheet.cli.command_context import CommandContext, config_argument, opened
from callsheet.cli.examples import examples
from callsheet.cli.tables import echo
from callsheet.report import json_output
from callsheet.report.diagnostics import troubles

EVERY = 2.0
"""Seconds between two looks of ``--watch``."""


@click.command(
    epilog=examples(
        ("callsheet status studio.toml", "is all well? exits 0 if so, 1 if not"),
        ("callsheet status studio.toml --watch", "look again every two seconds, until Ctrl-C"),
        ("callsheet status studio.toml --json", "for a monitor: the key `trouble` is empty if all is well"),
    )
)
@config_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON; its keys are documented and stay.")
@click.option("--watch", is_flag=True, help="Look again every two seconds, until Ctrl-C.")
def command(*, config: str | None, as_json: bool, watch: bool) -> int:
    """Show how the daemon, its sites and its plugins are.

    Exits 0 if all is well, and 1 if there is trouble: the daemon doesn't run, hangs, or a part of it does; a disk is nearly full; a
    site doesn't answer or isn't read; a plugin can't be loaded, is gone, held, or fails at every call; a worker is lost again and
    again; deliveries failed for good, or wait for too long. Each trouble is shown with its cure. What an operator holds is no
    trouble: it is shown with who holds it, and why.
    """
    with opened(config) as at:
        while watch:
            if not as_json:
                click.clear()
            _show(at, as_json=as_json)
            threading.Event().wait(EVERY)
        return _show(at, as_json=as_json)


def _show(at: CommandContext, *, as_json: bool) -> int:
    """Print it once; TROUBLE if there is any."""
    now = time.time()
    shown = at.ledger.overview()
    found = troubles(shown, at.config, now)
    if as_json:
        json_output.print_json(json_output.overview(shown, found, now))
    else:
        echo(*status_view.lines(shown, found, now, at.config))
    return TROUBLE if found else 0
