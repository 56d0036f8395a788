"""``callsheet release``: a plugin's held lanes go on, without a change of its file."""

from __future__ import annotations

import click

from callsheet.cli.examples import examples
from callsheet.cli.opening import Opened, opened
from callsheet.cli.operating import nothing, operate
from callsheet.cli.selecting import NO_LIMIT, named
from callsheet.desk import DeliveryQuery, Verb


@click.command(
    epilog=examples(
        ("callsheet release studio.toml mailer", "whatever it stumbled over is mended: go on"),
        ("callsheet release studio.toml mailer --lane Shot:862", "only that lane"),
    )
)
@click.argument("config_and_plugin", nargs=-1, required=True, metavar="[CONFIG] PLUGIN")
@click.option("--lane", help="Only that lane, as `callsheet deliveries ID` shows it.")
@click.option("--why", default="", help="The reason, for the record.")
@click.option("--json", "as_json", is_flag=True, help="Print the changed deliveries as JSON.")
def command(*, config_and_plugin: tuple[str, ...], lane: str | None, why: str, as_json: bool) -> int:
    """Let a plugin's held lanes go on from where they stand.

    A lane is held when a callback failed and nothing may follow before it is mended: `stopOnError` of shotgunEvents,
    `on_dead="hold"` of `@on`. It goes on by itself once the plugin's file changes. Where the cause was elsewhere, this does it: the
    delivery that failed is tried again first. To go on without that one, `callsheet skip` it. PLUGIN is its name, or SITE/NAME.
    """
    *before, plugin = config_and_plugin
    if len(before) > 1:
        raise click.UsageError(f"One PLUGIN at a time; {' '.join(config_and_plugin)} names several.")
    site, name = named(plugin)
    with opened(before[0] if before else None) as at:
        query = DeliveryQuery(site=site, plugin=name, lane=lane, limit=NO_LIMIT)
        changed = operate(at, Verb.RELEASE, query, why, as_json=as_json)
        return 0 if changed else nothing(_why_nothing(at, plugin))


def _why_nothing(at: Opened, plugin: str) -> str:
    known = at.ledger.plugins()
    if any(plugin in {one.key.name, str(one.key)} for one in known):
        return f"no such lane of {plugin} is held."
    names = ", ".join(one.key.name for one in known) or "none yet"
    return f"there is no plugin {plugin}. Known plugins: {names}."
