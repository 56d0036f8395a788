"""An Overview as lines of text: what ``status`` shows to people. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click

from callsheet.cli.tables import table, wrapped
from callsheet.domain.delivery import State
from callsheet.domain.overview import Overview, SiteHealth
from callsheet.domain.plugin import PluginRecord
from callsheet.report import json_output
from callsheet.report.daemon_troubles import DaemonState, daemon_state, is_running
from callsheet.report.formatting import ago, count, duration, gaps, gist, local, standing
from callsheet.report.trouble import Trouble, command
from callsheet.report.worker_troubles import remarks

LABEL = 12
"""Columns of the labels at the left."""

LATELY = 3600.0
"""Seconds for which a replay that has ended is still told."""


def lines(shown: Overview, found: Sequence[Trouble], now: float, config: str = "") -> list[str]:
    """All of ``status``: daemon, sites, plugins, deliveries, replays, what is held on purpose, each trouble with its cure."""
    return [
        *[_daemon(shown, now), "", *_sites(shown, now), "", *_plugins(shown), "", *_deliveries(shown, now)],
        *_replays(shown, now),
        *on_purpose(shown, config, now),
        *_remarked(shown, now),
        "",
        *_told(found),
    ]


def on_purpose(shown: Overview, config: str, now: float) -> list[str]:
    """What operators hold: by whom, since when, why, and the command that ends it. No trouble: somebody wants it so."""
    held = [(plugin, hold) for plugin in shown.plugins for hold in plugin.holds if not hold.undecided]
    if not held:
        return []
    told = ["", click.style("On purpose:", bold=True)]
    for plugin, hold in held:
        name = str(plugin.key) if len(shown.sites) > 1 else plugin.key.name
        which = f"Plugin {name}" if hold.lane is None else f"Lane {hold.lane} of plugin {name}"
        why = f", because: {hold.why}" if hold.why else ""
        lane = "" if hold.lane is None else f" --lane {shlex.quote(hold.lane)}"
        told += wrapped(f"{which} is held by {hold.who} since {local(hold.since)} ({ago(hold.since, now)}){why}.", "  ")
        told += wrapped(f"`{command('release', config, name + lane)}` lets it go on.", "    ")
    return told


def _remarked(shown: Overview, now: float) -> list[str]:
    """What may become a trouble."""
    found = remarks(shown, now) if is_running(shown, now) else []
    return ["", click.style("Remarks:", bold=True), *(line for one in found for line in wrapped(one, "  "))] if found else []


def _replays(shown: Overview, now: float) -> list[str]:
    """Those that go on, and those that ended lately."""
    told = []
    for one in shown.replays:
        last = one.ranges[-1][1]
        events = f"events {one.ranges[0][0]} to {last}" if one.ranges[0][0] != last else f"event {last}"
        made = f"{count(one.deliveries, 'delivery')} of {count(one.events, 'event')}"
        if one.ended_at is None:
            text = f"{one.id} reads {events} again for {one.plugin.name}, asked for by {one.who}: at {one.position}, {made}"
        elif now - one.ended_at < LATELY:
            text = f"{one.id} of {events} for {one.plugin.name} has ended {ago(one.ended_at, now)}: {made}"
        else:
            continue
        told.append(_labelled("replay", text))
    return ["", *told] if told else []


def _labelled(label: str, text: str) -> str:
    return f"{label:<{LABEL}}{text}"


def _daemon(shown: Overview, now: float) -> str:
    beat, state = shown.heartbeat, daemon_state(shown, now)
    if state is DaemonState.STARTING:
        return _labelled("daemon", "is just starting")
    if beat is None:
        return _labelled("daemon", "has never run" if state is DaemonState.NEVER else "hangs at its start")
    if state is DaemonState.STOPPED:
        return _labelled("daemon", f"stopped {ago(beat.stopped_at, now)}")
    if state is DaemonState.HANGING:
        return _labelled("daemon", f"hangs; last sign of life {ago(beat.at, now)}")
    if state is not DaemonState.RUNNING:
        return _labelled("daemon", f"not running; last sign of life {ago(beat.at, now)}")
    return _labelled("daemon", f"running for {duration(now - beat.started_at)}, process {beat.pid}, version {beat.version}")


def _sites(shown: Overview, now: float) -> list[str]:
    health = {one.site: one for one in shown.health}
    asking = is_running(shown, now)
    rows = []
    for state in shown.sites:
        known = json_output.site(state, health.get(state.site))
        rows.append(
            [
                state.site,
                _answers(health.get(state.site), now, asking=asking),
                known["cursor"],
                known["newest"],
                known["behind"],
                gaps(state.gaps),
            ]
        )
    if not rows:
        return [_labelled("sites", "none read yet")]
    return table(["SITE", "ANSWERS", "READ TO", "NEWEST", "BEHIND", "WAITING FOR IDS"], [_dashed(row) for row in rows])


def _answers(health: SiteHealth | None, now: float, *, asking: bool) -> str:
    if health is None or (health.error is None and health.answered_at is None):
        return "not asked yet"
    if not asking:
        return f"{'yes' if health.error is None else 'no'}, when last asked"
    if health.error is None:
        return f"yes, {ago(health.answered_at, now)}"
    return "no" if health.error_since is None else f"no, for {duration(now - health.error_since)}"


def _plugins(shown: Overview) -> list[str]:
    if not shown.plugins:
        return [_labelled("plugins", "none found yet")]
    several = len(shown.sites) > 1
    rows = [_plugin(one, json_output.cursor_of(shown, one), several=several) for one in shown.plugins]
    return table(["PLUGIN", "STATE", "READ TO", "WAITING", "HELD", "PROBLEM"], [_dashed(row) for row in rows])


def _plugin(record: PluginRecord, cursor: int | None, *, several: bool) -> list[object]:
    name = str(record.key) if several else record.key.name
    position = cursor if record.position is None else record.position
    return [name, standing(record, cursor), position, record.waiting, record.held, gist(record.problem)]


def _deliveries(shown: Overview, now: float) -> list[str]:
    counted = ", ".join(f"{shown.states.get(state, 0):,} {state.word}" for state in State)
    if shown.oldest_waiting is None:
        return [_labelled("deliveries", counted)]
    return [
        _labelled("deliveries", counted),
        _labelled("", f"the oldest of those still to come has waited {duration(now - shown.oldest_waiting)}"),
    ]


def _told(found: Sequence[Trouble]) -> list[str]:
    if not found:
        return [click.style("All is well.", fg="green")]
    told = [click.style("Trouble:", fg="red", bold=True)]
    for one in found:
        told += [*wrapped(one.what, "  "), *wrapped(one.cure, "    ")]
    return told


def _dashed(row: Sequence[object]) -> list[object]:
    return ["-" if cell is None or cell == "" else cell for cell in row]
