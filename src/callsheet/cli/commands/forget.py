"""``callsheet forget``: a plugin that is gone leaves nothing but its history."""

from __future__ import annotations

import time

import click

from callsheet.cli.command_context import CommandContext, opened, who
from callsheet.cli.delivery_filters import config_and_plugin, named
from callsheet.cli.examples import examples
from callsheet.cli.mutations import Progress, nothing, unknown
from callsheet.cli.tables import echo
from callsheet.discovery import kept_path
from callsheet.domain.delivery import NO_LIMIT, DeliveryQuery
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.plugin import PluginRecord, PluginState
from callsheet.report import json_output
from callsheet.report.daemon_troubles import is_running
from callsheet.report.formatting import count
from callsheet.report.trouble import command as command_line


@click.command(
    epilog=examples(
        ("callsheet forget studio.toml old_mailer", "its file was removed, and it is not to come back as it was"),
        ('callsheet forget studio.toml tokyo/mailer --why "replaced by notifier"', "that of one site, with the reason"),
    )
)
@config_and_plugin
@click.option("--why", default="", help="The reason, for the record.")
@click.option("--json", "as_json", is_flag=True, help="Print what was forgotten as JSON.")
def command(*, config: str | None, plugin: str, why: str, as_json: bool) -> int:
    """Forget a plugin that is gone: its place, and what waits for it.

    Its deliveries still to come are given up, dead ones are put away, and it shows in `status` and `plugins` no more. What it has
    done stays in the history. A file that appears under its name later is a new plugin: it begins with the events from then on.
    A plugin whose file is there is not forgotten; `callsheet skip --plugin NAME --to-newest` lets that begin anew. PLUGIN is its
    name, or SITE/NAME.
    """
    site, name = named(plugin)
    with opened(config) as at:
        known = at.ledger.plugins()
        meant = [one for one in known if plugin in {one.key.name, str(one.key)}]
        if not meant:
            return nothing(unknown(plugin, known))
        there = [one for one in meant if not _is_gone(at, one)]
        if there:
            skip = command_line("skip", at.config, f"--plugin {plugin} --to-newest")
            return nothing(
                f"plugin {plugin} is there ({there[0].path}). Remove that file to forget it; or let it begin at the newest event: "
                f"`{skip}`."
            )
        query = DeliveryQuery(site=site, plugin=name, limit=NO_LIMIT)
        # The file was looked for, and nobody runs who could load it now.
        progress, absent = Progress(), not _runs(at)
        changed = at.ledger.operate(Operation(Verb.FORGET, who(), why, query, absent=absent), time.time(), progress)
        progress.close()
        if as_json:
            json_output.print_json({"forgotten": [str(one.key) for one in meant], "skipped": len(changed.ids)})
        else:
            echo(
                f"Plugin {plugin} is forgotten; {count(len(changed.ids), 'delivery')} given up. A file of that name is a new "
                "plugin, which begins with the events from then on."
            )
    return 0


def _runs(at: CommandContext) -> bool:
    return is_running(at.ledger.overview(), time.time())


def _is_gone(at: CommandContext, plugin: PluginRecord) -> bool:
    """As the daemon has it, if one runs; else by whether there is a file."""
    return plugin.state is PluginState.GONE if _runs(at) else kept_path(plugin.path) is None
