"""``callsheet stop``: has the running daemon end in order, and waits for that."""

from __future__ import annotations

import os
import signal
import socket
import time
from math import inf

import click

from callsheet.cli import TROUBLE
from callsheet.cli.command_context import config_argument, opened
from callsheet.cli.examples import examples
from callsheet.cli.tables import echo
from callsheet.domain.overview import LedgerOwner
from callsheet.report.formatting import duration
from callsheet.wire.durations import GRAMMAR, seconds_of

LOOK_EVERY = 0.05
"""Seconds between two looks whether the daemon has ended."""


@click.command(
    epilog=examples(
        ("callsheet stop studio.toml", "as SIGTERM does; it returns once the daemon has ended"),
        ("callsheet stop studio.toml --timeout 10m", "where `grace` gives callbacks that long"),
    )
)
@config_argument
@click.option("--timeout", default="1m", show_default=True, metavar="TIME", help="How long to wait for its end.")
def command(*, config: str | None, timeout: str) -> int:
    """Stop the running daemon in order.

    It is sent SIGTERM: running callbacks finish, for as long as `grace` allows, and what waits is for the next start. A daemon that
    a service manager keeps running is started again by that, unless it is told.

    Exits 0 once it has ended, or where none runs; 1 if it still runs when TIME is over, or can't be reached.
    """
    patience = seconds_of(timeout)
    if patience is None or not 0 <= patience < inf:
        raise click.UsageError(f"--timeout {timeout!r} is not {GRAMMAR}.")
    with opened(config) as at:
        owner = at.ledger.overview().owner
        if owner is None or not owner.held:
            echo("The daemon is not running.", err=True)
            return 0
        problem = _signal(owner)
        if problem is not None:
            echo(problem, err=True)
            return TROUBLE
        deadline = time.monotonic() + patience
        while (now := at.ledger.overview().owner) is not None and now.held and now.pid in (owner.pid, None):
            if time.monotonic() > deadline:
                echo(
                    f"The daemon (process {owner.pid}) was told to stop, and still runs after {duration(patience)}: a callback "
                    f"may still be at work, see `callsheet workers`. `kill -KILL {owner.pid}` ends it at once; what it ran "
                    "then runs again.",
                    err=True,
                )
                return TROUBLE
            time.sleep(LOOK_EVERY)
    echo(f"The daemon (process {owner.pid}) has ended.")
    return 0


def _signal(owner: LedgerOwner) -> str | None:
    """Send it SIGTERM; what keeps it from that, if something does."""
    if owner.pid is None:
        return "The daemon is just starting, and has not said yet which process it is. Try again."
    if owner.host not in (None, socket.gethostname()):
        return f"The daemon runs as process {owner.pid} of {owner.host}, and this is {socket.gethostname()}. Stop it there."
    try:
        os.kill(owner.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass  # it has ended meanwhile
    except PermissionError:
        return f"The daemon (process {owner.pid}) is another user's. Stop it as that user, or as root."
    return None
