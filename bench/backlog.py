"""A ledger in which many deliveries wait for a plugin that never ends."""

from __future__ import annotations

import time
from pathlib import Path

from callsheet.domain.callback import CallbackKey, PluginKey
from callsheet.domain.delivery import NewDelivery
from callsheet.domain.event import Event
from callsheet.domain.plugin import PluginFile, PluginState
from callsheet.domain.reading import Intake
from callsheet.ledgers.sqlite import SqliteLedger

STUCK = """
import threading
from callsheet import on

@on("Bench_Stuck")
def stuck(ctx):
    threading.Event().wait()
"""
"""The plugin that they wait for."""

NAME = "stuck"
_PAGE = 5000
_LANES = 100_000


def write(file: Path, site: str, path: str, cursor: int, waiting: int) -> None:
    """Write that ledger: ``waiting`` deliveries of the plugin at ``path``, every second one in one lane, the others in many.

    Their events come before ``cursor``, where the site's reading stands.
    """
    plugin = PluginKey(site, NAME)
    callback = CallbackKey(plugin, NAME)
    ledger = SqliteLedger(file)
    try:
        ledger.enrol([PluginFile(plugin, path, 0, 0.0)], PluginState.GONE, time.time())
        for start in range(0, waiting, _PAGE):
            ids = [cursor - waiting + number for number in range(start, min(start + _PAGE, waiting))]
            deliveries = tuple(NewDelivery(callback, 0, _event(site, number), _lane(number)) for number in ids)
            ledger.record(Intake(site, deliveries, cursor=ids[-1]), time.time())
        ledger.record(Intake(site, cursor=cursor), time.time())
    finally:
        ledger.close()


def _event(site: str, number: int) -> Event:
    fields = ("attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at")
    return Event(site, {"type": "EventLogEntry", "id": number, "event_type": "Bench_Stuck", **dict.fromkeys(fields)})


def _lane(number: int) -> str:
    return "entity:none" if number % 2 else f"Task:{number % _LANES}"
