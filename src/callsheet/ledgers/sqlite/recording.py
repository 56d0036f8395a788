"""Record what one page of events changes: steps 1 to 4 of an event's path."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import NewDelivery, State
from callsheet.domain.plugin import PluginState
from callsheet.domain.reading import Absence, ExpiredGap, Fingerprint, Gap, Intake, SiteState
from callsheet.ledgers.sqlite import holds, replay_rows
from callsheet.ledgers.sqlite.id_cache import Names
from callsheet.ledgers.sqlite.lane_heads import postpone, resume
from callsheet.ledgers.sqlite.plugin_rows import begin
from callsheet.ledgers.sqlite.state_counters import StateCounters, reserve

_PLUGINS = """
    SELECT name, position, waiting + retrying + held, state, gone_since, gone_newest FROM plugins
    WHERE site_id = ? AND forgotten IS NULL ORDER BY ordinal, name
"""
_EPOCH = "SELECT log_epoch FROM sites WHERE id = ?"
_MOVE = """
    UPDATE sites SET
        cursor = coalesce(:cursor, cursor),
        clock = coalesce(:clock, clock),
        address = coalesce(:address, address),
        recent = coalesce(:recent, recent),
        empty_at = CASE WHEN :cursor IS NULL THEN empty_at ELSE :empty_at END
    WHERE id = :site
