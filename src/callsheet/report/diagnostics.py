"""What is not well, judged from an overview: each trouble with what to do next. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from callsheet.domain.callback import PluginKey
from callsheet.domain.overview import (
    FailingCallback,
    FailureSummary,
    Heartbeat,
    Overview,
    SiteHealth,
    UnansweredCalls,
    WaitingSince,
)
from callsheet.domain.plugin import PluginRecord, PluginState
from callsheet.domain.reading import SiteState
from callsheet.report.daemon_troubles import of_condition, of_daemon, of_disk, of_services
from callsheet.report.formatting import count, duration, first_line, gist, registers_nothing
from callsheet.report.trouble import Trouble, command
from callsheet.report.worker_troubles import of_worker, patience
from callsheet.wire.frames import SITE_FAILED

_OF_TOOLKIT = ("ToolkitError:", "ToolkitUnavailable:")
"""How a failure begins that is no mistake of the plugin's: its project's Toolkit can't be had."""

LATE = 600.0
"""Seconds after which a delivery that could run should have run."""


def troubles(shown: Overview, config: str, now: float, *, running: bool = True) -> list[Trouble]:
    """All that is not well, the worst first.

    ``config``: the CONFIG of the commands that the cures name, as it is to be typed. ``running``: whether a daemon ought to run.
    """
    daemon = list(of_daemon(shown, config, now)) if running else []
    # What a daemon that is away last heard of its sites and workers says nothing of now.
    health, workers, beat = ((), (), None) if daemon else (shown.health, shown.workers, shown.heartbeat)
    configured = {one.site for one in health}
    late = shown.late if running and beat else ()
    silent = {one.site for one in health if one.error is not None}
    broken = {(one.key.site, one.key.name) for one in shown.plugins if _is_unloaded(one)}
    last = {one.key: gist(one.last) for one in shown.failing}
    loads_at = {(one.site, name): one.retry_at for one in workers if one.pid is None for name in one.plugins}
    return [
        *daemon,
        *(trouble for one in shown.disks for trouble in of_disk(one)),
        *(of_services(beat, config, now) if running and beat else ()),
        *(trouble for one in health for trouble in _of_site(one, beat if running else None, config, now)),
        *(of_condition(one, config) for one in (beat.conditions if beat else ())),
        *(trouble for one in shown.sites if health and one.site not in configured for trouble in _of_dropped_site(one, config)),
        *(_of_unanswered(one, _plugin(one.key, shown), config) for one in shown.unanswered if one.key.site not in silent),
        *(trouble for one in workers for trouble in of_worker(one, patience(one, shown), config, now, broken)),
        *(trouble for one in shown.plugins for trouble in _of_load(one, _name(one, shown), loads_at, now)),
        *(_of_gone(one, _name(one, shown), config) for one in shown.plugins if _is_missed(one, running=running)),
        *(trouble for one in shown.plugins for trouble in _of_plugin(one, _name(one, shown), config, last.get(one.key, ""))),
        *(_of_always(one, _plugin(one.key.plugin, shown), config) for one in shown.always_failing if _is_called(one, shown)),
        *(_of_late(one, _plugin(one.key, shown), config, now) for one in late if now - one.since > LATE),
        *(trouble for one in shown.failing for trouble in _of_dead(one, _plugin(one.key, shown), config)),
    ]


def _of_site(health: SiteHealth, beat: Heartbeat | None, config: str, now: float) -> Iterator[Trouble]:
    if health.problem is not None:
        reset = command("reset-cursor", config, f"--site {health.site}")
        yield Trouble(
            f"Site {health.site} ({health.url}) does not show the event log that was read before: {health.problem}. Nothing "
            "is read from it, and none of its deliveries is run.",
            f"Nothing is skipped until you say how to go on. Was it restored, or is it another site: `{reset} --to-newest` goes on "
            f"behind its newest event, `{reset} --from ID` at that one. Has only its address changed: `{reset} --same-log`. Is the "
            "address wrong: correct it.",
            "site-log",
            health.site,
        )
    if health.error is None:
        since = max(health.answered_at or 0.0, beat.started_at) if beat is not None else now
        if health.problem is None and now - since > health.patience:
            yield _of_silent_reader(health, since, config, now)
        return
    lasting = "" if health.error_since is None else f" for {duration(now - health.error_since)}"
    yield Trouble(
        f"Site {health.site} ({health.url}) has not answered{lasting}: {first_line(health.error).removeprefix(f'{health.url}: ')}",
        f"Nothing is lost: the daemon tries on, and will catch up. `{command('check', config)}` tells what is wrong.",
        "site",
        health.site,
        since=health.error_since,
    )


