"""What ``--json`` prints: stable keys, ISO times in UTC, documented in ``docs/reference/json.md``. Pure, but for ``print_json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from callsheet.domain.callback import Callback
from callsheet.domain.delivery import DeliveryRow, Failure, State
from callsheet.domain.operation import OperationRow
from callsheet.domain.overview import Overview, ServiceHealth, SiteHealth, WorkerRow
from callsheet.domain.plugin import PluginRecord
from callsheet.domain.reading import Gap, Replay, SiteState
from callsheet.report.daemon_troubles import daemon_state, is_running
from callsheet.report.formatting import iso, standing
from callsheet.report.trouble import Trouble
from callsheet.report.worker_troubles import remarks
from callsheet.wire.texts import STEERING

Facts = dict[str, Any]


def print_json(facts: Facts | list[Facts]) -> None:
    """Indented JSON on stdout, non-ASCII as it is where stdout takes it."""
    takes_all = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    text = json.dumps(facts, indent=2, ensure_ascii=not takes_all)
    click.echo(STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def overview(shown: Overview, troubles: list[Trouble], now: float) -> Facts:
    """The whole of ``status``."""
    health = {one.site: one for one in shown.health}
    return {
        "at": iso(now),
        "well": not troubles,
        "trouble": [trouble(one) for one in troubles],
        "remarks": remarks(shown, now) if is_running(shown, now) else [],
        "daemon": daemon(shown, now),
        "sites": [site(one, health.get(one.site)) for one in shown.sites],
        "plugins": [plugin(one, cursor_of(shown, one)) for one in shown.plugins],
        "workers": [worker(one) for one in shown.workers] if is_running(shown, now) else [],
        "deliveries": {state.word: shown.states.get(state, 0) for state in State},
        "oldest_waiting_since": iso(shown.oldest_waiting),
        "replays": [replay(one) for one in shown.replays],
    }


def cursor_of(shown: Overview, record: PluginRecord) -> int | None:
    """The cursor of a plugin's site."""
    return next((one.cursor for one in shown.sites if one.site == record.key.site), None)


def trouble(one: Trouble) -> Facts:
    """What is not well, and what to do next."""
    return {"key": one.key, "since": iso(one.since), "what": one.what, "next": one.cure}


def daemon(shown: Overview, now: float) -> Facts:
    """The daemon by its lock and its last sign of life; of one that never ran, all but ``running`` and ``state`` is empty."""
    heartbeat = shown.heartbeat
    now_is = {"running": is_running(shown, now), "state": daemon_state(shown, now).value}
    if heartbeat is None:
        return now_is | dict.fromkeys(("pid", "started_at", "heartbeat_at", "stopped_at", "version", "config")) | {"services": []}
    return now_is | {
        "pid": heartbeat.pid,
        "started_at": iso(heartbeat.started_at),
        "heartbeat_at": iso(heartbeat.at),
        "stopped_at": iso(heartbeat.stopped_at),
        "version": heartbeat.version,
        "config": heartbeat.config,
        "services": [service(one) for one in heartbeat.services],
    }


def service(one: ServiceHealth) -> Facts:
    """A service of the daemon: when its last step ended, since when one goes on, and why it fails."""
    return {
        "service": one.name,
        "stepped_at": iso(one.stepped_at),
        "busy_since": iso(one.busy_since),
        "limit": one.limit,
        "error": one.error,
        "error_since": iso(one.error_since),
    }


def site(state: SiteState, health: SiteHealth | None) -> Facts:
    """A site: whether it answers, and how far it has been read. ``behind`` counts ids, some of which may never have been events."""
    shown = health.newest if health else None
    # A newest id may be some time old, unless the log is another one.
    newest = shown if health and health.problem else max((one for one in (state.cursor, shown) if one is not None), default=None)
    return {
        "site": state.site,
        "url": health.url if health else None,
        "answers": None if health is None else health.error is None and health.answered_at is not None,
        "answered_at": iso(health.answered_at) if health else None,
        "error": health.error if health else None,
        "error_since": iso(health.error_since) if health else None,
        "problem": health.problem if health else None,
        "cursor": state.cursor,
        "newest": newest,
        "behind": None if newest is None or state.cursor is None else max(newest - state.cursor, 0),
        "gaps": [gap(one, state.clock) for one in state.gaps],
    }


