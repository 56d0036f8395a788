"""``callsheet skip``: deliveries are given up, on purpose and on record."""

from __future__ import annotations

import time
from typing import Any

import click

from callsheet.cli.command_context import CommandContext, opened
from callsheet.cli.delivery_filters import CONDITIONS, query, selection, split
from callsheet.cli.examples import examples
from callsheet.cli.mutations import nothing, operate, unfit, unknown, when_stopped
from callsheet.cli.tables import echo
from callsheet.domain.delivery import NO_LIMIT, DeliveryQuery
from callsheet.domain.operation import Verb
from callsheet.domain.plugin import PluginRecord
from callsheet.report import json_output
from callsheet.report.daemon_troubles import is_running

LATELY = 60.0
"""Seconds for which the newest event that the running daemon has seen counts as the newest."""


@click.command(
    epilog=examples(
        ("callsheet skip studio.toml 4711", "this one, and its lane goes on"),
        ('callsheet skip studio.toml --plugin mailer --event 812934 --why "a test entity"', "one event for one plugin"),
        ("callsheet skip studio.toml --plugin mailer --to-newest", "all that waits for it, and all that it has not come to"),
    )
)
@selection
@click.option("--to-newest", is_flag=True, help="Let --plugin go on at the site's newest event, whatever it has not come to yet.")
@click.option("--why", default="", help="The reason, for the record.")
@click.option("--json", "as_json", is_flag=True, help="Print the changed deliveries as JSON.")
def command(*, config_and_ids: tuple[str, ...], to_newest: bool, why: str, as_json: bool, **conditions: Any) -> int:
    """Give deliveries up, on purpose.

    Deliveries still to come, and held ones, are not run; their lanes go on with what follows. Dead ones are put away, and are no
    trouble any more. Name them by their ids, or by conditions that all have to hold. It is recorded with your name and --why.
    `callsheet retry` brings them back.

    With --to-newest a plugin also goes on behind the site's newest event, as if it were new: events that it has not come to yet,
    since it was gone, broken or held, never reach it. Its dead deliveries stay. What its worker has in hand at this moment is run.
    """
    config, ids = split(config_and_ids)
    if to_newest:
        others = [name for name, value in conditions.items() if value and name not in {"plugin", "site"}]
        if ids or others or not conditions["plugin"]:
            raise click.UsageError("--to-newest is for all of one plugin: it goes with --plugin, --site and --why alone.")
        return _to_newest(config, conditions["plugin"], conditions["site"], why, as_json=as_json)
    if not ids and not any(conditions.values()):
        raise click.UsageError(f"Say which deliveries to skip: by their ids, or by {CONDITIONS}.")
    wanted = query(ids, **conditions)
    with opened(config) as at:
        changed = operate(at, Verb.SKIP, wanted, why, as_json=as_json)
        return 0 if changed else unfit(at, wanted, "waiting, retrying, held and dead")


def _to_newest(config: str | None, plugin: str, site: str | None, why: str, *, as_json: bool) -> int:
    with opened(config) as at:
        known = at.ledger.plugins()
        meant = [one for one in known if plugin in {one.key.name, str(one.key)} and site in {None, one.key.site}]
        if len(meant) != 1:
            names = ", ".join(str(one.key) for one in meant)
            return nothing(f"there is a plugin {plugin} on several sites. Say which: {names}." if meant else unknown(plugin, known))
        newest = _newest(at, config, meant[0])
        wanted = DeliveryQuery(site=meant[0].key.site, plugin=meant[0].key.name, limit=NO_LIMIT)
        operate(at, Verb.SKIP, wanted, why, as_json=as_json, to_newest=newest)
        if not as_json:
            echo(f"Plugin {plugin} goes on behind event {newest}.")
            when_stopped(at)
    return 0


def _newest(at: CommandContext, config: str | None, plugin: PluginRecord) -> int:
    """The newest event of the plugin's site: as the running daemon has just seen it, else asked for."""
    shown, now = at.ledger.overview(), time.time()
    health = next((one for one in shown.health if one.site == plugin.key.site), None)
    if is_running(shown, now) and health is not None and health.error is None and health.newest:
        cursor = json_output.cursor_of(shown, plugin)
        if health.answered_at is not None and now - health.answered_at < LATELY:
            return max(health.newest, cursor or 0)
    from callsheet.cli.replay_dry_run import log_of, site_of  # noqa: PLC0415 - loads the whole client

    log = log_of(site_of(config, plugin))
    try:
        return log.newest_id()
    finally:
        log.close()