"""
_MOST_EXPIRED = 1000
"""Ranges of ids that did not show which are kept of a site: enough to explain what somebody asks about today."""


def site_state(tx: sqlite3.Connection, site: str, *, expired: bool = False) -> SiteState:
    """Where the reading of a site stands."""
    sql = "SELECT id, cursor, clock, address, recent, empty_at, log_epoch, pruned_to FROM sites WHERE name = ?"
    row = tx.execute(sql, (site,)).fetchone()
    if row is None:
        return SiteState(site)
    site_id, cursor, clock, address, recent, empty_at, log_epoch, pruned_to = row
    gaps = tx.execute("SELECT first, last, until, plugin FROM gaps WHERE site_id = ? ORDER BY first, last, plugin", (site_id,))
    plugins = tx.execute(_PLUGINS, (site_id,)).fetchall()
    return SiteState(
        site,
        cursor,
        clock,
        tuple(Gap(*gap) for gap in gaps),
        positions={name: position for name, position, *_ in plugins},
        waiting={name: waiting for name, _, waiting, *_ in plugins},
        replays=replay_rows.going_on(tx, site_id),
        holds=holds.lanes(tx, site_id),
        returned={
            name: Absence(since, newest)
            for name, _, _, state, since, newest in plugins
            if since is not None and state != PluginState.GONE
        },
        undecided=holds.undecided(tx, site_id),
        address=address,
        recent=tuple(Fingerprint(*one) for one in json.loads(recent)),
        empty_at=empty_at,
        log_epoch=log_epoch,
        pruned_to=pruned_to,
        expired=_expired(tx, site_id) if expired else (),
    )


def _expired(tx: sqlite3.Connection, site_id: int) -> tuple[ExpiredGap, ...]:
    sql = "SELECT first, last, at FROM expired_gaps WHERE site_id = ? ORDER BY last"
    return tuple(ExpiredGap(*row) for row in tx.execute(sql, (site_id,)))


def record(tx: sqlite3.Connection, names: Names, intake: Intake, now: float) -> int:
    """Move the site on and add the deliveries. Returns how many were new."""
    site_id = names.site(tx, intake.site)
    if intake.log_epoch is not None and tx.execute(_EPOCH, (site_id,)).fetchone() != (intake.log_epoch,):
        return 0  # it was read of a log that an operator has left since
    if intake.expected:
        intake = _without_moved(tx, site_id, intake)
    unread = intake.cursor is not None and tx.execute("SELECT cursor FROM sites WHERE id = ?", (site_id,)).fetchone() == (None,)
    tx.execute(_MOVE, {**_moved(intake), "site": site_id})
    if unread:
        begin(tx, site_id)
    if intake.gaps is not None:
        tx.execute("DELETE FROM gaps WHERE site_id = ?", (site_id,))
        rows = [(site_id, gap.first, gap.last, gap.until, gap.plugin) for gap in intake.gaps]
        tx.executemany("INSERT INTO gaps (site_id, first, last, until, plugin) VALUES (?, ?, ?, ?, ?)", rows)
    for name, position in intake.positions.items():
        # An imported position may come before its plugin has been seen.
        tx.execute("UPDATE plugins SET position = ? WHERE id = ?", (position, names.plugin(tx, PluginKey(intake.site, name))))
    for name, count in intake.own.items():
        tx.execute("UPDATE plugins SET own = own + ? WHERE id = ?", (count, names.plugin(tx, PluginKey(intake.site, name))))
    for name in intake.checked:
        tx.execute("UPDATE plugins SET gone_since = NULL, gone_newest = NULL WHERE site_id = ? AND name = ?", (site_id, name))
    if intake.expired:
        ranges = [(site_id, first, last, now) for first, last in intake.expired]
        tx.executemany("INSERT INTO expired_gaps (site_id, first, last, at) VALUES (?, ?, ?, ?)", ranges)
        sql = "SELECT rowid FROM expired_gaps WHERE site_id = ? ORDER BY rowid DESC LIMIT -1 OFFSET ?"
        tx.execute(f"DELETE FROM expired_gaps WHERE rowid IN ({sql})", (site_id, _MOST_EXPIRED))  # noqa: S608 - our own query
    again = intake.replay is not None
    added = _add(tx, names, site_id, intake.deliveries, now, again=again) if intake.deliveries else 0
    if intake.replay is not None:
        replay_rows.move(tx, intake.replay, added)
    return added


def _moved(intake: Intake) -> dict[str, object]:
    recent = None if intake.recent is None else json.dumps(intake.recent)
    return {
        "cursor": intake.cursor,
        "clock": intake.clock,
        "address": intake.address,
        "recent": recent,
        "empty_at": intake.empty_at,
    }


def _without_moved(tx: sqlite3.Connection, site_id: int, intake: Intake) -> Intake:
    places = dict(tx.execute("SELECT name, position FROM plugins WHERE site_id = ?", (site_id,)))
    moved = {name for name, place in intake.expected.items() if places.get(name) != place}
    if not moved:
        return intake
    return replace(
        intake,
        deliveries=tuple(one for one in intake.deliveries if one.callback.plugin.name not in moved),
        positions={name: place for name, place in intake.positions.items() if name not in moved},
    )


def _add(tx: sqlite3.Connection, names: Names, site_id: int, deliveries: Sequence[NewDelivery], now: float, *, again: bool) -> int:
    """``again``: those that exist and are finished wait again, and count as new."""
    events = {delivery.event.id: delivery.event for delivery in deliveries}
    tx.executemany(
        "INSERT INTO events (site_id, id, type, payload) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(site_id, event_id, event.type, event.payload) for event_id, event in events.items()],
    )
    lanes = _Lanes(tx, names, now)
    tally = StateCounters()
    reopened: list[int] = []
    if again:
        known = [(delivery, lanes.id(delivery.callback.plugin, delivery.lane)) for delivery in deliveries]
        reopened = replay_rows.reopen(tx, names, known, now, tally)
    first = reserve(tx, "delivery", len(deliveries))
    rows = [
        (
            number,
            lanes.id(delivery.callback.plugin, delivery.lane),
            delivery.event.id,
            delivery.ordinal,
            names.callback(tx, delivery.callback),
            now,
            now + delivery.settle if delivery.settle else None,
        )
        for number, delivery in enumerate(deliveries, first)
    ]
    added = tx.executemany(
        "INSERT INTO deliveries (id, lane_id, event_id, ordinal, callback_id, recorded, due) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (event_id, callback_id) DO NOTHING",
        rows,
    ).rowcount
    if added < len(rows):  # some were there before; see which are new
        sql = "SELECT id, lane_id, event_id, ordinal, callback_id FROM deliveries WHERE id BETWEEN ? AND ?"
        rows = tx.execute(sql, (first, first + len(rows) - 1)).fetchall()
    for row in rows:
        tally.add(names.plugin_of(tx, row[4]), State.WAITING)
    tally.write(tx)
    woken = {*(row[1] for row in rows), *reopened}
    bursts = {lanes.id(one.callback.plugin, one.lane): one.settle for one in deliveries if one.settle}
    lanes.wake(woken - bursts.keys())
    for lane_id in woken & bursts.keys():
        postpone(tx, lane_id, bursts[lane_id], now)
    return int(added) + len(reopened)


class _Lanes:
    """The lanes that one page touches."""

    def __init__(self, tx: sqlite3.Connection, names: Names, now: float) -> None:
        self._tx = tx
        self._names = names
        self._now = now
        self._ids: dict[tuple[PluginKey, str], int] = {}
        self._idle: set[int] = set()
        self._resting: set[int] = set()  # ready, but not yet: their first delivery waits to be tried again

    def id(self, plugin: PluginKey, key: str) -> int:
        """The id of a lane, made if there was none."""
        found = self._ids.get((plugin, key))
        if found is None:
            found = self._ids[plugin, key] = self._look_up(self._names.plugin(self._tx, plugin), key)
        return found

    def wake(self, lane_ids: set[int]) -> None:
        """Let those go on that have something to do now; the running and the held ones take what came in when they go on."""
        self._tx.executemany(
            "UPDATE lanes SET state = 'ready', due = ? WHERE id = ?", [(self._now, lane_id) for lane_id in self._idle & lane_ids]
        )
        if late := self._resting & lane_ids:
            resume(self._tx, late, self._now)

    def _look_up(self, plugin_id: int, key: str) -> int:
        sql = "SELECT id, state, due FROM lanes WHERE plugin_id = ? AND key = ?"
        row = self._tx.execute(sql, (plugin_id, key)).fetchone()
        if row is None:
            sql = "INSERT INTO lanes (plugin_id, key, state, due) VALUES (?, ?, 'idle', ?)"
            row = (self._tx.execute(sql, (plugin_id, key, self._now)).lastrowid, "idle", self._now)
        lane_id, state, due = row
        if state == "idle":
            self._idle.add(lane_id)
        elif state == "ready" and due > self._now:
            self._resting.add(lane_id)
        return int(lane_id)