def _of_silent_reader(health: SiteHealth, since: float, config: str, now: float) -> Trouble:
    """It is neither heard of nor refused: whoever should read it does not."""
    return Trouble(
        f"Site {health.site} ({health.url}) has not been read for {duration(now - since)}, and has not refused either: the daemon "
        "waits for its answer, or its reading stands still.",
        f"`{command('check', config)}` tells whether it answers now. If it does, restart the daemon: nothing is lost, and it "
        "catches up.",
        "site-unread",
        health.site,
        since=since,
    )


def _of_dropped_site(state: SiteState, config: str) -> Iterator[Trouble]:
    waiting = sum(state.waiting.values())
    if waiting:
        yield Trouble(
            f"Site {state.site} is no longer in the configuration, and {count(waiting, 'delivery')} of it can't be run.",
            f"Configure it again under that name, or give them up with `{command('skip', config, f'--site {state.site}')}`.",
            "site-dropped",
            state.site,
        )


def _name(plugin: PluginRecord, shown: Overview) -> str:
    return _plugin(plugin.key, shown)


def _plugin(key: PluginKey, shown: Overview) -> str:
    """How the plugin is named on a command line: with its site where there are several."""
    return str(key) if len(shown.sites) > 1 else key.name


def _is_unloaded(plugin: PluginRecord) -> bool:
    """Whether it could not be loaded, though it may be loading again by now."""
    return plugin.state is PluginState.BROKEN or (plugin.state is PluginState.LOADING and plugin.problem != "")


def _of_load(plugin: PluginRecord, name: str, loads_at: Mapping[tuple[str, str], float | None], now: float) -> Iterator[Trouble]:
    """``loads_at``: when plugins are loaded again that could not be loaded; None: at once."""
    if registers_nothing(plugin) or not _is_unloaded(plugin):
        return
    key = (plugin.key.site, plugin.key.name)
    at = loads_at.get(key, now)
    again = f"it is loaded again in {duration(at - now)}" if at is not None and at > now else "it is loaded again"
    if plugin.problem.startswith(SITE_FAILED):
        yield Trouble(
            f"The site failed while plugin {name} loaded: {gist(plugin.problem).rstrip('. ')}; {again}.",
            "Nothing is lost: it gets every event that it missed. If this stays though the site answers, look at what "
            f"{plugin.path} asks the site for while it registers.",
            "plugin-broken",
            *plugin.key,
            since=plugin.updated_at,
        )
        return
    by_itself = f"{again} by itself, and" if key in loads_at else "it is loaded again"
    yield Trouble(
        f"Plugin {name} can't be loaded: {gist(plugin.problem) or 'see its log'}",
        f"Fix {plugin.path}; {by_itself} when the file changes, and gets every event that it missed.",
        "plugin-broken",
        *plugin.key,
        since=plugin.updated_at,
    )


def _is_missed(plugin: PluginRecord, *, running: bool) -> bool:
    """Whether it is gone, and somebody should say whether that is meant. A drain asks only whether something is left to do."""
    return plugin.state is PluginState.GONE and (running or plugin.waiting > 0)


def _of_gone(plugin: PluginRecord, name: str, config: str) -> Trouble:
    them = f", with {count(plugin.waiting, 'delivery')} still to come" if plugin.waiting else ""
    return Trouble(
        f"Plugin {name} is gone ({plugin.path}){them}; nothing handles what it asked for.",
        "Put the file back, and it gets all that it missed; or give it up, its place in the log and what waits for it, with "
        f"`{command('forget', config, name)}`.",
        "plugin-gone",
        *plugin.key,
        since=plugin.updated_at,
    )


