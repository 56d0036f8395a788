"""``callsheet explain``: why an event ran, or did not run, in each callback."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click

from callsheet.cli import TROUBLE
from callsheet.cli.command_context import CommandContext, find_config, opened
from callsheet.cli.delivery_filters import KEPT_TEXT, is_id
from callsheet.cli.examples import examples
from callsheet.cli.tables import apart, echo, plain, wrapped
from callsheet.config import load
from callsheet.domain.delivery import DeliveryQuery
from callsheet.errors import CallsheetError, ConfigError, SiteError
from callsheet.policy.explanation import Known, Reason, explain
from callsheet.report import explain as reasons
from callsheet.report import json_output
from callsheet.settings import SiteSettings
from callsheet.site.event_log import SiteEventLog


@click.command(
    epilog=examples(
        ("callsheet explain studio.toml 812934", "who got that event, who did not, and why"),
        ("callsheet explain studio.toml 812934 --plugin mailer", "only what concerns that plugin"),
        ("callsheet explain studio.toml 812934 --offline", "without asking the site"),
    )
)
@click.argument("config_and_event", nargs=-1, metavar="[CONFIG] EVENT")
@click.option("--plugin", type=KEPT_TEXT, help="Only that plugin, by name.")
@click.option("--site", help="The event is of that site; needed where several sites have an event of that id.")
@click.option("--offline", is_flag=True, help="Do not ask the site for an event that the ledger has not kept.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; its keys are documented and stay.")
def command(*, config_and_event: tuple[str, ...], plugin: str | None, site: str | None, offline: bool, as_json: bool) -> int:
    """Say why an event ran, or did not run, in each callback.

    A line for every callback of every plugin: what came of its delivery, or what kept the event from it, such as a part of its
    filter, a plugin that is broken or began later, a gap, or an event that the plugin caused itself. The ledger keeps the events
    that some callback wanted; others are read from the site.
    """
    *configs, event = config_and_event
    config = configs[0] if configs else None
    if len(configs) > 1 or not is_id(event):
        raise click.UsageError("Name one event, by its id: `callsheet explain CONFIG 812934`.")
    with opened(config) as at:
        sites = _sites(at, int(event), site)
        if not sites:
            echo(f"There is no site {site} in the ledger." if site else "The ledger has no site yet.", err=True)
            return TROUBLE
        now = time.time()
        found = [_explained(at, config, name, int(event), plugin, offline=offline) for name in sites]
        if as_json:
            json_output.print_json([_facts(known, given, at.config, now, note) for known, given, note in found])
        else:
            echo(*apart(_lines(known, given, at.config, now, note) for known, given, note in found))
    return 0


def _sites(at: CommandContext, event_id: int, wanted: str | None) -> list[str]:
    """The sites that the event may be of: those with deliveries of that id, else all."""
    known = [one.site for one in at.ledger.overview().sites]
    if wanted is not None:
        return [one for one in known if one == wanted]
    having = {row.site for row in at.ledger.deliveries(DeliveryQuery(event_id=event_id))}
    return [one for one in known if one in having] or known


def _explained(
    at: CommandContext, config: str | None, site: str, event_id: int, plugin: str | None, *, offline: bool
) -> tuple[Known, list[Reason], str]:
    """What is known, the reasons, and a remark where the site could not be asked."""
    try:
        log = None if offline else _log(config, site)
        known, note = reasons.gather(at.ledger, site, event_id, log), ""
    except (ConfigError, SiteError) as error:
        known, note = reasons.gather(at.ledger, site, event_id, None), _first_line(error)
    return known, [one for one in explain(known) if plugin in {None, one.plugin} or not one.plugin], note


def _first_line(error: CallsheetError) -> str:
    return f"The site could not be asked: {str(error).splitlines()[0]}"


def _log(config: str | None, site: str) -> SiteEventLog:
    settings = next((one for one in load(find_config(config)).sites if one.name == site), None)
    if settings is None:
        raise ConfigError([f"the configuration has no site {site} any more"])
    return _open(settings)


def _open(site: SiteSettings) -> SiteEventLog:
    return SiteEventLog.of(site)


def _lines(known: Known, given: list[Reason], config: str, now: float, note: str) -> Iterator[str]:
    what = f": {plain(reasons.what_happened(known.event))}" if known.event else ""
    yield f"event {known.event_id} of site {known.site.site}{what}"
    if known.cause is not None:
        yield f"caused by {known.cause.plugin}.{known.cause.callback}, in delivery {known.cause.id} of event {known.cause.event_id}"
    if note:
        yield note
    yield ""
    if len(given) == 1 and not given[0].plugin:
        yield f"Nobody got it: {reasons.in_words(given[0], known, config, now)}"
        return
    if not given:
        yield "No plugin matches."
    for one in given:
        name = f"{one.plugin}.{one.callback}".rstrip(".")
        yield from wrapped(f"{name}: {reasons.in_words(one, known, config, now)}", "")


def _facts(known: Known, given: list[Reason], config: str, now: float, note: str) -> dict[str, object]:
    return {
        "event_id": known.event_id,
        "site": known.site.site,
        "event": known.event.data if known.event else None,
        "caused_by_delivery_id": known.cause and known.cause.id,
        "note": note or None,
        "reasons": [reasons.facts(one, known, config, now) for one in given],
    }
