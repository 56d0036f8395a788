"""``callsheet import-state``: puts the places that an id file of shotgunEvents says into the ledger, by hand."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from callsheet.cli.command_context import config_argument, find_config
from callsheet.cli.examples import examples
from callsheet.cli.tables import echo, table
from callsheet.errors import StateError
from callsheet.legacy.importing import Imported, choose_site, import_state, preview
from callsheet.ports import Ledger
from callsheet.report.formatting import count, gaps
from callsheet.report.json_output import print_json
from callsheet.settings import Settings, SiteSettings
from callsheet.state_folder import LEDGER, prepare

DONE, NOTHING = 0, 1


@click.command(
    epilog=examples(
        ("callsheet import-state shotgunEventDaemon.conf --dry-run", "where would each plugin go on?"),
        ("callsheet import-state shotgunEventDaemon.conf", "take it over, before the first start"),
        ("callsheet import-state studio.toml old.id --site studio --force", "another file, though the ledger knows the site"),
    )
)
@config_argument
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option("--site", help="For which site, where there are several.")
@click.option("--force", is_flag=True, help="Also where the ledger knows the site: its plugins go to the file's ids.")
@click.option("--dry-run", is_flag=True, help="Only show what would be imported, or what keeps it from that.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; its keys are documented and stay.")
def command(*, config: str | None, file: Path | None, site: str | None, force: bool, dry_run: bool, as_json: bool) -> int:
    """Take over from shotgunEvents where each plugin stands.

    FILE is its eventIdFile; left out, it is the one that CONFIG names. `run` does this by itself at its first start; this is for
    looking first, and for moving over again. The daemon must not be running.

    Exits 0 if the state was imported (or would be), 1 if there was nothing to import, 2 for a file that can't be used.
    """
    from callsheet.config import load  # noqa: PLC0415 - `--help` does without all this

    settings = load(find_config(config))
    chosen = choose_site(settings, site)
    source = file or settings.id_file
    if source is None:
        raise StateError(f"{settings.source} names no id file; name it: callsheet import-state {config or 'CONFIG'} FILE")
    with _ledger(settings, dry_run=dry_run) as ledger:
        known = None if ledger is None else ledger.site(chosen.name).cursor
        if known is not None and not force:
            raise StateError(
                f"the ledger knows site {chosen.name} already: it has been read up to event {known}; "
                "--force moves its plugins to the ids of the file all the same"
            )
        if dry_run or ledger is None:
            result: Imported | None = preview(ledger, settings, lambda: _newest(chosen), file=source, site=chosen.name)
        else:
            result = import_state(
                ledger, settings, lambda: _newest(chosen), time.time(), file=source, site=chosen.name, force=force
            )
    assert result is not None  # a file was named, and the ledger doesn't know the site or is to forget it
    if as_json:
        print_json({**_facts(result), "imported": result.problem is None and not dry_run})
    else:
        echo(*_lines(result, dry_run=dry_run))
    return DONE if result.problem is None else NOTHING


@contextmanager
def _ledger(settings: Settings, *, dry_run: bool) -> Iterator[Ledger | None]:
    """The ledger to import into, made if missing; of a dry run the one that there is, if any. StateError where a daemon has it."""
    from callsheet.ledgers.sqlite import SqliteLedger  # noqa: PLC0415 - `--help` does without all this
    from callsheet.ledgers.sqlite.lock import lock_path  # noqa: PLC0415

    path = settings.state / LEDGER
    if dry_run and not os.path.lexists(path) and not lock_path(path).exists():
        yield None
        return
    if not dry_run:
        prepare(settings.state, settings.group)
    ledger = SqliteLedger(path, create=not dry_run)
    try:
        if not dry_run:
            ledger.lock("import-state")
        elif (owner := ledger.overview().owner) is not None and owner.held:
            raise StateError(f"A Callsheet daemon (process {owner.pid or 'unknown'}) runs on this ledger. Stop that one first.")
        yield ledger
    finally:
        ledger.close()


def _newest(site: SiteSettings) -> int:
    """The newest event's id, for plugins that the file doesn't know. Raises SiteError."""
    from callsheet.site.event_log import SiteEventLog  # noqa: PLC0415 - loads the whole client

    log = SiteEventLog.of(site)
    try:
        return log.newest_id()
    finally:
        log.close()


def _lines(result: Imported, *, dry_run: bool) -> list[str]:
    if result.positions is None:
        return [result.problem or ""]
    waits = {name: [gap for gap in result.gaps if gap.plugin == name] for name in result.positions}
    rows = [
        [name, last, "newest: not in the file" if name in result.fresh else "file", gaps(waits[name]) or "-"]
        for name, last in result.positions.items()
    ]
    verb = "would be imported" if dry_run else "imported"
    what = f"{verb} for site {result.site}, {count(len(rows), 'plugin')}"
    lines = [f"{result.source}: {what}; the reading goes on after event {result.cursor}"]
    if rows:
        lines += ["", *table(["PLUGIN", "GOES ON AFTER", "FROM", "STILL WAITS FOR"], rows)]
    if result.unused:
        lines += ["", f"In the file, but in no plugin folder, so left out: {', '.join(result.unused)}"]
    return lines


def _facts(result: Imported) -> dict[str, Any]:
    return {
        "site": result.site,
        "source": str(result.source),
        "cursor": None if result.positions is None else result.cursor,
        "plugins": result.positions or {},
        "fresh": list(result.fresh),
        "unused": list(result.unused),
        "gaps": [{"first": gap.first, "last": gap.last, "plugin": gap.plugin} for gap in result.gaps],
        "problem": result.problem,
    }