def _of_plugin(plugin: PluginRecord, name: str, config: str, why: str) -> Iterator[Trouble]:
    if plugin.state is PluginState.READY and plugin.problem:
        yield Trouble(
            f"Plugin {name} asks for what its site does not have. Callback {first_line(plugin.problem)}.",
            f"Fix {plugin.path}, or add it on the site; the site is looked at again within a day, and at each reload. "
            f"`{command('plugins', config)}` shows all that it asks for.",
            "plugin-schema",
            *plugin.key,
            since=plugin.updated_at,
        )
    for hold in plugin.holds:
        if hold.undecided:
            release, skip = command("release", config, name), command("skip", config, f"--plugin {name} --to-newest")
            yield Trouble(
                f"Plugin {name} is held, since it came back too far behind: {hold.why}.",
                f"`{release}` gives it all events since. `{skip}` lets it go on at the newest event, without them.",
                "plugin-behind",
                *plugin.key,
                since=hold.since,
            )
    if plugin.held:
        show = command("deliveries", config, f"--plugin {name} --state held")
        release = command("release", config, name)
        yield Trouble(
            f"Plugin {name} has {count(plugin.held, 'lane')} held, and {count(plugin.waiting, 'delivery')} still to come"
            + (f": {why}" if why else "."),
            f"`{show}` says why. "
            + (
                f"Once that is fixed, go on with `{release}`."
                if why.startswith(_OF_TOOLKIT)
                else f"Fix {plugin.path}, and they go on by themselves; or go on as it is with `{release}`."
            ),
            "plugin-held",
            *plugin.key,
        )


def _of_unanswered(calls: UnansweredCalls, name: str, config: str) -> Trouble:
    """The site answers the daemon, but not what this plugin asks of it, or of its media store."""
    show = command("deliveries", config, f"--plugin {name} --state retrying --failures")
    return Trouble(
        f"The site does not answer the calls of plugin {name} (waiting for it: {count(calls.deliveries, 'delivery')}, tried "
        f"{count(calls.tries, 'time')}): {gist(calls.last)}",
        "Nothing is lost: they are tried again at least twice a minute, for a day, and nothing behind them in their lanes is "
        f"called before. `{show}` says what came instead of an answer.",
        "calls-unanswered",
        *calls.key,
    )


def _of_dead(failing: FailureSummary, name: str, config: str) -> Iterator[Trouble]:
    if failing.dead:
        these = f"--plugin {name} --state dead"
        why = "" if failing.held else f", the last with: {gist(failing.last)}" if failing.last else ""
        yield Trouble(
            f"{count(failing.dead, 'delivery')} of plugin {name} failed for good{why}" + ("" if why else "."),
            f"`{command('deliveries', config, these)}` says why. Once the cause is fixed, "
            f"`{command('retry', config, these)}` tries them again; `{command('skip', config, these)}` puts them away.",
            "dead",
            *failing.key,
            since=failing.since,
        )


def _is_called(failing: FailingCallback, shown: Overview) -> bool:
    return any(callback.key == failing.key for plugin in shown.plugins for callback in plugin.callbacks)


def _of_always(failing: FailingCallback, name: str, config: str) -> Trouble:
    """Also where nothing is held, and what failed counts as settled: then nothing else tells it."""
    return Trouble(
        f"Every call of callback {failing.key.name} of plugin {name} fails: the last {count(failing.calls, 'call')} in a row; the "
        f"last one with: {gist(failing.last) or 'see its log'}",
        f"`{command('deliveries', config, f'--plugin {name} --failures')}` shows them. Fix the plugin; what it did not do is not "
        f"done by itself: `{command('retry', config, f'--plugin {name} --state dead')}` tries what is dead again.",
        "always-failing",
        *failing.key.plugin,
        failing.key.name,
        failing.since,
    )


def _of_late(waiting: WaitingSince, name: str, config: str, now: float) -> Trouble:
    return Trouble(
        f"A delivery of plugin {name} has waited for {duration(now - waiting.since)}, though nothing holds it up: it is "
        "neither held, nor tried again, nor running.",
        f"`{command('workers', config)}` shows whether its worker is busy with others: then it is slow, and `slots`, or `timeout` "
        f"for calls that hang, may help. `{command('deliveries', config, f'--plugin {name} --state waiting')}` shows what waits.",
        "late",
        *waiting.key,
        since=waiting.since,
    )