def gap(waited_for: Gap, clock: float) -> Facts:
    """A gap and for how many more seconds (of time in which the site answers) it is waited for."""
    return {
        "first": waited_for.first,
        "last": waited_for.last,
        "plugin": waited_for.plugin,
        "seconds_left": round(max(waited_for.until - clock, 0), 1),
    }


def plugin(record: PluginRecord, cursor: int | None) -> Facts:
    """A plugin with its callbacks. ``position`` is the last id routed to it, its own or the cursor that it shares."""
    return {
        "site": record.key.site,
        "plugin": record.key.name,
        "path": record.path,
        "order": record.ordinal,
        "state": record.state.value,
        "standing": standing(record, cursor),
        "position": cursor if record.position is None else record.position,
        "waiting": record.waiting,
        "held": record.held,
        "own": record.own,
        "holds": [{"lane": one.lane, "since": iso(one.since), "who": one.who, "why": one.why} for one in record.holds],
        "problem": record.problem or None,
        "callbacks": [callback(one, record.called.get(one.key.name)) for one in record.callbacks],
        "updated_at": iso(record.updated_at),
    }


def worker(row: WorkerRow) -> Facts:
    """A worker; ``retry_at`` where it is not running and will be started again."""
    return {
        "site": row.site,
        "plugins": list(row.plugins),
        "project": row.project,
        "pid": row.pid,
        "state": row.state,
        "since": iso(row.since),
        "memory": row.memory,
        "calls": row.calls,
        "restarts": row.restarts,
        "problem": row.problem or None,
        "retry_at": iso(row.retry_at),
        "call": row.call or None,
        "called_at": iso(row.called_at),
        "toolkit": row.toolkit and asdict(row.toolkit),
    }


def replay(one: Replay) -> Facts:
    """A replay and how far it is."""
    return {
        "id": one.id,
        "site": one.plugin.site,
        "plugin": one.plugin.name,
        "callback": one.callback,
        "ranges": [list(pair) for pair in one.ranges],
        "position": one.position,
        "events": one.events,
        "deliveries": one.deliveries,
        "who": one.who,
        "why": one.why,
        "since": iso(one.since),
        "ended_at": iso(one.ended_at),
    }


def operation(row: OperationRow) -> Facts:
    """An operator's command, as recorded."""
    return {
        "id": row.id,
        "at": iso(row.at),
        "verb": row.verb.value,
        "asked": row.asked,
        "changed": row.changed,
        "who": row.who,
        "why": row.why,
    }


def callback(described: Callback, called: float | None = None) -> Facts:
    """A callback: its filter as event type → rule, its lane key, and what holds for its attempts."""
    return {
        "callback": described.key.name,
        "called_at": iso(called),
        "filter": {
            event_type: {"rule": rule.rule.value, "values": sorted(rule.values), "text": rule.text}
            for event_type, rule in described.filter.items()
        },
        "only": {what: links.plain() for what, links in described.only.items()},
        "ignore_own": described.ignore_own,
        "lane": described.lane,
        "batch": described.batch,
        "settle": described.settle,
        "attempts": described.retry.attempts,
        "on_dead": described.on_dead,
        "timeout": described.timeout,
        "legacy": described.legacy,
    }


def delivery(row: DeliveryRow) -> Facts:
    """A delivery; ``failure`` is that of its last failed attempt, ``history`` has all of them where that was asked for."""
    failure = row.failure
    return {
        "id": row.id,
        "site": row.site,
        "plugin": row.plugin,
        "callback": row.callback,
        "event_id": row.event_id,
        "event_type": row.event_type,
        "lane": row.lane,
        "state": row.state.word,
        "attempts": row.attempts,
        "recorded_at": iso(row.recorded_at),
        "started_at": iso(row.started_at),
        "finished_at": iso(row.finished_at),
        "due": iso(row.due),
        "failure": failure and _failure(failure),
        "history": [
            {
                "attempt": one.number,
                "started_at": iso(one.started),
                "ended_at": iso(one.ended),
                "state": one.state.word,
                "failure": _failure(one.failure),
            }
            for one in row.history
        ],
    }


def failures(plugin: str, kind: str, text: str, rows: Sequence[DeliveryRow]) -> Facts:
    """Deliveries of a plugin that failed for the same reason."""
    return {"plugin": plugin, "kind": kind, "text": text, "count": len(rows), "deliveries": [row.id for row in rows[:20]]}


def _failure(failure: Failure) -> Facts:
    return {"kind": failure.kind, "text": failure.text, "traceback": failure.traceback, "locals": failure.locals}
