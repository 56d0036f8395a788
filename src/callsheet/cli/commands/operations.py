"""``callsheet operations``: what operators did, by whom, when and why."""

from __future__ import annotations

import click

from callsheet.cli.command_context import config_argument, opened
from callsheet.cli.examples import examples
from callsheet.cli.tables import echo, table
from callsheet.domain.delivery import NO_LIMIT
from callsheet.report import json_output
from callsheet.report.formatting import local


@click.command(
    epilog=examples(
        ("callsheet operations studio.toml", "the newest fifty"),
        ("callsheet operations studio.toml --limit 1000 --json", "as data"),
    )
)
@config_argument
@click.option("--limit", type=click.IntRange(1, NO_LIMIT), default=50, show_default=True, help="At most so many, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; its keys are documented and stay.")
def command(*, config: str | None, limit: int, as_json: bool) -> None:
    """Show what operators did, by whom, when and why.

    Every retry, skip, hold, release and replay is on record for as long as `history` says. CHANGED counts deliveries and holds.
    """
    with opened(config) as at:
        rows = at.ledger.overview(operations=limit).operations
    if as_json:
        json_output.print_json([json_output.operation(row) for row in rows])
    elif rows:
        shown = [[row.id, local(row.at), row.verb.value, row.asked, row.changed, row.who, row.why or "-"] for row in rows]
        echo(*table(["ID", "WHEN", "DID", "WHAT", "CHANGED", "WHO", "WHY"], shown))
    else:
        echo("Nobody has changed anything.")
