"""Why an event did, or did not, run: what is known of it, gathered, and each reason in words and as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from callsheet.domain.delivery import DeliveryQuery, DeliveryRow, State
from callsheet.domain.event import Event
from callsheet.domain.reading import SiteState
from callsheet.policy.explanation import Known, Reason, Why
from callsheet.policy.loop_protection import read
from callsheet.policy.routing import Refusal
from callsheet.ports import EventLog, Ledger
from callsheet.report.formatting import count, duration, first_line, gist, iso, local
from callsheet.report.trouble import command
from callsheet.wire.texts import cut_short

_LONGEST_VALUE = 60
NEAR = 20_000
"""Ids within which cause and effect are looked for: what a call writes is in the log seconds later."""
_OPEN = (State.WAITING, State.RUNNING, State.RETRYING, State.HELD)


def gather(ledger: Ledger, site: str, event_id: int, log: EventLog | None) -> Known:
    """What the ledger knows of the event; ``log`` is asked for it where the ledger has not kept it (None: nobody is asked).

    Raises SiteError where the site does not answer.
    """
    rows = [row for row in ledger.deliveries(DeliveryQuery(site=site, event_id=event_id, limit=10_000)) if row.site == site]
    event = next((found for row in rows if (found := event_of(row)) is not None), None)
    if event is not None:  # an older one of that id, of the event log that the site had before, is another event
        rows = [row for row in rows if row.payload == event.payload]
    asked = event is None and log is not None
    if event is None and log is not None:
        event = next((one for one in log.read(event_id - 1, 1, until=event_id).events if one.id == event_id), None)
    ahead: dict[int, DeliveryRow] = {}
    for row in rows:
        if row.state in _OPEN:
            query = DeliveryQuery(site=site, plugin=row.plugin, lane=row.lane, states=_OPEN, limit=1, in_order=True)
            ahead[row.id] = next(iter(ledger.deliveries(query)), row)
    return Known(
        event_id,
        event,
        ledger.site(site, expired=True),
        ledger.plugins(site),
        rows,
        ahead,
        asked_site=asked,
        cause=None if event is None else _cause(ledger, event),
        caused={row.id: _caused(ledger, row) for row in rows if row.mark},
    )


def _cause(ledger: Ledger, event: Event) -> DeliveryRow | None:
    """The delivery whose call wrote what the event tells: its mark is the event's session uuid."""
    mark = event.data.get("session_uuid")
    if read(mark) is None:
        return None
    query = DeliveryQuery(site=event.site, events=(max(event.id - NEAR, 0), event.id), mark=mark, limit=1)
    return next(iter(ledger.deliveries(query)), None)


def _caused(ledger: Ledger, row: DeliveryRow) -> tuple[int, ...]:
    """The events that its last call caused, of those that the ledger has kept."""
    query = DeliveryQuery(site=row.site, events=(row.event_id, row.event_id + NEAR), session_uuid=row.mark, limit=1000)
    return tuple(sorted({one.event_id for one in ledger.deliveries(query) if one.event_id != row.event_id}))


def event_of(row: DeliveryRow) -> Event | None:
    """The event of a delivery; None where the ledger has it no more, or it can't be read."""
    try:
        return Event(row.site, json.loads(row.payload), row.payload)
    except (ValueError, RecursionError):
        return None


def in_words(reason: Reason, known: Known, config: str, now: float | None = None) -> str:
    """The reason in sentences, with what to do where something is to be done."""
    now = time.time() if now is None else now
    if reason.row is not None:
        caused = known.caused.get(reason.row.id)
        said = f" It caused {'event' if len(caused) == 1 else 'events'} {', '.join(map(str, caused))}." if caused else ""
        return _of_row(reason, reason.row, known.site, config, now) + said
    return _TEXTS[reason.why](reason, known, config)


def facts(reason: Reason, known: Known, config: str, now: float) -> dict[str, Any]:
    """The reason as JSON has it."""
    return {
        "plugin": reason.plugin or None,
        "callback": reason.callback or None,
        "why": reason.why.value,
        "text": in_words(reason, known, config, now),
        "delivery_id": reason.row and reason.row.id,
        "behind_delivery_id": reason.ahead and reason.ahead.id,
        "filter": None if reason.refused is None else reason.refused._asdict(),
        "caused_event_ids": list(known.caused.get(reason.row.id, ())) if reason.row else [],
        "at": iso(reason.at),
        "lag": reason.lag,
    }


def what_happened(event: Event) -> str:
    """The event in a line: its type, the entity by name, what changed, by whom, when."""
    data, meta = event.data, event.meta
    link = data.get("entity")
    entity = ""
    if isinstance(link, dict):
        entity = f"{link.get('type')} {link.get('name') or link.get('id')} (id {link.get('id')})"
    if not entity and event.entity is not None:
        entity = " ".join(str(one) for one in event.entity if one is not None) + " (retired, or not visible)"
    change = ""
    if data.get("attribute_name"):
        change = str(data["attribute_name"])
        if "new_value" in meta:
            change += f": {_short(meta.get('old_value'))} -> {_short(meta.get('new_value'))}"
    user, project = data.get("user"), data.get("project")
    parts = [event.type, entity, change]
    parts += [f"by {user.get('name') or user.get('id')}"] if isinstance(user, dict) else []
    parts += [f"in {project.get('name') or project.get('id')}"] if isinstance(project, dict) else []
    return ", ".join(part for part in [*parts, f"at {data.get('created_at')}"] if part)


