"""``callsheet run``: the daemon, in the foreground."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import click
from shotgun_api3.shotgun import __version__ as api_version

from callsheet import logs
from callsheet.cli import TROUBLE, hung, signals
from callsheet.cli.command_context import config_argument, find_config, open_ledger
from callsheet.cli.examples import examples
from callsheet.cli.tables import echo
from callsheet.config import load_with_notes
from callsheet.daemon import Daemon
from callsheet.domain.event import LARGEST_ID
from callsheet.errors import LedgerLostError
from callsheet.report.diagnostics import troubles

LAST_WORDS = 5.0
"""Seconds after which the process ends, whatever it still has to say, where the log hangs."""


@click.command(
    epilog=examples(
        ("callsheet run studio.toml", "serve until SIGTERM or Ctrl-C"),
        ("callsheet run /etc/shotgunEventDaemon.conf", "in the place of shotgunEvents, going on where it stopped"),
        ("callsheet run studio.toml --drain", "handle all that is due, then end: 0 if all of it went well, 1 if not"),
        ("callsheet run studio.toml --from 123456", "a first start that begins at that event instead of at the newest"),
    )
)
@config_argument
@click.option("--drain", is_flag=True, help="Handle all that the site shows now, and end.")
@click.option(
    "--from", "start_from", type=click.IntRange(1, LARGEST_ID - 1), metavar="ID", help="The first event of a first start."
)
def command(*, config: str | None, drain: bool, start_from: int | None) -> int:
    """Run the daemon in the foreground.

    It starts while a site is down, too, and catches up when it returns. SIGTERM and Ctrl-C let running callbacks finish, for as
    long as `grace` allows, and end with 0. SIGHUP reopens the log files, and loads plugins that have changed. Only one daemon runs
    on a state folder at a time.
    """
    path = find_config(config)
    loaded = load_with_notes(path)
    settings = loaded.settings
    for note in loaded.notes:
        echo(note, err=True)
    daemon = Daemon(settings, drain=drain, start_from=start_from)
    with _progress() if drain and sys.stderr.isatty() else nullcontext():
        # Behind the bar: it takes stderr over, so that log lines appear above it.
        logging = logs.start(settings, foreground=True, api_version=api_version)
        try:
            with signals.acting(partial(_act, daemon=daemon, logging=logging)):
                daemon.run()
        except LedgerLostError as error:
            echo(f"callsheet: {error}", err=True)
            return TROUBLE
        finally:
            if not logging.close():
                hung.append("the log")
                # Should stderr be what hangs, the words on the way out do, too.
                end = threading.Timer(LAST_WORDS, os._exit, [TROUBLE])
                end.daemon = True
                end.start()
    if not drain:
        return 0
    ledger = open_ledger(settings.state, path)
    try:
        found = troubles(ledger.overview(), str(path), time.time(), running=False)
    finally:
        ledger.close()
    for trouble in found:
        echo(trouble.what, f"    {trouble.cure}", err=True)
    return TROUBLE if found else 0


def _progress() -> AbstractContextManager[object]:
    from callsheet.cli.progress import DrainProgress  # noqa: PLC0415 - a daemon must not pay for rich

    return DrainProgress()


def _act(number: signal.Signals, daemon: Daemon, logging: logs.Logging) -> None:
    if number != signal.SIGHUP:
        daemon.stop(number.name)
        return
    logging.reopen()
    daemon.look()
