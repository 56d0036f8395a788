"""``callsheet replay``: events of the past are delivered to a plugin again, or after all."""

from __future__ import annotations

import time

import click

from callsheet.cli import TROUBLE
from callsheet.cli.command_context import CommandContext, opened, who
from callsheet.cli.delivery_filters import KEPT_TEXT, LARGEST
from callsheet.cli.examples import examples
from callsheet.cli.mutations import nothing, unknown, when_stopped
from callsheet.cli.tables import echo
from callsheet.domain.delivery import DeliveryQuery
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.plugin import PluginRecord
from callsheet.policy.replay_ranges import Ranges, ranges
from callsheet.report import json_output
from callsheet.report.trouble import command as command_line


@click.command(
    epilog=examples(
        ("callsheet replay studio.toml 812934 --plugin mailer", "that event, once more"),
        ("callsheet replay studio.toml 810000..812934 --plugin mailer --dry-run", "what would that be? changes nothing"),
        ('callsheet replay studio.toml 810000..812934 --plugin mailer --why "mails were lost"', "and do it"),
        ("callsheet replay studio.toml --stop 17", "that replay was a mistake: read no further"),
    )
)
@click.argument("config_and_events", nargs=-1, metavar="[CONFIG] EVENT|FROM..TO...")
@click.option("--plugin", type=KEPT_TEXT, help="For that plugin: its name, or SITE/NAME.")
@click.option("--callback", type=KEPT_TEXT, metavar="NAME", help="Only for that callback of it.")
@click.option("--dry-run", is_flag=True, help="Ask the site, list what would be delivered, and change nothing.")
@click.option(
    "--stop", type=click.IntRange(1, LARGEST), metavar="ID", help="End a replay where it is; what it has made waiting stays."
)
@click.option("--why", default="", help="The reason, for the record.")
@click.option("--json", "as_json", is_flag=True, help="Print the replay, or with --dry-run the deliveries, as JSON.")
def command(
    *,
    config_and_events: tuple[str, ...],
    plugin: str | None,
    callback: str | None,
    dry_run: bool,
    stop: int | None,
    why: str,
    as_json: bool,
) -> int:
    """Deliver events to a plugin again, or after all.

    The events are read from the site again and routed to the plugin's callbacks as they are now, in the order of their lanes. A
    delivery that is finished waits again; one that is open is left alone; one that never was, or is forgotten, is made. A daemon
    carries it out page by page, beside its other work and never beyond `most_waiting`; a stopped one, when it starts. `callsheet
    status` shows how far it is.
    """
    config, words = _split(config_and_events)
    if stop is not None:
        with opened(config) as at:
            return _stop(at, stop, why)
    if plugin is None or not words:
        raise click.UsageError("Say which events, and for whom: `callsheet replay CONFIG 812934 --plugin mailer`.")
    try:
        wanted = ranges(words)
    except ValueError as error:
        raise click.UsageError(f"{str(error)!r} is neither an event's id nor a range such as 810000..812934.") from None
    with opened(config) as at:
        meant = _plugin(at, plugin)
        if isinstance(meant, str):
            return nothing(meant)
        if callback is not None and all(callback != one.key.name for one in meant.callbacks):
            names = ", ".join(one.key.name for one in meant.callbacks) or "none"
            return nothing(f"plugin {plugin} has no callback {callback}. It has: {names}.")
        if dry_run:
            from callsheet.cli.replay_dry_run import rehearse  # noqa: PLC0415 - loads the whole client

            return rehearse(at, config, meant, callback, wanted, as_json=as_json)
        return _ask(at, meant, callback, wanted, why, as_json=as_json)


def _split(config_and_events: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """CONFIG, and the words that begin with a digit: a file of such a name is ``./412``."""
    if not config_and_events or config_and_events[0][:1].isdigit():
        return None, config_and_events
    return config_and_events[0], config_and_events[1:]


def _plugin(at: CommandContext, plugin: str) -> PluginRecord | str:
    """The plugin of that name, or why there is not the one."""
    known = at.ledger.plugins()
    meant = [one for one in known if plugin in {one.key.name, str(one.key)}]
    if len(meant) > 1:
        return f"there is a plugin {plugin} on several sites. Say which: {', '.join(str(one.key) for one in meant)}."
    return meant[0] if meant else unknown(plugin, known)


def _ask(at: CommandContext, plugin: PluginRecord, callback: str | None, wanted: Ranges, why: str, *, as_json: bool) -> int:
    query = DeliveryQuery(site=plugin.key.site, plugin=plugin.key.name, callback=callback)
    at.ledger.operate(Operation(Verb.REPLAY, who(), why, query, wanted), time.time())
    shown = at.ledger.overview()
    asked = next(one for one in shown.replays if one.plugin == plugin.key)
    if as_json:
        json_output.print_json(json_output.replay(asked))
        return 0
    echo(f"Replay {asked.id} is asked for. `{command_line('status', at.config)}` shows how far it is.")
    cursor = json_output.cursor_of(shown, plugin) if plugin.position is None else plugin.position
    if cursor is not None and wanted[-1][1] > cursor:
        echo(f"Events behind {cursor} have not come to {plugin.key.name} yet: they are delivered in their turn.", err=True)
    when_stopped(at)
    return 0


def _stop(at: CommandContext, number: int, why: str) -> int:
    replays = at.ledger.overview().replays
    if all(one.id != number or one.ended_at is not None for one in replays):
        echo(f"No replay {number} goes on. `{command_line('status', at.config)}` shows those that do.", err=True)
        return TROUBLE
    at.ledger.operate(Operation(Verb.STOP, who(), why, DeliveryQuery(ids=(number,))), time.time())
    echo(f"Replay {number} reads no further. What it has made waiting stays; `callsheet skip` gives that up.")
    return 0
