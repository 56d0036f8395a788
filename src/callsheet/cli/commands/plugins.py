"""``callsheet plugins``: each plugin, its callbacks, their filters and lanes in words."""

from __future__ import annotations

import time

import click

from callsheet.cli.command_context import config_argument, opened
from callsheet.cli.examples import examples
from callsheet.cli.status_view import on_purpose
from callsheet.cli.tables import echo, table
from callsheet.domain.overview import Overview
from callsheet.domain.plugin import PluginRecord
from callsheet.report import json_output
from callsheet.report.formatting import ago, count, gist, lane, meant, standing, wanted


@click.command(
    epilog=examples(
        ("callsheet plugins studio.toml", "in the order in which their callbacks are called"),
        ("callsheet plugins studio.toml --json", "with filters, lanes and positions as data"),
    )
)
@config_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON; its keys are documented and stay.")
def command(*, config: str | None, as_json: bool) -> None:
    """Show each plugin, its callbacks and what they ask for.

    As the daemon last described them: a plugin is described when it is loaded, and again whenever its file changes. OWN counts the
    deliveries that were not made since the plugin itself caused the event (ignore_own).
    """
    with opened(config) as at:
        shown = at.ledger.overview()
    if as_json:
        json_output.print_json([json_output.plugin(one, json_output.cursor_of(shown, one)) for one in shown.plugins])
    elif shown.plugins:
        now = time.time()
        echo(*[*_lines(shown, now), *on_purpose(shown, at.config, now)])
    else:
        echo("No plugin has been found yet: does the daemon run, and is there a .py file in its plugin folders?")


def _lines(shown: Overview, now: float) -> list[str]:
    several = len(shown.sites) > 1
    summary = [_summary(order, one, shown, several=several) for order, one in enumerate(shown.plugins, 1)]
    callbacks = [row for one in shown.plugins for row in _callbacks(one, now, several=several)]
    lines = table(["ORDER", "PLUGIN", "STATE", "READ TO", "WAITING", "OWN", "PATH OR PROBLEM"], summary)
    if callbacks:
        lines += ["", *table(["CALLBACK", "IS CALLED FOR", "ORDERED IN", "TRIES", "LAST CALLED"], callbacks)]
    return lines


def _summary(order: int, record: PluginRecord, shown: Overview, *, several: bool) -> list[object]:
    cursor = json_output.cursor_of(shown, record)
    position = cursor if record.position is None else record.position
    name = str(record.key) if several else record.key.name
    note = gist(record.problem) or record.path
    return [order, name, standing(record, cursor), "-" if position is None else position, record.waiting, record.own, note]


def _callbacks(record: PluginRecord, now: float, *, several: bool) -> list[list[object]]:
    """A row per callback and event type; the callback is named in the first of its rows."""
    rows: list[list[object]] = []
    for one in record.callbacks:
        name = f"{record.key.site}/{one.key}" if several else str(one.key)
        first, *others = [*wanted(one.filter), *filter(None, [meant(one.only)])]
        tries = count(one.retry.attempts, "try") + (", then held" if one.on_dead == "hold" else "")
        at = record.called.get(one.key.name)
        rows.append([name, first, lane(one.lane), tries, "never so far" if at is None else ago(at, now)])
        rows += [["", other, "", "", ""] for other in others]
    return rows
