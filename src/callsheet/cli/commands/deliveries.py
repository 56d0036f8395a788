"""``callsheet deliveries``: the list, and one delivery with all that is known of it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import click

from callsheet.cli import TROUBLE
from callsheet.cli.command_context import opened
from callsheet.cli.delivery_filters import query, selection, split
from callsheet.cli.examples import examples
from callsheet.cli.tables import apart, echo, plain, table
from callsheet.domain.delivery import NO_LIMIT, Attempt, DeliveryQuery, DeliveryRow, State
from callsheet.report import json_output
from callsheet.report.explain import event_of, what_happened
from callsheet.report.formatting import ago, duration, first_line, local
from callsheet.report.trouble import command as command_line
from callsheet.wire.texts import printable

FAILED = (State.DEAD, State.HELD, State.RETRYING)


@click.command(
    epilog=examples(
        ("callsheet deliveries studio.toml", "the newest hundred"),
        ("callsheet deliveries studio.toml --state dead --state held --since 2h", "what failed in the last two hours"),
        ("callsheet deliveries studio.toml --event 812934", "who got that event, and what came of it"),
        ("callsheet deliveries studio.toml --entity Task:14 --plugin mailer", "what a plugin did about a task"),
        ("callsheet deliveries studio.toml --by error", "which errors stop how many"),
        ("callsheet deliveries studio.toml 4711", "all about one: each failed attempt, with traceback and local variables"),
    )
)
@selection
@click.option(
    "--limit", type=click.IntRange(1, NO_LIMIT), default=100, show_default=True, help="At most so many, the newest first."
)
@click.option("--by", type=click.Choice(["error"]), help="Count those that failed, by plugin and error, the most frequent first.")
@click.option("--failures", is_flag=True, help="With traceback and local variables of each failure.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; its keys are documented and stay.")
def command(
    *, config_and_ids: tuple[str, ...], limit: int, by: str | None, failures: bool, as_json: bool, **conditions: Any
) -> int:
    """Show deliveries, or one of them with all that is known.

    A delivery is one event for one callback. With several conditions, those are shown for which all hold. States in which something
    is to be done, events and ids are found by index, however much the ledger holds. --entity, --project and --type look into the
    events of what the other conditions leave, the newest first, until there are enough: some seconds for a million.
    """
    config, ids = split(config_and_ids)
    wanted = query(ids, **conditions, limit=max(limit, len(ids)), failures=failures or bool(ids))
    if by is not None:
        return _by_error(config, replace(wanted, states=wanted.states or FAILED, limit=NO_LIMIT, failures=False), as_json=as_json)
    with opened(config) as at:
        rows = at.ledger.deliveries(wanted)
    if as_json:
        json_output.print_json([json_output.delivery(row) for row in rows])
    elif ids or failures:
        echo(*apart(_in_full(row, at.config) for row in rows))
    elif rows:
        echo(*_list(rows, time.time()))
    missing = sorted(set(ids) - {row.id for row in rows})
    if missing:
        echo(f"There is no delivery {', '.join(map(str, missing))} (any more: finished ones are kept for `history`).", err=True)
        return TROUBLE
    if not rows and not as_json:
        echo("No delivery matches.", err=True)
    elif len(rows) == limit and not ids:
        echo(f"Only the newest {limit} are shown; --limit shows more.", err=True)
    return 0


def _by_error(config: str | None, wanted: DeliveryQuery, *, as_json: bool) -> int:
    """A row for each plugin and error, with how many deliveries it stopped."""
    with opened(config) as at:
        rows = at.ledger.deliveries(wanted)
    groups: dict[tuple[str, str, str], list[DeliveryRow]] = {}
    for row in rows:
        if row.failure is not None:
            groups.setdefault((row.plugin, row.failure.kind, first_line(row.failure.text)), []).append(row)
    found = sorted(groups.items(), key=lambda one: -len(one[1]))
    if as_json:
        json_output.print_json([json_output.failures(*error, of) for error, of in found])
    elif found:
        shown = [[len(of), plugin, ago(_last(of), time.time()), of[0].id, f"{kind}: {text}"] for (plugin, kind, text), of in found]
        echo(*table(["COUNT", "PLUGIN", "LAST", "DELIVERY", "ERROR"], shown))
    else:
        echo("No delivery matches.", err=True)
    return 0


def _last(rows: list[DeliveryRow]) -> float:
    return max(row.finished_at or row.started_at or row.recorded_at for row in rows)


def _list(rows: list[DeliveryRow], now: float) -> list[str]:
    return table(
        ["ID", "STATE", "EVENT", "TYPE", "ENTITY", "CALLBACK", "TRIES", "WHEN", "NOTE"],
        [
            [
                row.id,
                row.state.word,
                row.event_id,
                row.event_type,
                _entity(row),
                f"{row.plugin}.{row.callback}",
                row.attempts,
                _when(row, now),
                _note(row, now),
            ]
            for row in rows
        ],
    )


def _entity(row: DeliveryRow) -> str:
    """``Task:14 Anim``; empty where the event has none."""
    event = event_of(row)
    if event is None or event.entity is None:
        return ""
    link = event.data.get("entity")
    name = link.get("name") if isinstance(link, dict) else None
    known = ":".join(str(part) for part in event.entity if part is not None)
    return f"{known} {name}" if name else known


def _when(row: DeliveryRow, now: float) -> str:
    return ago(row.finished_at or row.started_at or row.recorded_at, now)


def _note(row: DeliveryRow, now: float) -> str:
    """What an operator wants to know next: when it is tried again, why it failed, how long it took."""
    failed = f"{row.failure.kind}: {first_line(row.failure.text)}" if row.failure else ""
    if row.state is State.RETRYING and row.due is not None:
        return f"again in {duration(row.due - now)}" + (f"; {failed}" if failed else "")
    if row.state is State.DONE and row.started_at and row.finished_at:
        return f"in {duration(row.finished_at - row.started_at)}"
    return failed


def _in_full(row: DeliveryRow, config: str) -> list[str]:
    pairs = [
        ("delivery", row.id),
        ("state", row.state.word),
        ("event", f"{row.event_id}, {row.event_type}, of site {row.site}"),
        ("callback", f"{row.plugin}.{row.callback}"),
        ("lane", row.lane),
        ("attempts", row.attempts),
        ("recorded", local(row.recorded_at)),
        ("started", local(row.started_at)),
        ("finished", local(row.finished_at)),
    ]
    if row.due is not None:
        pairs.append(("due", local(row.due)))
    event = event_of(row)
    if event is not None:
        pairs.insert(3, ("", what_happened(event)))
    lines = [f"{name:<12}{plain(str(value))}" for name, value in pairs]
    if row.failure:
        lines.append(f"{'failure':<12}{plain(f'{row.failure.kind}: {row.failure.text}')}")
    for number, attempt in enumerate(row.history, 1):
        lines += _attempt(attempt, number, len(row.history))
    return lines + _next(row, config)


def _attempt(attempt: Attempt, number: int, of: int) -> list[str]:
    """``number`` counts all failures on record, the attempt's own those since an operator last retried it."""
    failure = attempt.failure
    when = f"attempt {attempt.number}, {local(attempt.started)}, {duration(attempt.ended - attempt.started)}"
    lines = [
        "",
        f"failure {number} of {of}: {when}, then {attempt.state.word}",
        *(f"    {printable(line)}" for line in f"{failure.kind}: {failure.text}".splitlines()),
    ]
    return lines + _indented("traceback", failure.traceback) + _indented("locals", failure.locals)


def _indented(heading: str, text: str) -> list[str]:
    return ["", f"{heading}:", *(f"    {printable(line)}" for line in text.rstrip().splitlines())] if text.strip() else []


def _next(row: DeliveryRow, config: str) -> list[str]:
    retry, skip = (command_line(verb, config, str(row.id)) for verb in ("retry", "skip"))
    if row.state in {State.HELD, State.RETRYING}:
        return ["", f"Try it again: `{retry}`. Give it up: `{skip}`."]
    return ["", f"Try it again: `{retry}`."] if row.state in {State.DEAD, State.SKIPPED} else []
