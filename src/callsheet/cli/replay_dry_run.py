"""``replay --dry-run``: asks the site as the daemon would, and says what would be delivered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from callsheet.cli import TROUBLE
from callsheet.cli.command_context import CommandContext, find_config
from callsheet.cli.tables import echo
from callsheet.config import load
from callsheet.domain.delivery import NO_LIMIT, DeliveryQuery, State
from callsheet.domain.event import Event
from callsheet.domain.plugin import PluginRecord
from callsheet.domain.reading import Replay
from callsheet.errors import SiteError, StateError
from callsheet.policy.replay_ranges import Ranges, piece
from callsheet.policy.routing import Routes
from callsheet.report import json_output
from callsheet.report.formatting import count
from callsheet.settings import SiteSettings
from callsheet.site.event_log import SiteEventLog

NEW, AGAIN, LEFT = "new", "again", "left alone"


def rehearse(
    at: CommandContext, config: str | None, plugin: PluginRecord, callback: str | None, wanted: Ranges, *, as_json: bool
) -> int:
    """List each delivery that a replay would make, reopen or leave; the exit code."""
    found: list[dict[str, Any]] = []
    counted: Counter[str] = Counter()
    try:
        for line in _rehearsed(at, site_of(config, plugin), plugin, callback, wanted):
            counted[line["would_be"]] += 1
            if as_json:
                found.append(line)
            else:
                state = f", {line['state']} now" if line["state"] else ""
                echo(f"{line['event_id']:>10}  {line['event_type']:<32}  {line['callback']:<32}  {line['would_be']}{state}")
    except SiteError as error:
        echo(f"callsheet: {error}", err=True)
        return TROUBLE
    if as_json:
        json_output.print_json(found)
    else:
        said = ", ".join(f"{counted[word]} {word}" for word in (NEW, AGAIN, LEFT))
        echo(f"{count(sum(counted.values()), 'delivery')}: {said}. Nothing was changed.")
    return 0


def site_of(config: str | None, plugin: PluginRecord) -> SiteSettings:
    """The settings of the plugin's site. Raises StateError where the configuration has none, ConfigError where that is wrong."""
    for site in load(find_config(config)).sites:
        if site.name == plugin.key.site:
            return site
    raise StateError(f"The configuration has no site {plugin.key.site} any more, so its events can't be read.")


def log_of(site: SiteSettings) -> SiteEventLog:
    """A connection of the operator's own; to be closed."""
    return SiteEventLog.of(site)


def _rehearsed(
    at: CommandContext, site: SiteSettings, plugin: PluginRecord, callback: str | None, wanted: Ranges
) -> Iterator[dict[str, Any]]:
    routes = Routes(one for one in plugin.callbacks if callback in {None, one.key.name})
    cursor = at.ledger.site(site.name).cursor if plugin.position is None else plugin.position
    replay = Replay(0, plugin.key, callback, wanted)
    log = log_of(site)
    try:
        while (part := piece(replay, cursor or 0, site.page)) is not None:
            page = log.read(part.after, site.page, until=part.until, missing=part.besides)
            yield from _judged(at, plugin, routes, page.events)
            reached = page.events[-1].id if page.full and not part.besides else part.reach
            replay = replace(replay, position=reached)
    finally:
        log.close()


def _judged(at: CommandContext, plugin: PluginRecord, routes: Routes, events: tuple[Event, ...]) -> Iterator[dict[str, Any]]:
    if not events:
        return
    query = DeliveryQuery(site=plugin.key.site, plugin=plugin.key.name, events=(events[0].id, events[-1].id), limit=NO_LIMIT)
    known = {(row.event_id, row.callback): row for row in at.ledger.deliveries(query)}
    for event in events:
        for delivery in routes.route(event):
            row = known.get((event.id, delivery.callback.name))
            would_be = NEW if row is None else LEFT if row.state < State.DONE else AGAIN
            yield {
                "event_id": event.id,
                "event_type": event.type,
                "callback": delivery.callback.name,
                "delivery_id": row and row.id,
                "state": row and row.state.word,
                "would_be": would_be,
            }
