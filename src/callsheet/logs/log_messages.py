"""What each signal says in the log: one table, signal → level, logger and text.

The texts that shotgunEvents' operators grep for stand here with their levels, word for word (``Using SG Python API version`` alone
is said by ``logs.start``). Pure: a line is a value, made from the facts that ``telemetry.SIGNALS`` promises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from callsheet.domain.delivery import Failure, State
from callsheet.logs.failure_text import ASKED_FOR, details, first_line, in_short, next_try, of_toolkit, seconds
from callsheet.telemetry import Signal
from callsheet.wire.texts import CALLBACK_FAILED

DEBUG, INFO, WARNING, ERROR, CRITICAL = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL

ENGINE = "engine"
PLUGIN = "plugin"
"""As a Line's logger: ``plugin.<name>``, in the plugin's file."""
CALLBACK = "callback"
"""As a Line's logger: ``plugin.<name>.<callback>``, in the plugin's file."""


class Line(NamedTuple):
    """One log line to be. ``logger``: ENGINE, PLUGIN or CALLBACK."""

    level: int
    text: str
    logger: str = ENGINE


class Entry(NamedTuple):
    """How a signal is told. ``most``: the highest level that its lines can have, so that quiet logs need not listen at all."""

    most: int
    tell: Callable[[Signal], Line | None]


def _says(level: int, template: str, logger: str = ENGINE) -> Entry:
    """The plain case: always this level, the facts put into ``template``."""
    return Entry(level, lambda signal: Line(level, template.format_map(signal.facts), logger))


def _imported(signal: Signal) -> Line:
    if signal.facts.get("problem"):
        return Line(WARNING, f"Nothing is imported from {signal.facts['source']}: {signal.facts['problem']}")
    places: Mapping[str, int | None] = signal.facts["plugins"]
    shown = ", ".join(f"{name} at {place}" for name, place in list(places.items())[:10])
    more = f" and {len(places) - 10} more" if len(places) > 10 else ""  # noqa: PLR2004 - as many as were shown
    return Line(INFO, f"Imported from {signal.facts['source']} where {len(places)} plugins stand: {shown}{more}.")


def _site_lost(signal: Signal) -> Line:
    """Attempts count from 1 to ``of`` and again; each ``of``-th is an error (and so a mail), as in shotgunEvents."""
    facts = signal.facts
    of = max(1, int(facts["of"] or 1))
    attempt = (int(facts["attempt"]) - 1) % of + 1
    error, url = str(facts["error"]), facts.get("url") or facts["site"]
    where = "" if url in error else f"{url}; "
    text = f"Unable to connect to SG (attempt {attempt} of {of}): {error} [{where}next try in {seconds(facts['retry_in'] or 0)}]"
    loud = of
    if facts.get("refused"):
        loud = 1  # said aloud at once, since waiting alone will not help
        text += " The site answers but refuses: check the script's name, key and permissions."
    return Line(ERROR if attempt == loud else WARNING, text)


def _got(signal: Signal) -> Line | None:
    facts = signal.facts
    return Line(DEBUG, f"Got {facts['count']} events: {facts['first']} to {facts['last']}.") if facts["count"] else None


def _ids(facts: Mapping[str, Any], one: str, several: str) -> str:
    """``one 7`` or ``several 7-9``."""
    first, last = facts["first"], facts["last"]
    return f"{one} {first}" if first == last else f"{several} {first}-{last}"


def _gap_expired(signal: Signal) -> Line:
    text = f"Timeout elapsed on backlog event {_ids(signal.facts, 'id', 'ids')}."
    return Line(WARNING, text, PLUGIN if signal.facts.get("plugin") else ENGINE)


def _gap_filled(signal: Signal) -> Line:
    text = f"Processed id {signal.facts['event_id']} from backlog."
    return Line(INFO, text, PLUGIN if signal.facts.get("plugin") else ENGINE)


def _ready(signal: Signal) -> Line:
    names = ", ".join(signal.facts["callbacks"]) or "none, so it gets no events"
    return Line(INFO, f"Plugin {signal.facts['plugin']} is ready. Callbacks: {names}.")


def _broken(signal: Signal) -> Line:
    facts = signal.facts
    level = {"WARNING": WARNING, "CRITICAL": CRITICAL}.get(facts.get("level") or "", ERROR)
    until = (
        "until this has passed, and loses none: it is loaded again by itself, ever later up to a minute apart"
        if facts["passing"]
        else f"until this is fixed, and loses none: once {facts['path']} changes, it is loaded again"
    )
    text = f"{str(facts['problem']).rstrip()}\n\nPlugin {facts['plugin']} gets no events {until}, and goes on from where it stands."
    return Line(level, text, ENGINE if facts.get("logger") == ENGINE else PLUGIN)


_BEHIND = {
    "broken": "it can't be loaded",
    "full": "too many of its deliveries wait",
    "loading": "it is still loading",
    "loading or broken": "it is still loading, or can't be loaded",
    "imported": "its imported place is older",
}


def _behind(signal: Signal) -> Line:
    facts = signal.facts
    why = _BEHIND.get(facts["why"], facts["why"])
    return Line(
        INFO, f"Plugin {facts['plugin']} stays behind at event {facts['position']}, since {why}. It gets all later events in time."
    )


def _worker_lost(signal: Signal) -> Line:
    facts = signal.facts
    busy = f", while it ran delivery {facts['delivery_id']}" if facts.get("delivery_id") is not None else ", while idle"
    return Line(
        WARNING, f"The worker of the plugin was lost (pid {facts['pid']}, {facts['how']}){busy}. A new one is started.", PLUGIN
    )


def _worker_stuck(signal: Signal) -> Line:
    text = (
        f"The worker (pid {signal.facts['pid']}) does not end, though it was killed {signal.facts['seconds']:g} s ago: it most "
        "likely waits in the kernel for a share that does not answer. It is left behind, and nothing waits for it any more. See "
        "that the share answers, or unmount it with `umount -f`."
    )
    return Line(ERROR, text, PLUGIN)


def _worker_grown(signal: Signal) -> Line:
    used, limit = (signal.facts[name] / 2**20 for name in ("memory", "limit"))
    text = (
        f"The worker (pid {signal.facts['pid']}) has grown to {used:,.0f} MB, past its limit of {limit:,.0f} MB. A new one takes "
        "its place, and this one ends after what it runs. If that comes often, look for what the plugin keeps."
    )
    return Line(WARNING, text, PLUGIN)


def _session_failed(signal: Signal) -> Line:
    """What goes away by itself is tried again, and is no error yet."""
    return Line(WARNING if signal.facts["passing"] else ERROR, f"{signal.facts['problem']} {signal.facts['cure']}")


def _failed(signal: Signal) -> Line | None:
    """A failed attempt. What the worker has logged itself, with its traceback and at CRITICAL, is not told twice."""
    facts = signal.facts
    state, logged = facts["state"], bool(facts.get("logged"))
    if state == State.HELD.word and logged:
        return None  # lane.held says what follows from it
    failure: Failure | None = facts.get("failure")
    if failure and facts["legacy"] and facts.get("raised") and not logged and state in (State.HELD.word, State.DEAD.word):
        return Line(CRITICAL, CALLBACK_FAILED % (failure.traceback, failure.locals), CALLBACK)
    head, number = f"Event {facts['event_id']}: ", facts["delivery_id"]
    why = f" ({in_short(failure)})" if failure else ""
    if state == State.RETRYING.word:
        level = WARNING
        # An attempt that its worker's end cut short is not counted: the first may be number 0.
        what = f"attempt {facts['attempt']} failed" if facts["attempt"] else "interrupted"
        if facts.get("outages"):
            what = "its project's Toolkit can't be had now" if of_toolkit(failure) else "the site does not answer"
            return Line(level, f"{head}{what}{why}. {next_try(facts.get('due'), signal.at)}", CALLBACK)
        text = f"{head}{what}{why}. {next_try(facts.get('due'), signal.at)}"
    elif state == State.HELD.word:
        level = ERROR
        fix = "Once that is fixed," if of_toolkit(failure) else "Fix the plugin's file, or"
        text = (
            f"{head}failed{why}, and its lane is held at it. {fix} `callsheet retry {number}` tries it again as it is, or "
            f"`callsheet skip {number}` passes over it."
        )
    else:
        level = WARNING if logged else ERROR
        text = (
            f"{head}failed{why} and is not tried again; later events go on. "
            f"Once the cause is fixed, `callsheet retry {number}` runs it."
        )
    if failure and not logged and failure.kind not in ASKED_FOR:
        text += details(failure, with_locals=level >= ERROR)  # of an attempt that is tried again the traceback is enough
    return Line(level, text, CALLBACK)


def _held(signal: Signal) -> Line:
    facts = signal.facts
    plugin = facts["plugin"]
    why = first_line(str(facts["why"]))
    which = f"Plugin {plugin}" if facts["lane"] == "plugin" else f"Lane {facts['lane']}"
    return Line(
        WARNING,
        f"{which} is held at event {facts['event_id']} (callback {facts['callback']}): {why}. "
        f"It goes on from that very event once the plugin's file changes; `callsheet release {plugin}` lets it go on as it is.",
        PLUGIN,
    )


def _mail_failed(signal: Signal) -> Line:
    facts = signal.facts
    waiting = f"{facts['waiting']} mails wait and are tried again" if facts["waiting"] else "No mail waits"
    return Line(
        WARNING, f"Mail through {facts['server']} failed: {facts['error']}. {waiting}; check the mail settings and the server."
    )


def _service_failed(signal: Signal) -> Line:
    facts = signal.facts
    again = f"{facts['service']} tries again in {facts['retry_in']:.1f} s"
    if facts["defect"]:
        return Line(ERROR, f"Unexpected error; {again}. If this stays, report it with this text.\n\n{facts['error']}")
    return Line(ERROR, f"{facts['error']} [{again}]")


TABLE: dict[str, Entry] = {
    "daemon.started": _says(INFO, "Callsheet {version} started with {config}; its state is in {state}, its process id is {pid}."),
    "daemon.stopping": _says(INFO, "Stopping: {reason}."),
    "daemon.stopped": _says(INFO, "Stopped after {seconds:.1f} s."),
    "service.failed": Entry(ERROR, _service_failed),
    "state.imported": Entry(WARNING, _imported),
    "site.newest": _says(INFO, "Last event id ({event_id}) from the SG database."),
    "site.lost": Entry(ERROR, _site_lost),
    "site.recovered": _says(INFO, "Connected to SG again after {seconds:.0f} s."),
    "site.changed": _says(
        ERROR,
        "Site {site} ({address}) does not show the event log that was read before: {problem}. Nothing is read from it, and none of "
        "its deliveries is run, until `callsheet reset-cursor` says how to go on; `callsheet status` shows the choices.",
    ),
    "site.resumed": _says(INFO, "Site {site} is read on behind event {cursor}. The last event that was read is of {created_at}."),
    "site.recognized": _says(INFO, "Site {site} is read again, behind event {cursor}."),
    "events.read": Entry(DEBUG, _got),
    "events.sifted": _says(INFO, "Far behind: up to event {until}, only events of the {types} types that plugins want are read."),
    "event.reduced": _says(
        WARNING, "Event {event_id} is handed on without what can't be taken of it: {why}. Plugins find None in its place."
    ),
    "event.left_out": _says(
        ERROR, "Event {event_id} is passed by for {whom}, since it can't be taken: {why}. Look at it on the site."
    ),
    "outcome.refused": _says(
        ERROR,
        "What came of delivery {delivery_id} can't be kept, and it is {state}: {why}. `callsheet deliveries {delivery_id}` shows "
        "it. If nothing is odd about it, report it with this line.",
    ),
    "events.routed": _says(DEBUG, "Recorded {deliveries} deliveries for {events} events."),
    "gap.opened": Entry(INFO, lambda signal: Line(INFO, f"Adding event {_ids(signal.facts, 'id', 'ids')} to backlog.")),
    "gap.filled": Entry(INFO, _gap_filled),
    "gap.expired": Entry(WARNING, _gap_expired),
    "gap.ignored": Entry(INFO, lambda signal: Line(INFO, f"{_ids(signal.facts, 'Event', 'Events')} never happened - ignoring.")),
    "plugin.loading": _says(INFO, "Loading plugin at {path}"),
    "plugin.helper_changed": _says(INFO, "Plugin {plugin} is loaded anew, since {helper} has changed, which it imports."),
    "plugin.reloading": _says(INFO, "Reloading plugin at {path}"),
    "plugin.ready": Entry(INFO, _ready),
    "plugin.broken": Entry(CRITICAL, _broken),
    "plugin.gone": _says(
        WARNING,
        "Plugin {plugin} is gone: there is no file at {path} any more. Its place is kept: put it back, and it goes on from there.",
    ),
    "plugin.returned": _says(
        WARNING,
        "Plugin {plugin} is back after its file was gone, {behind} behind, at event {position}. It is held until you say how it "
        "goes on: `callsheet release {plugin}` gives it all events since, `callsheet skip --plugin {plugin} --to-newest` none.",
    ),
    "plugin.behind": Entry(INFO, _behind),
    "plugin.joined": _says(INFO, "Plugin {plugin} has caught up, at event {position}."),
    "plugin.doubtful": _says(
        WARNING, "Plugin {plugin}, callback {doubt}. It is not called for that. Fix the plugin's file, or add it on the site."
    ),
    "plugin.orphans": _says(
        WARNING,
        "Skipped {count} waiting deliveries, since the plugin no longer registers this callback. If that is a mistake, register it "
        "again, then `callsheet retry --plugin {plugin} --state skipped`.",
        CALLBACK,
    ),
    "plugin.as_is": _says(
        WARNING,
        "Plugin {plugin} is used with what it registers, though the site does not answer all that it asks for while it loads: the "
        "site answers otherwise, and it registers the same each time.",
    ),
    "plugin.own": _says(
        INFO,
        "Not called for what it wrote itself ({count} so far). That is said once; `callsheet plugins` counts such deliveries, and "
        "with ignore_own=False the plugin gets them.",
        PLUGIN,
    ),
    "worker.started": _says(DEBUG, "Worker started, pid {pid}.", PLUGIN),
    "worker.lost": Entry(WARNING, _worker_lost),
    "worker.retired": _says(DEBUG, "Worker retired, pid {pid}: {why}.", PLUGIN),
    "worker.stuck": Entry(ERROR, _worker_stuck),
    "worker.grown": Entry(WARNING, _worker_grown),
    "worker.waiting": _says(
        ERROR,
        "The worker of {plugin} died {deaths} times in a row without finishing a delivery; the last one {how}. The next is started "
        "in {retry_in:.0f} s. `callsheet deliveries --plugin {plugin}` shows at which deliveries; fix the plugin's file, and it "
        "goes on at once.",
    ),
    "session.opening": _says(DEBUG, "Opening a Toolkit session for project {project}."),
    "session.opened": _says(INFO, "Toolkit session of {project_name} is open: core {version}, Python {python}, {kind}, {config}."),
    "session.spoiled": _says(
        ERROR,
        "The plugin {plugin} {problem}. The Toolkit session of {project_name} is replaced, since all plugins there share it. "
        "A plugin in it must neither end the engine nor bootstrap or swap cores: take that out of {plugin}, the right one is open.",
    ),
    "session.outdated": _says(INFO, "Toolkit session of {project_name} is opened anew, since this has changed: {changed}."),
    "session.failed": Entry(ERROR, _session_failed),
    "delivery.failed": Entry(ERROR, _failed),
    "lane.held": Entry(WARNING, _held),
    "lane.released": _says(INFO, "Released {count} held lanes: {why}.", PLUGIN),
    "replay.began": _says(
        INFO, "Replay {replay}: reading events {first} to {last} again, for {plugin}, behind event {position}.", PLUGIN
    ),
    "replay.read": _says(DEBUG, "Replay {replay}: {deliveries} deliveries of {events} events; read up to {position}.", PLUGIN),
    "replay.ended": _says(INFO, "Replay {replay}: all is read. {events} events made {deliveries} deliveries wait.", PLUGIN),
    "ledger.lost": _says(
        ERROR,
        "The ledger is lost: {problem}. The daemon stops, and saves what it still has of it, so that nothing is skipped.",
    ),
    "upkeep.pruned": _says(DEBUG, "Forgot {deliveries} finished deliveries and {events} events: older than the history kept."),
    "log.dropped": _says(
        WARNING, "{count} lines of {log} were left out: the terminal, or the disk that it is on, took nothing for a while."
    ),
    "mail.failed": Entry(WARNING, _mail_failed),
}
"""Signals that are absent are told elsewhere or not at all; a test holds the list of them with the reason of each."""
