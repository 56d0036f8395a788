"""Hand out runs of deliveries, take back what came of them: steps 5 and 8 of an event's path."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from callsheet.domain.callback import GLOBAL, SETTLING, PluginKey
from callsheet.domain.delivery import Delivery, Outcome, Run, State
from callsheet.ledgers.sqlite import event_logs, holds
from callsheet.ledgers.sqlite.global_order import GlobalOrder
from callsheet.ledgers.sqlite.id_cache import Names
from callsheet.ledgers.sqlite.lane_heads import count_running, resume
from callsheet.ledgers.sqlite.state_counters import StateCounters, reserve

LONGEST_RUN = 16_000_000
"""Letters of the events of a run, unless a single one has more: it goes to its worker as one frame."""

# Some look-ups in an index per plugin with free slots, whatever waits. What an operator holds, nobody waits for.
_DUE = f"""
    SELECT
        value,
        (SELECT min(due) FROM lanes WHERE plugin_id = value AND state = 'ready'),
        (SELECT due FROM lanes WHERE plugin_id = value AND state = 'ready' AND due > :now AND NOT {holds.LANE} ORDER BY due LIMIT 1)
    FROM json_each(:plugins)
"""  # noqa: S608 - our own condition
_READY = f"""
    SELECT due, id, key FROM lanes
    WHERE plugin_id = ? AND state = 'ready' AND due <= ? AND NOT {holds.LANE}
    ORDER BY due, id LIMIT ?
"""  # noqa: S608 - our own condition
_OPEN = """
    SELECT d.id, d.callback_id, d.event_id, e.payload, d.attempts, d.crashes, d.recorded, d.outages, d.ordinal, d.state, d.due
    FROM deliveries AS d CROSS JOIN events AS e ON e.site_id = ? AND e.id = d.event_id
    WHERE d.lane_id = ? AND d.state < 4
    ORDER BY d.event_id, d.ordinal LIMIT ?
"""
_HAND_OUT = """
    UPDATE lanes SET state = 'running', owner = ?, run = ?,
        head_event = ?, head_ordinal = ?, tail_event = ?, tail_ordinal = ?, newest = ?
    WHERE id = ?
"""
_BEFORE = "SELECT d.id, d.state, d.callback_id FROM json_each(?) AS j CROSS JOIN deliveries AS d ON d.id = j.value"
_FINISH = """
    UPDATE deliveries
    SET state = ?, attempts = ?, crashes = ?, outages = ?, started = ?, finished = ?, due = ?, mark = coalesce(?, mark)
    WHERE id = ?
"""
_CALLED = """
    UPDATE callbacks SET
        called = max(coalesce(called, 0), :ended),
        failures = CASE WHEN :anew THEN :failures ELSE failures + :failures END,
        failing_since = CASE WHEN :anew THEN :since ELSE coalesce(failing_since, :since) END,
        last_failed = coalesce(:last, last_failed)
    WHERE id = :callback
"""
_TROUBLED = """
    UPDATE plugins SET troubled = ?, troubled_since = CASE WHEN dead + held > 0 THEN troubled_since ELSE ? END WHERE id = ?
"""
_FAIL = """
    INSERT INTO failures (delivery_id, attempt, state, started, ended, kind, text, traceback, locals)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(slots=True)
class _Calls:
    """Calls of one callback: when the last ended, and how many have failed in a row; ``anew``: since one that did well."""

    ended: float = 0.0
    failures: int = 0
    since: float | None = None
    last: int | None = None
    anew: bool = False

    def add(self, outcome: Outcome) -> None:
        self.ended = max(self.ended, outcome.ended)
        if outcome.failure is None and outcome.state is State.DONE:
            self.failures, self.since, self.anew = 0, None, True
        elif outcome.failure is not None and not outcome.outages and outcome.failure.kind != "Retry":
            self.failures += 1
            self.since = self.since or outcome.ended
            self.last = outcome.delivery_id

    def facts(self, callback_id: int) -> dict[str, float | None]:
        return {**asdict(self), "callback": callback_id}


class _Open(NamedTuple):
    """A row of _OPEN: an open delivery with its event."""

    id: int
    callback_id: int
    event_id: int
    payload: str
    attempts: int
    crashes: int
    recorded: float
    outages: int
    ordinal: int
    state: int
    due: float | None


