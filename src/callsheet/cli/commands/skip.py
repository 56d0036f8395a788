"""``callsheet skip``: deliveries are given up, on purpose and on record."""

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
        ("callsheet skip studio.toml 4711", "this one, and its lane goes on"),
        ('callsheet skip studio.toml --plugin mailer --event 812934 --why "a test entity"', "one event for one plugin"),
    )
)
@selection
@click.option("--why", default="", help="The reason, for the record.")
@click.option("--json", "as_json", is_flag=True, help="Print the changed deliveries as JSON.")
def command(*, config_and_ids: tuple[str, ...], why: str, as_json: bool, **conditions: Any) -> int:
    """Give deliveries up, on purpose.

    Deliveries still to come, and held ones, are not run; their lanes go on with what follows. Dead ones are put away, and are no
    trouble any more. Name them by their ids, or by conditions that all have to hold. It is recorded with your name and --why.
    `callsheet retry` brings them back.
    """
    config, ids = split(config_and_ids)
    if not ids and not any(conditions.values()):
        raise click.UsageError(f"Say which deliveries to skip: by their ids, or by {CONDITIONS}.")
    wanted = query(ids, **conditions)
    with opened(config) as at:
        changed = operate(at, Verb.SKIP, wanted, why, as_json=as_json)
        return 0 if changed else unfit(at, wanted, "waiting, retrying, held and dead")
