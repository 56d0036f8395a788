"""Why an event did, or did not, run in each callback. Pure: all that is known is an argument.

One Reason a callback: of its delivery, where there is one; else the first thing that kept the event from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from callsheet.domain.callback import Callback
from callsheet.domain.delivery import DeliveryRow
from callsheet.domain.event import Event
from callsheet.domain.plugin import PluginRecord, PluginState
from callsheet.domain.reading import ExpiredGap, Gap, SiteState
from callsheet.policy.routing import Refusal, refusal


class Why(StrEnum):
    """The sorts of reasons; what JSON output calls them."""

    DONE = "done"
    RUNNING = "running"
    WAITING = "waiting"
    RETRYING = "retrying"
    HELD = "held"
    DEAD = "dead"
    SKIPPED = "skipped"
    NOT_ASKED = "not asked for"
    OWN = "own write"
    OWN_SCRIPT = "own script"
    BROKEN = "broken"
    LOADING = "loading"
    GONE = "gone"
    BEHIND = "behind"
    BEGAN_LATER = "began later"
    FILTER_CHANGED = "filter changed"
    PRUNED = "pruned"
    NOT_READ = "not read yet"
    MISSING = "missing"
    EXPIRED = "expired"
    NEVER_READ = "never read"
    NOT_SHOWN = "not shown"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reason:
    """``plugin`` and ``callback`` are empty for what holds for all. What belongs to ``why`` is set, the rest None or empty.

    ``row``: the delivery. ``ahead``: the delivery of its lane that comes first; None: it is this one. ``refused``: the part of the
    filter that says no. ``at``: since when, an epoch time. ``seconds``: for how much longer it is waited. ``position``: the last
    event id that the plugin, or the site, has come to. ``detail``: a plugin's problem, or a remark. ``lag``: seconds from the event
    to the start of its last try.
    """

    why: Why
    plugin: str = ""
    callback: str = ""
    row: DeliveryRow | None = None
    ahead: DeliveryRow | None = None
    refused: Refusal | None = None
    at: float | None = None
    seconds: float | None = None
    position: int | None = None
    detail: str = ""
    lag: float | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of an event. ``event``: None where neither the ledger nor the site has it.

    ``asked_site``: the site was asked for it. ``cause``: the delivery that wrote what the event tells. ``caused``: for deliveries
    of the event by their id, the ids of events that they caused.

    ``ahead``: for each open delivery of the event by its id, the one that its lane stands at.
    """

    event_id: int
    event: Event | None
    site: SiteState
    plugins: Sequence[PluginRecord]
    rows: Sequence[DeliveryRow] = ()
    ahead: Mapping[int, DeliveryRow] = field(default_factory=dict)
    asked_site: bool = False
    cause: DeliveryRow | None = None
    caused: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


def explain(known: Known) -> list[Reason]:
    """A reason for every callback, in the plugins' order; one for all where the event itself is not there."""
    rows = {(row.plugin, row.callback): row for row in known.rows}
    if known.event is None and not rows:
        return [_absent(known)]
    found = [_of_row(known, row) for row in rows.values() if not _is_registered(known.plugins, row)]
    for plugin in known.plugins:
        if not plugin.callbacks:
            found.append(_without_callbacks(known, plugin))
        for callback in plugin.callbacks:
            row = rows.get((plugin.key.name, callback.key.name))
            found.append(_of_row(known, row) if row is not None else _of_callback(known, plugin, callback))
    return found


def _is_registered(plugins: Iterable[PluginRecord], row: DeliveryRow) -> bool:
    return any(
        plugin.key.name == row.plugin and callback.key.name == row.callback for plugin in plugins for callback in plugin.callbacks
    )


def _of_row(known: Known, row: DeliveryRow) -> Reason:
    ahead = known.ahead.get(row.id)
    return Reason(
        Why(row.state.word),
        row.plugin,
        row.callback,
        row=row,
        ahead=ahead if ahead is not None and ahead.id != row.id else None,
        lag=_lag(known.event, row),
    )


def _lag(event: Event | None, row: DeliveryRow) -> float | None:
    """Seconds from the event to the start of its last try; None where one of the times is not known."""
    if event is None or event.made_at is None or row.started_at is None:
        return None
    return row.started_at - event.made_at


