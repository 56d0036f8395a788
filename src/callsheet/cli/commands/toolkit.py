"""``callsheet toolkit``: the sessions in which projects have their Toolkit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from callsheet.cli import TROUBLE
from callsheet.cli.command_context import config_argument, find_config, opened, who
from callsheet.cli.delivery_filters import is_id, named
from callsheet.cli.examples import examples
from callsheet.cli.tables import echo, table
from callsheet.domain.delivery import DeliveryQuery
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.overview import WorkerRow
from callsheet.errors import SiteError
from callsheet.report import json_output
from callsheet.report.daemon_troubles import is_running
from callsheet.report.formatting import count, duration, of_toolkit, size

if TYPE_CHECKING:  # checking alone needs an executor, and what comes with it
    from callsheet.cli.toolkit_check import Tried


@click.group(
    epilog=examples(
        ("callsheet toolkit list studio.toml", "the sessions of the running daemon"),
        ("callsheet toolkit check studio.toml", "can every project's Toolkit be opened? If not: why, and what to fix"),
        ("callsheet toolkit check studio.toml moth", "the same, of one project"),
        ("callsheet toolkit warm studio.toml moth", "open a session ahead of time"),
        ("callsheet toolkit retire studio.toml moth", "end one after what it runs; the next event gets a new one"),
    )
)
def command() -> None:
    """Show, check, warm or retire the Toolkit sessions of projects.

    A session is a worker that has one project's Toolkit, with that project's own core: callbacks with toolkit=True run in it.
    """


@command.command("list", epilog=examples(("callsheet toolkit list studio.toml --json", "as data, for a monitor")))
@config_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON; its keys are documented and stay.")
def list_(*, config: str | None, as_json: bool) -> None:
    """Show the sessions of the running daemon.

    As it said within the last seconds: those that are open, are being opened, wait for their place among `toolkit.sessions`, or
    could not be opened within the last hour.
    """
    with opened(config) as at:
        shown = at.ledger.overview()
    running = is_running(shown, time.time())
    rows = [one for one in shown.workers if one.project is not None] if running else []
    if as_json:
        json_output.print_json([json_output.worker(one) for one in rows])
    elif rows:
        echo(*_listed(rows, several=len(shown.sites) > 1))
    else:
        echo("No project has a session now." if running else "The daemon is not running, so no project has a session.")


def _listed(rows: list[WorkerRow], *, several: bool) -> list[str]:
    return table(
        ["PROJECT", "KIND", "CONFIGURATION", "CORE", "PYTHON", "STATE", "MEMORY", "CALLS", "LAST ERROR"],
        [[*_of(one, several=several), one.state, size(one.memory), one.calls, of_toolkit(one.problem) or "-"] for one in rows],
    )


def _of(row: WorkerRow, *, several: bool) -> list[str]:
    told = row.toolkit
    name = f"{told.project} ({row.project})" if told is not None and told.project else str(row.project)
    rest = ("", "", "", "") if told is None else (told.kind, told.configuration, told.version, told.python)
    return [f"{row.site}/{name}" if several else name, *(one or "-" for one in rest)]


@command.command(
    epilog=examples(
        ("callsheet toolkit check studio.toml", "every project that has a Toolkit"),
        ("callsheet toolkit check studio.toml moth 97 --json", "two of them, by name and by id, as data"),
    )
)
@click.argument("config_and_projects", nargs=-1, metavar="[CONFIG] [PROJECT]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; its keys are documented and stay.")
def check(*, config_and_projects: tuple[str, ...], as_json: bool) -> int:
    """Open projects' Toolkit, one after another, and say what was verified.

    Without PROJECT, of every project that is not archived and seems to have a Toolkit. Each is opened as the daemon would, in a
    worker of this command's own, and ended again; neither the daemon nor its sessions are disturbed. Of one that can't be opened it
    says what is wrong, which file to look at, and what to do. PROJECT is a name, a folder or an id, or SITE/PROJECT.

    Exits 0 if all are well, 1 if one is not or a site does not answer, 2 if the configuration can't be used.
    """
    from callsheet.cli import toolkit_check  # noqa: PLC0415 - `--help` does without all this
    from callsheet.config import load  # noqa: PLC0415

    config, names = _split(config_and_projects)
    settings = load(find_config(config))
    try:
        wanted = list(toolkit_check.wanted(settings, [named(one) for one in names]))  # type: ignore[misc] # a name is given
    except SiteError as error:
        echo(f"callsheet: {error}", err=True)
        return TROUBLE
    found = []
    for one in toolkit_check.tried(settings, wanted):
        found.append(one)
        if not as_json:
            echo(*[*_told(one, several=len(settings.sites) > 1), ""])
    bad = sum(not one.well for one in found)
    if as_json:
        json_output.print_json([_facts(one) for one in found])
    elif found:
        echo(f"{count(len(found), 'project')}: {len(found) - bad:,} well, {bad:,} in trouble.")
    else:
        echo("No project has a Toolkit: the site shows no PipelineConfiguration, and none is pinned or in toolkit.configs.")
    return TROUBLE if bad else 0


def _split(config_and_projects: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """CONFIG is a file, and no project is called as files with these endings are."""
    if config_and_projects and Path(config_and_projects[0]).suffix in {".toml", ".conf"}:
        return config_and_projects[0], config_and_projects[1:]
    return None, config_and_projects


_VERIFIED = ("kind", "configuration", "config", "version", "core", "descriptor", "engine", "apps", "python", "client")


def _told(one: Tried, *, several: bool) -> list[str]:
    name = one.name if one.project is None else f"{one.name} (id {one.project})"
    head = f"{one.site}/{name}" if several else name
    if one.well:
        said = {key: one.facts[key] for key in _VERIFIED}
        if said["config"] == said["configuration"]:
            del said["config"]
        said["apps"] = ", ".join(said["apps"]) or "none"
        said["shotgun_api3"] = said.pop("client")
        lines = [click.style(f"{head}: well, after {duration(one.seconds)}", fg="green")]
        return [*lines, *(f"  {key:<13}  {value}" for key, value in said.items())]
    lines = [click.style(f"{head}: trouble", fg="red"), f"  {one.facts['problem']}"]
    if one.facts["file"]:
        lines.append(f"  look at        {one.facts['file']}")
    return [*lines, f"  do             {one.facts['cure']}"]


def _facts(one: Tried) -> dict[str, Any]:
    told = {"site": one.site, "project": one.project, "name": one.name, "well": one.well, "seconds": round(one.seconds, 3)}
    keys = _VERIFIED if one.well else ("kind", "problem", "cure", "file")
    return told | {key: one.facts[key] for key in keys}


@command.command(epilog=examples(("callsheet toolkit warm studio.toml moth titan", "before the artists come")))
@click.argument("config_and_projects", nargs=-1, required=True, metavar="[CONFIG] PROJECT...")
@click.option("--why", default="", help="The reason, for the record.")
def warm(*, config_and_projects: tuple[str, ...], why: str) -> int:
    """Have the running daemon open projects' sessions ahead of time.

    It begins within a second or two, and makes room for them as for events; `callsheet toolkit list` shows how they fare. PROJECT
    is a name, a folder or an id, or SITE/PROJECT.
    """
    return _ask(Verb.WARM, config_and_projects, why)


@command.command(epilog=examples(("callsheet toolkit retire studio.toml moth", "the next event opens it anew")))
@click.argument("config_and_projects", nargs=-1, required=True, metavar="[CONFIG] PROJECT...")
@click.option("--now", is_flag=True, help="In the middle of what it runs, such as a call that hangs.")
@click.option("--why", default="", help="The reason, for the record.")
def retire(*, config_and_projects: tuple[str, ...], now: bool, why: str) -> int:
    """Have the running daemon end projects' sessions, each after what it runs.

    What waits for such a session, or comes later, gets a new one. That is never needed for a change of the configuration or its
    core, which the daemon sees by itself. PROJECT is a name, a folder or an id, or SITE/PROJECT.
    """
    return _ask(Verb.END if now else Verb.RETIRE, config_and_projects, why)


def _ask(verb: Verb, config_and_projects: tuple[str, ...], why: str) -> int:
    config, names = _split(config_and_projects)
    if not names:
        raise click.UsageError("Say which PROJECT.")
    with opened(config) as at:
        shown = at.ledger.overview()
        if not is_running(shown, time.time()):
            echo("The daemon is not running, so it has no sessions.", err=True)
            return TROUBLE
        sites = {one.site for one in shown.sites}
        asked = [(site or (next(iter(sites)) if len(sites) == 1 else None), name) for site, name in map(named, names)]
        if any(site not in sites for site, _ in asked):
            raise click.UsageError(f"Say of which site: SITE/PROJECT. The sites are {', '.join(sorted(sites))}.")
        for site, name in asked:
            project = int(name) if name is not None and is_id(name) else name
            at.ledger.operate(Operation(verb, who(), why, DeliveryQuery(site=site, project=project)), time.time())
    echo(f"The daemon was asked to {verb.value} {count(len(asked), 'session')}; `callsheet toolkit list` shows them.")
    return 0
