"""``callsheet reload``: has the running daemon load plugins anew."""

from __future__ import annotations

import time

import click

from callsheet.cli import TROUBLE
from callsheet.cli.command_context import opened, who
from callsheet.cli.delivery_filters import named
from callsheet.cli.examples import examples
from callsheet.cli.mutations import nothing, unknown
from callsheet.cli.tables import echo
from callsheet.domain.delivery import DeliveryQuery
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.plugin import PluginState
from callsheet.report.daemon_troubles import is_running
from callsheet.report.formatting import count
from callsheet.report.trouble import command as command_line
from callsheet.wire.texts import storable


@click.command(
    epilog=examples(
        ("callsheet reload studio.toml mailer", "after a change of what it reads at import, such as a file of settings"),
        ("callsheet reload studio.toml --all", "all plugins, each after what it runs"),
    )
)
@click.argument("config_and_plugin", nargs=-1, metavar="[CONFIG] [PLUGIN]")
@click.option("--all", "every", is_flag=True, help="All plugins of all sites.")
@click.option("--why", default="", help="The reason, for the record.")
def command(*, config_and_plugin: tuple[str, ...], every: bool, why: str) -> int:
    """Have the running daemon load plugins anew.

    One, or all of them. It begins within a second or two. What runs finishes first, in the old process; a new one has all modules
    anew. That is never needed for a change of the plugin's file, which the daemon sees by itself. What is held stays so: `callsheet
    release` lets it go on. PLUGIN is its name, or SITE/NAME.
    """
    most = 1 if every else 2
    if not most - 1 <= len(config_and_plugin) <= most:
        raise click.UsageError("Say either which PLUGIN, or --all.")
    plugin = None if every else storable(config_and_plugin[-1])
    site, name = named(plugin)
    with opened(config_and_plugin[0] if len(config_and_plugin) == most else None) as at:
        shown = at.ledger.overview()
        if not is_running(shown, time.time()):
            echo("The daemon is not running; it loads all plugins when it starts.", err=True)
            return TROUBLE
        there = [one for one in shown.plugins if one.state is not PluginState.GONE]
        meant = [one for one in there if every or plugin in {one.key.name, str(one.key)}]
        if not meant:
            return nothing(unknown(plugin, there) if plugin else "there is no plugin.")
        at.ledger.operate(Operation(Verb.RELOAD, who(), why, DeliveryQuery(site=site, plugin=name)), time.time())
        shows = command_line("plugins", at.config)
        echo(f"The daemon was asked to load {count(len(meant), 'plugin')} anew; `{shows}` shows how that went.")
    return 0
