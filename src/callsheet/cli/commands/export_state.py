"""``callsheet export-state``: writes an id file that shotgunEvents goes on with."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from callsheet.cli.command_context import opened
from callsheet.cli.examples import examples
from callsheet.cli.tables import echo, table
from callsheet.errors import StateError
from callsheet.legacy import idfile
from callsheet.legacy.exporting import export_state
from callsheet.report.formatting import count


@click.command(
    epilog=examples(
        ("callsheet stop studio.toml", "first: what runs on would not be in the file"),
        ("callsheet export-state studio.toml shotgun.id", "then start shotgunEvents with `eventIdFile: shotgun.id`"),
    )
)
@click.argument("config")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--site", help="Of which site, where there are several.")
def command(*, config: str, file: Path, site: str | None) -> int:
    """Go back to shotgunEvents: write where each plugin stands.

    FILE becomes an id file (eventIdFile) that shotgunEvents reads. What a plugin has not handled yet is among the events that it
    waits for, so that it gets each of them, and none that it had; of an event that some of its callbacks have handled, all are
    called again. What is dead or skipped is not in the file. The daemon must not be running; its own state stays as it is.
    """
    with opened(config) as at:
        shown = at.ledger.overview()
        if shown.owner is not None and shown.owner.held:
            raise StateError(
                f"A Callsheet daemon (process {shown.owner.pid or 'unknown'}) runs on this ledger. Stop that one first."
            )
        sites = [one.site for one in shown.sites]
        if site is None and len(sites) != 1:
            raise click.UsageError(f"Say of which site, with --site: {', '.join(sites) or 'none was read yet'}.")
        chosen = site or sites[0]
        exported = export_state(at.ledger, chosen, dt.datetime.now())  # noqa: DTZ005 - as shotgunEvents has it
    idfile.write(file, exported.folders)
    rows = [
        [name, last, exported.unhandled.get(name, 0) or "-", len(waits) - exported.unhandled.get(name, 0) or "-"]
        for plugins in exported.folders.values()
        for name, (last, waits) in plugins.items()
    ]
    echo(f"{file}: written for site {chosen}, {count(len(rows), 'plugin')}.", "")
    echo(*table(["PLUGIN", "GOES ON AFTER", "STILL TO HANDLE", "MISSING IDS"], rows))
    return 0
