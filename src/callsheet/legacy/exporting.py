"""Says where each plugin stands as shotgunEvents does, so that a studio can go back to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from callsheet.domain.delivery import NO_LIMIT, DeliveryQuery, State
from callsheet.domain.plugin import PluginState
from callsheet.errors import StateError
from callsheet.ports import Ledger

OPEN = (State.WAITING, State.RUNNING, State.RETRYING, State.HELD)
KEPT = dt.timedelta(days=30)
"""For how long shotgunEvents is to wait for an event that is there, and was not handled: it drops what it has not found by then."""

Place = tuple[int, dict[int, dt.datetime]]
"""As in an id file: the last event a plugin had, and until when (local time) it waits for which ids."""


@dataclass(frozen=True, slots=True)
class Exported:
    """``folders``: folder → plugin → place. ``unhandled``: plugin → events still to be handled, among what it waits for."""

    folders: Mapping[str, Mapping[str, Place]]
    unhandled: Mapping[str, int]


def export_state(ledger: Ledger, site: str, now: dt.datetime) -> Exported:
    """Where the plugins of a site stand; changes nothing. ``now``: local time without a zone, as shotgunEvents has it.

    What was recorded for a plugin and is still open is among the ids that it waits for. StateError for a site that was never read.
    """
    state = ledger.site(site)
    if state.cursor is None:
        raise StateError(f"Site {site} was never read, so there is nothing to export.")
    open_events: dict[str, set[int]] = {}
    for row in ledger.deliveries(DeliveryQuery(states=OPEN, site=site, limit=NO_LIMIT)):
        if row.event_id > 0:  # else of an event log that the site had before
            open_events.setdefault(row.plugin, set()).add(row.event_id)
    folders: dict[str, dict[str, Place]] = {}
    for record in ledger.plugins(site):
        if record.state is PluginState.GONE:
            continue
        position = state.positions.get(record.key.name)
        last = state.cursor if position is None else position
        waits = {
            number: now + dt.timedelta(seconds=gap.until - state.clock)
            for gap in state.gaps
            if gap.plugin in (None, record.key.name)
            for number in range(gap.first, min(gap.last, last) + 1)
        }
        waits |= dict.fromkeys(open_events.get(record.key.name, ()), now + KEPT)
        path = Path(record.path)
        folders.setdefault(str(path.parent), {})[path.stem] = (last, waits)
    return Exported(folders, {plugin: len(events) for plugin, events in open_events.items()})
