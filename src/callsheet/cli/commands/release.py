"""``callsheet release``: a plugin that is held, or has held lanes, goes on."""

from __future__ import annotations

import click

from callsheet.cli.command_context import opened
from callsheet.cli.delivery_filters import KEPT_TEXT, config_and_plugin, named
from callsheet.cli.examples import examples
from callsheet.cli.mutations import nothing, operate, unknown, when_stopped
from callsheet.cli.tables import echo
from callsheet.domain.delivery import NO_LIMIT, DeliveryQuery
from callsheet.domain.operation import Verb
from callsheet.report.formatting import count


@click.command(
    epilog=examples(
        ("callsheet release studio.toml mailer", "whatever it stumbled over, or was held for, is fixed: go on"),
        ("callsheet release studio.toml mailer --lane Shot:862", "only that lane"),
    )
)
@config_and_plugin
@click.option("--lane", type=KEPT_TEXT, help="Only that lane, as `callsheet deliveries ID` shows it.")
@click.option("--why", default="", help="The reason, for the record.")
@click.option("--json", "as_json", is_flag=True, help="Print the changed deliveries as JSON.")
def command(*, config: str | None, plugin: str, lane: str | None, why: str, as_json: bool) -> int:
    """Let a plugin's held lanes go on from where they stand.

    A plugin or a lane is held because `callsheet hold` said so; this ends it. A lane is also held when a callback failed and
    nothing may follow before it is fixed: `stopOnError` of shotgunEvents, `on_dead="hold"` of `@on`. It goes on by itself once the
    plugin's file changes. Where the cause was elsewhere, this does it: the delivery that failed is tried again first. To go on
    without that one, `callsheet skip` it. PLUGIN is its name, or SITE/NAME.
    """
    site, name = named(plugin)
    with opened(config) as at:
        known = [one for one in at.ledger.plugins() if plugin in {one.key.name, str(one.key)}]
        if not known:
            return nothing(unknown(plugin, at.ledger.plugins()))
        ends = sum(lane in {None, hold.lane} for one in known for hold in one.holds)
        query = DeliveryQuery(site=site, plugin=name, lane=lane, limit=NO_LIMIT)
        changed = operate(at, Verb.RELEASE, query, why, as_json=as_json)
        if not changed and not ends:
            return nothing(f"no such lane of {plugin} is held.")
        if ends and not as_json:
            echo(f"{count(ends, 'hold')} of {plugin} ended.")
            if not changed:
                when_stopped(at)
        if lane is not None and any(one.hold for one in known):
            echo(f"The plugin is held as a whole, too: `callsheet release {plugin}` ends that.", err=True)
        return 0
