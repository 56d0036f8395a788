"""``callsheet retry``: deliveries that failed, stand still or were given up are tried again."""

from __future__ import annotations

from typing import Any

import click

from callsheet.cli.command_context import opened
from callsheet.cli.delivery_filters import CONDITIONS, query, selection, split
from callsheet.cli.examples import examples
from callsheet.cli.mutations import operate, unfit
from callsheet.domain.operation import Verb


@click.command(
    epilog=examples(
        ("callsheet retry studio.toml 4711 4712", "two of them"),
        ('callsheet retry studio.toml --plugin mailer --state dead --why "mail server is back"', "all that a plugin gave up"),
    )
)
@selection
@click.option("--why", default="", help="The reason, for the record.")
@click.option("--json", "as_json", is_flag=True, help="Print the changed deliveries as JSON.")
def command(*, config_and_ids: tuple[str, ...], why: str, as_json: bool, **conditions: Any) -> int:
    """Try deliveries again, now.

    Dead, held, retrying and skipped deliveries wait again and run in their lane's order. Name them by their ids, or by conditions
    that all have to hold. It is recorded with your name and --why. A running daemon begins at once.
    """
    config, ids = split(config_and_ids)
    if not ids and not any(conditions.values()):
        raise click.UsageError(f"Say which deliveries to try again: by their ids, or by {CONDITIONS}.")
    wanted = query(ids, **conditions)
    with opened(config) as at:
        changed = operate(at, Verb.RETRY, wanted, why, as_json=as_json)
        return 0 if changed else unfit(at, wanted, "dead, held, retrying and skipped")
