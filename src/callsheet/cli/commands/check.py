"""``callsheet check``: all that is wrong with a configuration at once, then whether its sites answer and what plugins it finds."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from callsheet.cli.command_context import config_argument, find_config
from callsheet.cli.examples import examples
from callsheet.cli.tables import echo
from callsheet.config.load import Loaded
from callsheet.discovery import Discovery, discover
from callsheet.domain.plugin import PluginState
from callsheet.errors import ConfigError, SiteError
from callsheet.report.formatting import count
from callsheet.report.json_output import print_json
from callsheet.settings import SiteSettings

WELL, TROUBLE, MISTAKEN = 0, 1, 2


@dataclass(frozen=True, slots=True)
class _Checked:
    """One site: ``newest`` and ``problem`` as it answered, both None where it was not asked."""

    site: SiteSettings
    found: Discovery
    newest: int | None = None
    problem: str | None = None
    doubts: tuple[str, ...] = ()
    """Names that plugins ask for, as the ledger knows them, and that the site does not have."""


@click.command(
    epilog=examples(
        ("callsheet check studio.toml", "all of it"),
        ("callsheet check shotgunEventDaemon.conf --offline", "the file and the plugin folders alone"),
        ("callsheet check studio.toml --json", "as data, for a script"),
    )
)
@config_argument
@click.option("--offline", is_flag=True, help="Ask neither the sites nor the mail server.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; its keys are documented and stay.")
def command(*, config: str | None, offline: bool, as_json: bool) -> int:
    """Check a configuration, and that its sites answer.

    Says every mistake at once, with its line and its cure: also what a start would be refused for, as a folder that can't be
    written. Then asks each site for its newest event, with the script and key given for it, and the mail server for a session, and
    lists the plugins found. Changes nothing.

    Exits 0 if all is well, 1 if something is in trouble without which the daemon starts (a site, the mail server, a folder of
    plugins, a plugin that is named and not there), 2 if the configuration can't be used.
    """
    from callsheet.cli import preflight  # noqa: PLC0415 - `--help` does without it
    from callsheet.config import load_with_notes  # noqa: PLC0415 - as above

    path = find_config(config)
    try:
        loaded = load_with_notes(path)
        preflight.refuse(loaded)
    except ConfigError as error:
        if not as_json:
            raise
        print_json({"config": str(path), "well": False, "problems": error.problems, "notes": [], "sites": []})
        return MISTAKEN
    checked = [_check(site, loaded.settings.state, offline=offline) for site in loaded.settings.sites]
    away = any(one.found.missing for one in checked)
    names = None if away else [plugin.key.name for one in checked for plugin in one.found.plugins]
    troubles = preflight.troubles(loaded, names, offline=offline)
    well = not troubles and not away and all(one.problem is None and not one.doubts for one in checked)
    if as_json:
        print_json(_facts(loaded, path, checked, troubles, well=well))
    else:
        echo(*_lines(loaded, path, checked, troubles, offline=offline))
    return WELL if well else TROUBLE


def _check(site: SiteSettings, state: Path, *, offline: bool) -> _Checked:
    found = discover(site.name, site.plugins)
    if offline:
        return _Checked(site, found)
    from callsheet.config.probe import probe  # noqa: PLC0415 - loads the whole client

    answer = probe(site)
    doubts = () if answer.problem is not None else _doubts(site, state)
    return _Checked(site, found, answer.newest, answer.problem, doubts)


def _doubts(site: SiteSettings, state: Path) -> tuple[str, ...]:
    """What plugins that a daemon has loaded ask for, and their site does not have."""
    from callsheet.ledgers.sqlite import SqliteLedger  # noqa: PLC0415
    from callsheet.policy.schema_check import doubts, entities  # noqa: PLC0415
    from callsheet.site.client import SiteClient  # noqa: PLC0415
    from callsheet.site.schema import SiteSchema  # noqa: PLC0415
    from callsheet.state_folder import LEDGER  # noqa: PLC0415 - as above

    if not (state / LEDGER).exists():
        return ()
    with closing(SqliteLedger(state / LEDGER, create=False)) as ledger:
        plugins = [one for one in ledger.plugins(site.name) if one.state is PluginState.READY]
    with closing(SiteSchema(SiteClient.of(site), None)) as source:
        try:
            schema = source.read(entities(callback for one in plugins for callback in one.callbacks))
        except SiteError as error:
            return (f"its schema can't be read: {error}",)
    return tuple(f"{callback.key}: {doubt}" for one in plugins for callback in one.callbacks for doubt in doubts(callback, schema))


def _lines(loaded: Loaded, path: Path, checked: list[_Checked], troubles: list[str], *, offline: bool) -> list[str]:
    lines = [f"{path}: no mistakes", *(f"note: {note}" for note in loaded.notes), f"state: {loaded.settings.state}"]
    lines += [click.style(f"trouble: {one}", fg="red") for one in troubles]
    for one in checked:
        lines += ["", *_site_lines(one, offline=offline)]
    bad = [one.site.name for one in checked if one.problem or one.found.missing or one.doubts]
    if bad:
        lines += ["", f"Trouble with {', '.join(bad)}. The daemon can start all the same: it tries on, and catches up."]
    elif troubles:
        lines += ["", "The daemon can start all the same."]
    else:
        lines += ["", "All is well, as far as the files go." if offline else "All is well."]
    return lines


def _site_lines(one: _Checked, *, offline: bool) -> list[str]:
    lines = [f"site {one.site.name}: {_shown_url(one.site)}"]
    if one.problem:
        lines.append(click.style(f"  trouble: {one.problem}", fg="red"))
    elif not offline:
        lines.append(f"  answers, and accepts script {one.site.script!r}; its newest event is {one.newest}")
    folders = ", ".join(str(folder) for folder in one.site.plugins)
    lines.append(f"  {count(len(one.found.plugins), 'plugin')} in {folders}")
    for folder in one.found.missing:
        what = "does not answer" if folder in one.found.hanging else "is not there, or can't be read"
        lines.append(click.style(f"  trouble: the folder {folder} {what}; create or mount it, or correct the path", fg="red"))
    lines += [click.style(f"  trouble: {doubt}", fg="red") for doubt in one.doubts]
    lines += [f"    {plugin.key.name}" for plugin in one.found.plugins]
    lines += [f"    left out: {left.path.name}: {left.reason}" for left in one.found.left_out]
    return lines


def _facts(loaded: Loaded, path: Path, checked: list[_Checked], troubles: list[str], *, well: bool) -> dict[str, Any]:
    return {
        "config": str(path),
        "well": well,
        "problems": [],
        "notes": list(loaded.notes),
        "trouble": troubles,
        "state": str(loaded.settings.state),
        "sites": [
            {
                "site": one.site.name,
                "url": _shown_url(one.site),
                "script": one.site.script,
                "newest": one.newest,
                "problem": one.problem,
                "doubts": list(one.doubts),
                "plugins": [{"plugin": plugin.key.name, "path": plugin.path} for plugin in one.found.plugins],
                "missing": [str(folder) for folder in one.found.missing],
                "left_out": [{"path": str(left.path), "reason": left.reason} for left in one.found.left_out],
            }
            for one in checked
        ],
    }


def _shown_url(site: SiteSettings) -> str:
    from callsheet.config.kinds import without_password  # noqa: PLC0415 - as above

    return without_password(site.url)