def claim(
    tx: sqlite3.Connection, names: Names, free: Mapping[PluginKey, int], *, most: int, owner: str, now: float
) -> tuple[list[Run], float | None]:
    """Runs for the free slots, and when the next lane of these plugins comes due."""
    plugins = {
        plugin_id: key for key, slots in free.items() if slots > 0 and (plugin_id := names.known_plugin(tx, key)) is not None
    }
    for (plugin_id,) in tx.execute(holds.PLUGINS):
        plugins.pop(plugin_id, None)
    runs: list[tuple[float, Run]] = []
    later: list[float] = []
    turns = GlobalOrder(tx)
    for plugin_id, first, following in tx.execute(_DUE, {"plugins": json.dumps(list(plugins)), "now": now}).fetchall():
        if following is not None:
            later.append(following)
        if first is None or first > now:
            continue
        plugin = plugins[plugin_id]
        site_id = names.site(tx, plugin.site)
        for due, lane_id, key in tx.execute(_READY, (plugin_id, now, free[plugin])).fetchall():
            # A burst is one call, whatever its length; only its last event counts.
            rows = _consecutive(tx, site_id, lane_id, most * 10 if key.startswith(SETTLING) else most, now)
            if key == GLOBAL and rows:
                turn = turns.of(site_id, lane_id)
                if turn is None:
                    continue  # another plugin's; when its run has ended, there is a claim again
                rows = [row for row in rows if turn.reaches(row.event_id)]
                turns.taken(site_id)
            _retry(tx, plugin_id, rows)
            if not rows:  # can't be, unless somebody edited the file; fix the lane rather than come by here for ever
                resume(tx, [lane_id], now)
                continue
            deliveries = tuple(
                Delivery(row.id, names.callback_key(tx, row.callback_id), event_logs.real_id(row.event_id), *row[3:8])
                for row in rows
            )
            run = Run(reserve(tx, "run", 1), plugin, key, deliveries)
            head, tail = rows[0], rows[-1]
            extent = (head.event_id, head.ordinal, tail.event_id, tail.ordinal, max(row.id for row in rows))
            tx.execute(_HAND_OUT, (owner, run.id, *extent, lane_id))
            runs.append((due, run))
    runs.sort(key=lambda one: one[0])
    return [run for _, run in runs], min(later, default=None)


def settle(tx: sqlite3.Connection, names: Names, outcomes: Sequence[Outcome], ended: Sequence[int], now: float) -> None:
    """Keep the outcomes, and let the lanes of ended runs go on."""
    if outcomes:
        _finish(tx, names, outcomes)
    if ended:
        lanes = [lane_id for run in ended for (lane_id,) in tx.execute("SELECT id FROM lanes WHERE run = ?", (run,))]
        resume(tx, lanes, now)


def recover(tx: sqlite3.Connection, now: float) -> int:
    """Give back every lane that is handed out. Returns how many deliveries wait again.

    Lanes that are not due yet are looked at, too: if the clock was set back, they may have nothing to wait for.
    """
    count = count_running(tx)
    sql = "SELECT id FROM lanes WHERE run IS NOT NULL OR (state = 'ready' AND due > ?)"
    resume(tx, [lane_id for (lane_id,) in tx.execute(sql, (now,))], now)
    return count


def _consecutive(tx: sqlite3.Connection, site_id: int, lane_id: int, most: int, now: float) -> list[_Open]:
    """The first open deliveries of a lane, up to one that is not to be tried again yet (a late event may stand before it), and no
    more than a worker can be handed at once.
    """
    rows: list[_Open] = []
    letters = 0
    for row in tx.execute(_OPEN, (site_id, lane_id, most)):
        one = _Open(*row)
        letters += len(one.payload)
        if (one.state == State.RETRYING and (one.due or 0.0) > now) or (rows and letters > LONGEST_RUN):
            break
        rows.append(one)
    return rows


def _retry(tx: sqlite3.Connection, plugin_id: int, rows: Sequence[_Open]) -> None:
    """Those that are tried again wait like all others from here on, so that what is running follows from the lane alone."""
    again = [row for row in rows if row.due is not None]
    if again:
        tx.executemany("UPDATE deliveries SET state = 0, due = NULL WHERE id = ?", [(row.id,) for row in again])
        tally = StateCounters()
        for row in again:
            tally.move(plugin_id, row.state, State.WAITING)
        tally.write(tx)


def _finish(tx: sqlite3.Connection, names: Names, outcomes: Sequence[Outcome]) -> None:
    before = {
        delivery_id: (state, callback_id)
        for delivery_id, state, callback_id in tx.execute(_BEFORE, (json.dumps([outcome.delivery_id for outcome in outcomes]),))
    }
    tally = StateCounters()
    finished = []
    failed = []
    calls: dict[int, _Calls] = {}
    troubled: dict[int, tuple[int, float]] = {}
    for outcome in outcomes:
        known = before.get(outcome.delivery_id)
        if known is None:  # closed by a reload while it ran, and pruned since: there is nothing left to say it of
            continue
        state, callback_id = known
        if outcome.state is not State.SKIPPED:
            calls.setdefault(callback_id, _Calls()).add(outcome)
        if failure := outcome.failure:
            facts = (failure.kind, failure.text, failure.traceback, failure.locals)
            failed.append((outcome.delivery_id, outcome.attempts, int(outcome.state), outcome.started, outcome.ended, *facts))
        if state >= State.DONE > outcome.state:  # closed while it ran, since its callback is gone: then it is not opened again
            continue
        tally.move(names.plugin_of(tx, callback_id), state, outcome.state)
        before[outcome.delivery_id] = (outcome.state, callback_id)
        if outcome.state in (State.HELD, State.DEAD):
            troubled[names.plugin_of(tx, callback_id)] = (outcome.delivery_id, outcome.ended)
        times = (outcome.started, outcome.ended, outcome.due)
        finished.append(
            (
                int(outcome.state),
                outcome.attempts,
                outcome.crashes,
                outcome.outages,
                *times,
                outcome.mark or None,
                outcome.delivery_id,
            )
        )
    tx.executemany(_FINISH, finished)
    tx.executemany(_FAIL, failed)
    tx.executemany(_CALLED, [one.facts(callback_id) for callback_id, one in calls.items()])
    tx.executemany(_TROUBLED, [(*last, plugin_id) for plugin_id, last in troubled.items()])
    tally.write(tx)