def _absent(known: Known) -> Reason:
    """Why nobody has the event."""
    site = known.site
    if site.cursor is None:
        return Reason(Why.NEVER_READ)
    gap = _gap(site.gaps, known.event_id)
    if gap is not None:
        return Reason(Why.MISSING, seconds=max(gap.until - site.clock, 0.0))
    if known.event_id > site.cursor:
        return Reason(Why.NOT_READ, position=site.cursor)
    expired = _expired(known)
    if expired is not None:
        return Reason(Why.EXPIRED, at=expired.at)
    return Reason(Why.NOT_SHOWN if known.asked_site else Why.UNKNOWN)


def _without_callbacks(known: Known, plugin: PluginRecord) -> Reason:
    """A plugin that has not been described: it gets the event once it is, if it stands in front of it."""
    early = _before_its_time(known, plugin)
    if early is not None:
        return early
    position = known.site.cursor if plugin.position is None else plugin.position
    return Reason(_NOT_READY.get(plugin.state, Why.UNKNOWN), plugin.key.name, position=position, detail=plugin.problem)


def _before_its_time(known: Known, plugin: PluginRecord, callback: str = "") -> Reason | None:
    if plugin.began_after is not None and known.event_id <= plugin.began_after:
        return Reason(Why.BEGAN_LATER, plugin.key.name, callback, position=plugin.began_after)
    return None


def _of_callback(known: Known, plugin: PluginRecord, callback: Callback) -> Reason:
    """Why there is no delivery."""
    name = plugin.key.name
    assert known.event is not None or known.rows
    early = _before_its_time(known, plugin, callback.key.name)
    if early is not None:
        return early
    event = known.event
    if event is None:
        return Reason(Why.UNKNOWN, name, callback.key.name)
    scripts = {one.script for one in plugin.callbacks}
    now = refusal(callback, event, scripts)
    changed = next((one for one in plugin.earlier if known.event_id <= one.until_event), None)
    if changed is not None:
        then = next((one for one in changed.callbacks if one.key.name == callback.key.name), None)
        refused = None if then is None else refusal(then, event, {one.script for one in changed.callbacks})
        if now is None and (then is None or refused is not None):
            detail = "" if then is not None else "it was not registered then"
            return Reason(Why.FILTER_CHANGED, name, callback.key.name, at=changed.at, refused=refused, detail=detail)
        now = refused if then is not None else now
    if now is not None:
        return Reason(_WHY.get(now.part, Why.NOT_ASKED), name, callback.key.name, refused=now)
    return _of_wanted(known, plugin, callback)


_WHY = {"own": Why.OWN, "script": Why.OWN_SCRIPT}
_NOT_READY = {PluginState.BROKEN: Why.BROKEN, PluginState.LOADING: Why.LOADING, PluginState.GONE: Why.GONE}


def _of_wanted(known: Known, plugin: PluginRecord, callback: Callback) -> Reason:
    """It wants the event, and has no delivery: the event has not come to it, or is forgotten, or never showed in time."""
    name, site = plugin.key.name, known.site
    gap = _gap(site.gaps, known.event_id, name)
    if gap is not None:
        return Reason(Why.MISSING, name, callback.key.name, seconds=max(gap.until - site.clock, 0.0))
    position = site.cursor if plugin.position is None else plugin.position
    if position is None:
        return Reason(Why.NEVER_READ, name, callback.key.name)
    if known.event_id > position:
        why = Why.NOT_READ if plugin.position is None else _NOT_READY.get(plugin.state, Why.BEHIND)
        return Reason(why, name, callback.key.name, position=position, detail=plugin.problem)
    expired = _expired(known)
    if site.pruned_to is not None and known.event_id <= site.pruned_to:
        return Reason(Why.PRUNED, name, callback.key.name, position=site.pruned_to)
    return Reason(Why.UNKNOWN if expired is None else Why.EXPIRED, name, callback.key.name, at=expired and expired.at)


def _gap(gaps: Iterable[Gap], event_id: int, plugin: str | None = None) -> Gap | None:
    return next((one for one in gaps if one.first <= event_id <= one.last and one.plugin in {None, plugin}), None)


def _expired(known: Known) -> ExpiredGap | None:
    return next((one for one in known.site.expired if one.first <= known.event_id <= one.last), None)
