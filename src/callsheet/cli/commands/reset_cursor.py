"""``callsheet reset-cursor``: says where the reading of a site goes on, after a restore or at another address."""

from __future__ import annotations

import time

import click

from callsheet.cli.command_context import CommandContext, config_argument, find_config, opened, who
from callsheet.cli.examples import examples
from callsheet.cli.mutations import Progress, nothing, when_stopped
from callsheet.cli.tables import echo
from callsheet.domain.delivery import DeliveryQuery, State
from callsheet.domain.event import LARGEST_ID
from callsheet.domain.operation import Operation, Reset, Verb
from callsheet.domain.overview import Changed
from callsheet.domain.reading import SiteState
from callsheet.errors import StateError
from callsheet.policy import log_identity
from callsheet.ports import EventLog
from callsheet.report.formatting import count
from callsheet.report.json_output import print_json
from callsheet.settings import SiteSettings


@click.command(
    epilog=examples(
        (
            "callsheet reset-cursor studio.toml --to-newest --waiting keep",
            "restored: what waits is run, then what comes from now on",
        ),
        ("callsheet reset-cursor studio.toml --from 812934 --waiting skip", "another site: go on at that event of it"),
        ("callsheet reset-cursor studio.toml --same-log", "the same site, at another address"),
    )
)
@config_argument
@click.option("--site", help="Which site, where there are several.")
@click.option("--to-newest", is_flag=True, help="Go on behind the newest event that the site has now.")
@click.option("--from", "first", type=click.IntRange(1, LARGEST_ID - 1), metavar="ID", help="Go on at that event.")
@click.option("--same-log", is_flag=True, help="The event log is the same, and only the site's address has changed.")
@click.option("--waiting", type=click.Choice(["keep", "skip"]), help="Run the deliveries that still wait, or give them up.")
@click.option("--why", default="", help="The reason, for the record.")
@click.option("--json", "as_json", is_flag=True, help="Print what was set as JSON.")
def command(
    *,
    config: str | None,
    site: str | None,
    to_newest: bool,
    first: int | None,
    same_log: bool,
    waiting: str | None,
    why: str,
    as_json: bool,
) -> int:
    """Say where the reading of a site goes on, as after a restore.

    For a site that was restored from a backup, a refreshed staging site, or another site under the same name: its event log is not
    the one that was read before, so nothing is read from it until you say where to go on. All plugins go on there, also those that
    stand behind; ids that were waited for, and replays, are given up. Deliveries of the old log that still wait are run first, or
    given up with `--waiting skip`. A running daemon goes on at once, a stopped one when it starts.

    Exits 0 if it was done, 1 if the site's log does not fit what you say, 2 if the site can't be asked.
    """
    from callsheet.config import load  # noqa: PLC0415 - `--help` does without all this
    from callsheet.legacy.importing import choose_site  # noqa: PLC0415
    from callsheet.site.event_log import SiteEventLog  # noqa: PLC0415

    if [to_newest, first is not None, same_log].count(True) != 1:
        raise click.UsageError("Say where to go on: --to-newest, --from ID, or --same-log for a site that has only moved.")
    chosen = choose_site(load(find_config(config)), site)
    log = SiteEventLog.of(chosen)
    with opened(config) as at:
        state = at.ledger.site(chosen.name)
        if state.cursor is None:
            raise StateError(
                f"site {chosen.name} has never been read; to begin at a certain event, start with `callsheet run --from ID`"
            )
        try:
            found = _same_log(chosen, log, state) if same_log else _elsewhere(chosen, log, first)
        finally:
            log.close()
        if isinstance(found, str):
            return nothing(found)
        still_open = sum(state.waiting.values())
        if still_open and found.cursor is not None and waiting is None:
            raise click.UsageError(
                f"{count(still_open, 'delivery')} of the log that was read so far still wait: --waiting keep runs them first, "
                "--waiting skip gives them up."
            )
        skipped = _skip(at, chosen, why) if still_open and waiting == "skip" and found.cursor is not None else 0
        _operate(at, Operation(Verb.RESET, who(), why, DeliveryQuery(site=chosen.name), reset=found))
        cursor = state.cursor if found.cursor is None else found.cursor
        if as_json:
            print_json({"site": chosen.name, "address": found.address, "cursor": cursor, "skipped": skipped})
            return 0
        echo(f"Site {chosen.name} ({found.address}) is read on behind event {cursor}.")
        if skipped:
            echo(f"{count(skipped, 'delivery')} given up.")
        when_stopped(at)
        return 0


def _elsewhere(site: SiteSettings, log: EventLog, first: int | None) -> Reset | str:
    """The reset to the newest event, or to the one in front of ``first``; in words why that can't be."""
    newest = log.newest_id()
    if first is None and not newest:
        return (
            "the site shows no event at all. Look at the permissions of its script; --from 1 goes on at the first event that comes."
        )
    if first is not None and first > newest + 1:
        return f"the site's newest event is {newest}, so --from can be {newest + 1} at most."
    cursor = newest if first is None else first - 1
    return Reset(log_identity.address(site.url), cursor, tuple(log.fingerprints([cursor] if cursor else []).values()))


def _same_log(site: SiteSettings, log: EventLog, state: SiteState) -> Reset | str:
    """The reset of the address alone; in words why the log is not the same."""
    shown = log.fingerprints([one.id for one in state.recent])
    problem = log_identity.replaced(state.recent, shown)
    problem = problem or log_identity.missing(state.cursor or 0, state.recent, shown, log.newest_id())
    if problem is not None:
        return f"the log is another one: {problem}. Say where to go on with --to-newest or --from ID."
    return Reset(log_identity.address(site.url))


def _skip(at: CommandContext, site: SiteSettings, why: str) -> int:
    """Give up what is open of the old log; how many deliveries that were."""
    still_open = DeliveryQuery(states=(State.WAITING, State.RETRYING, State.HELD), site=site.name)
    return len(_operate(at, Operation(Verb.SKIP, who(), why, still_open)).ids)


def _operate(at: CommandContext, operation: Operation) -> Changed:
    progress = Progress()
    try:
        return at.ledger.operate(operation, time.time(), progress)
    except KeyboardInterrupt:
        echo(f"Interrupted: {progress}. The site is not read before the same command was given again.", err=True)
        raise
    finally:
        progress.close()
