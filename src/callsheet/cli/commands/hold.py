"""``callsheet hold``: a plugin, or one of its lanes, stands still until somebody releases it."""

from __future__ import annotations

import time

import click

from callsheet.cli.command_context import opened, who
from callsheet.cli.delivery_filters import KEPT_TEXT, config_and_plugin, named
from callsheet.cli.examples import examples
from callsheet.cli.mutations import nothing, unknown, when_stopped
from callsheet.cli.tables import echo
from callsheet.domain.delivery import DeliveryQuery
from callsheet.domain.operation import Operation, Verb
from callsheet.report import json_output
from callsheet.report.formatting import count
from callsheet.report.trouble import command as command_line


@click.command(
    epilog=examples(
        ('callsheet hold studio.toml mailer --why "the mail server moves"', "nothing of it runs until it is released"),
        ("callsheet hold studio.toml mailer --lane Shot:862", "only that lane"),
        ("callsheet release studio.toml mailer", "it goes on where it stood"),
    )
)
@config_and_plugin
@click.option("--lane", type=KEPT_TEXT, help="Only that lane, as `callsheet deliveries ID` shows it.")
@click.option("--why", default="", help="The reason, for the record and for whoever looks at `status`.")
@click.option("--json", "as_json", is_flag=True, help="Print the held plugins as JSON.")
def command(*, config: str | None, plugin: str, lane: str | None, why: str, as_json: bool) -> int:
    """Let a plugin, or one of its lanes, stand still on purpose.

    What runs finishes; nothing more is handed out, in any lane that it has or will have, until `callsheet release`. A restart or a
    change of its file does not end it. Events go on being recorded for it, as many as `most_waiting` allows; beyond that, its place
    in the log waits. Nothing is lost. PLUGIN is its name, or SITE/NAME.
    """
    site, name = named(plugin)
    with opened(config) as at:
        known = at.ledger.plugins()
        if all(plugin not in {one.key.name, str(one.key)} for one in known):
            return nothing(unknown(plugin, known))
        query = DeliveryQuery(site=site, plugin=name, lane=lane)
        at.ledger.operate(Operation(Verb.HOLD, who(), why, query), time.time())
        held = [one for one in at.ledger.overview().plugins if plugin in {one.key.name, str(one.key)}]
        if as_json:
            json_output.print_json([json_output.plugin(one, one.position) for one in held])
            return 0
        which = f"Plugin {plugin}" if lane is None else f"Lane {lane} of plugin {plugin}"
        end = command_line("release", at.config, plugin if lane is None else f"{plugin} --lane {lane}")
        waiting = sum(one.waiting for one in held)
        echo(f"{which} is held ({count(waiting, 'delivery')} of the plugin still to come). `{end}` lets it go on.")
        when_stopped(at)
    return 0
