"""``callsheet workers``: the processes that plugins run in."""

from __future__ import annotations

import time

import click

from callsheet.cli.command_context import config_argument, opened
from callsheet.cli.examples import examples
from callsheet.cli.tables import echo, table
from callsheet.domain.overview import Overview, WorkerRow
from callsheet.report import json_output
from callsheet.report.daemon_troubles import is_running
from callsheet.report.formatting import ago, duration, of_toolkit, size


@click.command(
    epilog=examples(
        ("callsheet workers studio.toml", "which process runs which plugin, and how it fares"),
        ("callsheet workers studio.toml --json", "as data, for a monitor"),
    )
)
@config_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON; its keys are documented and stay.")
def command(*, config: str | None, as_json: bool) -> None:
    """Show the processes that plugins run in.

    As the daemon said within the last seconds. CALLS counts the deliveries that came to an end in a worker, RESTARTS how often it
    was started again after it was lost. One that is lost again and again is backing off: it is started after a pause that grows.
    One that is stuck was killed and does not end, since it waits in the kernel; another one has taken its place.
    The sessions in which projects have their Toolkit are workers, too; `callsheet toolkit list` says more of them.
    """
    now = time.time()
    with opened(config) as at:
        shown = at.ledger.overview()
    workers = shown.workers if is_running(shown, now) else ()
    if as_json:
        json_output.print_json([json_output.worker(one) for one in workers])
    elif workers:
        echo(*_lines(workers, shown, now))
    elif is_running(shown, now):
        echo("No worker runs: is there a plugin? `callsheet plugins` shows them.")
    else:
        echo("The daemon is not running, so no worker is.")


def _lines(workers: tuple[WorkerRow, ...], shown: Overview, now: float) -> list[str]:
    several = len(shown.sites) > 1
    return table(
        ["PLUGINS", "STATE", "SINCE", "PID", "MEMORY", "CALLS", "RESTARTS", "NOTE"],
        [
            [
                ", ".join(f"{one.site}/{name}" if several else name for name in one.plugins) or "-",
                one.state,
                ago(one.since, now),
                "-" if one.pid is None else str(one.pid),
                size(one.memory),
                one.calls,
                one.restarts,
                _note(one, now),
            ]
            for one in workers
        ],
    )


def _note(worker: WorkerRow, now: float) -> str:
    parts = [_toolkit(worker)] if worker.project is not None else []
    if worker.retry_at is not None:
        parts.append(f"again in {duration(max(worker.retry_at - now, 0))}")
    if worker.call and worker.called_at is not None:
        parts.append(f"{worker.call} for {duration(now - worker.called_at)}")
    if worker.problem:
        parts.append(of_toolkit(worker.problem))
    return "; ".join(parts)


def _toolkit(worker: WorkerRow) -> str:
    told = worker.toolkit
    named = f"Toolkit of {told.project}" if told is not None and told.project else f"Toolkit of project {worker.project}"
    return f"{named}, {told.version}" if told is not None and told.version else named