def _short(value: Any) -> str:
    text = value.get("name") if isinstance(value, dict) and value.get("name") else json.dumps(value, ensure_ascii=False)
    return cut_short(str(text), _LONGEST_VALUE)


def _of_row(reason: Reason, row: DeliveryRow, site: SiteState, config: str, now: float) -> str:
    failed = _failed(row)
    show = f"`{command('deliveries', config, str(row.id))}` shows more."
    match row.state:
        case State.DONE:
            took = f", took {duration(row.finished_at - row.started_at)}" if row.started_at and row.finished_at else ""
            lag = f", {duration(reason.lag)} after the event" if reason.lag is not None and reason.lag >= 0 else ""
            text = f"done at attempt {max(row.attempts, 1)}{took}{lag}."
        case State.RUNNING:
            text = f"running now, in its lane {row.lane}. {show}"
        case State.RETRYING:
            when = f"in {duration(max(row.due - now, 0))}" if row.due is not None else "soon"
            text = f"retrying: tried again {when}, after {count(row.attempts, 'failed attempt')}. {failed}. {show}"
        case State.HELD:
            text = f"held: {failed}. Its lane stands still until the plugin's file changes. {show}"
        case State.DEAD:
            again = f"`{command('retry', config, str(row.id))}` tries it again."
            text = f"dead after {count(row.attempts, 'attempt')}: {failed}. {again} {show}"
        case State.SKIPPED:
            text = f"skipped: {failed or 'an operator, or a reload that removed the callback, passed it over'}."
        case _:
            text = f"waiting for {duration(now - row.recorded_at)} {_for_what(reason, row, site)}. {show}"
    return text


def _failed(row: DeliveryRow) -> str:
    """Why it failed last, in the middle of a sentence."""
    return f"{row.failure.kind}: {first_line(row.failure.text).rstrip('.')}" if row.failure else ""


def _for_what(reason: Reason, row: DeliveryRow, site: SiteState) -> str:
    held = site.holds.get(row.plugin, frozenset())
    if None in held or row.lane in held:
        return f"since an operator holds {'the plugin' if None in held else 'its lane'}"
    first = reason.ahead
    if first is None:
        return "for its turn: it comes next in its lane"
    text = f" ({_failed(first)})" if first.failure and first.state != State.RUNNING else ""
    return f"behind delivery {first.id} of event {first.event_id} in its lane {row.lane}, which is {first.state.word}{text}"


def _not_asked(reason: Reason, _known: Known, _config: str) -> str:
    assert reason.refused is not None
    return f"not asked for: asks for {_asked(reason.refused)}, this is {reason.refused.found}."


def _asked(refused: Refusal) -> str:
    return f"{'event type' if refused.part == 'type' else refused.part} {refused.asked}"


def _changed(reason: Reason, known: Known, config: str) -> str:
    then = reason.detail or (f"it asked for {_asked(reason.refused)} then" if reason.refused else "")
    return f"its filter has changed since, at {local(reason.at)}: {then}. {_replay(reason, known, config)}"


def _replay(reason: Reason, known: Known, config: str) -> str:
    return f"`{command('replay', config, f'{known.event_id} --plugin {reason.plugin}')}` delivers it now."


def _stands(reason: Reason, known: Known, _config: str) -> str:
    problem = f": {gist(reason.detail)}" if reason.detail else ""
    states = {Why.BROKEN: f"is broken{problem}", Why.LOADING: "is loading", Why.GONE: "is gone, its file is away"}
    state = states.get(reason.why, "stands behind the others")
    if reason.position is not None and reason.position >= known.event_id:
        return f"the plugin {state}; it had passed this event."
    return f"the plugin {state}; it stands at event {reason.position}, and gets this one when it goes on."


def _expired(reason: Reason, known: Known, config: str) -> str:
    again = f" {_replay(reason, known, config)}" if known.event is not None and reason.plugin else ""
    return f"the id did not show while it was waited for, until {local(reason.at)}.{again}"


def _unknown(reason: Reason, known: Known, config: str) -> str:
    if not reason.plugin:
        return "the ledger knows nothing of it, and the site was not asked."
    return f"nothing on record says why it was not delivered. {_replay(reason, known, config)}"


_TEXTS: Mapping[Why, Callable[[Reason, Known, str], str]] = {
    Why.NOT_ASKED: _not_asked,
    Why.OWN: lambda *_: "its own write: left out, since the plugin caused the event (ignore_own).",
    Why.OWN_SCRIPT: lambda one, *_: f"left out, since script {one.refused and one.refused.found} caused it (ignore_own).",
    Why.BROKEN: _stands,
    Why.LOADING: _stands,
    Why.GONE: _stands,
    Why.BEHIND: _stands,
    Why.BEGAN_LATER: lambda one, *of: f"the plugin began behind it, after event {one.position}. {_replay(one, *of)}",
    Why.FILTER_CHANGED: _changed,
    Why.PRUNED: lambda one, *_: f"forgotten: history up to event {one.position} was pruned; `history` says how long it is kept.",
    Why.NOT_READ: lambda one, *_: f"not read yet: the site has been read up to event {one.position}.",
    Why.MISSING: lambda one, *_: f"the id has not shown yet, and is waited for {duration(one.seconds or 0)} more.",
    Why.EXPIRED: _expired,
    Why.NEVER_READ: lambda *_: "the site has never been read.",
    Why.NOT_SHOWN: lambda *_: "the site does not show it to this script: there is no such event, or the script may not see it.",
    Why.UNKNOWN: _unknown,
}
