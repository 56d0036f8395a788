"""Named signals. The logic says what happened; log lines, mail, the live view and tests are listeners.

``emit("delivery.settled", …)`` costs a dict look-up where nobody listens. Listeners run in the emitting thread and must not block;
one that raises is told on stderr, once a minute, since a broken log must not stop deliveries, nor an odd signal a log.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

SIGNALS: dict[str, str] = {
    "daemon.started": "version, api_version, pid, config, state",
    "daemon.stopping": "reason",
    "daemon.stopped": "seconds",
    "service.failed": "service, error (a message; a traceback if defect), retry_in (seconds), defect (bool): its loop goes on",
    "state.imported": "site, source, plugins (name → last id), problem (only where nothing could be imported)",
    "site.newest": "site, event_id: where a site without state begins",
    "site.lost": "site, error, attempt, of, retry_in (seconds), refused (bool), url",
    "site.recovered": "site, seconds (of outage)",
    "site.changed": "site, address, problem: it shows another event log than before, which is not read",
    "site.resumed": "site, cursor, created_at (of the last event that was read): where a site goes on at the daemon's start",
    "site.recognized": "site, cursor: it shows the log that was read (again), or an operator has said how to go on",
    "events.read": "site, count, first, last, seconds, late (how many filled gaps)",
    "events.sifted": "site, after, until, types (how many are read up to there; events of others are left out)",
    "events.routed": "site, events, deliveries, plugins (name → new deliveries)",
    "event.reduced": "site, event_id, why: what can't be taken of the event is left out of it",
    "event.left_out": "site, event_id (as the site has it), whom (in words), why: it can't be taken, and is passed by for them",
    "gap.opened": "site, first, last",
    "gap.filled": "site, event_id, plugin (None: every plugin that had passed it)",
    "gap.expired": "site, first, last, plugin",
    "gap.ignored": "site, first, last: older than the window when first missed",
    "plugin.loading": "site, plugin, path",
    "plugin.reloading": "site, plugin, path",
    "plugin.helper_changed": "site, plugin, path, helper: a module that the plugin imports has changed, so it is loaded anew",
    "plugin.ready": "site, plugin, path, callbacks (names), pid, python",
    "plugin.broken": (
        "site, plugin, path, where (find|import|register|describe|site), problem, level (WARNING|ERROR|CRITICAL), logger, "
        "passing (bool: it is loaded again by itself)"
    ),
    "plugin.as_is": "site, plugin, path, problem: what it registers is taken for all, though the API does not answer it",
    "plugin.gone": "site, plugin, path, position",
    "plugin.returned": "site, plugin, position, behind (in words): its file was gone for too long, so it is held",
    "plugin.behind": "site, plugin, position, why (full|loading|broken|gone)",
    "plugin.joined": "site, plugin, position",
    "plugin.own": "site, plugin, count: deliveries of one page that were not made, since the plugin caused the event; told once",
    "plugin.doubtful": "site, plugin, doubt: a name that the plugin asks for and its site does not have",
    "plugin.orphans": "site, plugin, callback, count: waiting deliveries skipped since their callback is gone; 0: it is gone",
    "plugin.record": "site, plugin, record (a log record as the worker sent it)",
    "plugin.output": "site, plugin, stream, text: one or more lines that the plugin printed",
    "plugin.emails": "site, plugin, emails (True|False|list): whom the plugin wants mails to go to",
    "worker.started": "site, plugin (several that share it: joined by +), pid",
    "worker.lost": "site, plugin, pid, how (exit code or signal, in words), delivery_id or None",
    "worker.stuck": "site, plugin, pid, seconds: it was killed so long ago, does not end, and is given up",
    "worker.retired": "site, plugin, pid, why",
    "worker.grown": "site, plugin, pid, memory (bytes), limit (bytes): another one takes its place",
    "worker.waiting": "site, plugin, deaths (in a row), how (the last one), retry_in (seconds): it is not started again at once",
    "session.opening": "site, project (id)",
    "session.opened": (
        "site, project, project_name, kind, configuration, version, core (file), config (folder), descriptor, engine, apps, "
        "python, client (file of shotgun_api3; why there is none)"
    ),
    "session.spoiled": "site, project, project_name, plugin, problem: what it did to the Toolkit of all; another session follows",
    "session.outdated": "site, project, project_name, changed (a file, or what the site says)",
    "session.failed": "site, project (id; a name that means none), kind, problem, cure, passing (bool), file (or None)",
    "delivery.settled": (
        "site, plugin, callback, event_id, delivery_id, state (its word), attempts, started, ended, created_at, error (bool), "
        "due, legacy"
    ),
    "delivery.failed": (
        "site, plugin, callback, event_id, delivery_id, attempt, state (its word), failure, due, legacy, logged, raised (bool), "
        "outages (how often the site did not answer, or its project's Toolkit was away)"
    ),
    "outcome.refused": "delivery_id, state (its word, as it is kept), why: what came of a delivery could not be kept",
    "cascade.stopped": "site, plugin, callback, event_id, delivery_id, why: plugins answer each other's writes",
    "lane.held": "site, plugin, lane, event_id, callback, why",
    "lane.released": "site, plugin, count, why",
    "replay.began": "site, plugin, callback (None: all), replay (its id), first, last, position: goes on behind it",
    "replay.read": "site, plugin, callback, replay, events, deliveries (of this page), position",
    "replay.ended": "site, plugin, callback, replay, events, deliveries (of all pages)",
    "ledger.lost": "problem (which of its files was removed or replaced): the daemon stops",
    "upkeep.pruned": "deliveries, events",
    "log.dropped": "log (what it is called), count: lines that were left out, since it hung; it is written again",
    "mail.failed": "server, error, waiting (how many are tried again), dropped (how many are not)",
    "mail.sent": "server",
}


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that happened: its name (a key of SIGNALS), when (epoch seconds), and the facts named there."""

    name: str
    facts: dict[str, Any]
    at: float = field(default_factory=time.time)


Listener = Callable[[Signal], None]

QUIET = 60.0
"""Seconds between two complaints about listeners."""

_lock = threading.Lock()
_quiet_until = 0.0
_listeners: dict[str, tuple[Listener, ...]] = {}


def emit(name: str, **facts: Any) -> None:
    """Tell all listeners of ``name`` and of ``"*"``. Raises KeyError for a name that SIGNALS does not know."""
    if name not in SIGNALS:
        raise KeyError(name)
    listeners = _listeners.get(name, ()) + _listeners.get("*", ())
    if not listeners:
        return
    signal = Signal(name, facts)
    for listener in listeners:
        try:
            listener(signal)
        except Exception:  # noqa: BLE001 - whatever a listener raises, deliveries go on
            _complain(f"callsheet: a listener of {name} failed:\n{traceback.format_exc()}")


def _complain(text: str) -> None:
    global _quiet_until  # noqa: PLW0603 - as for the listeners
    now = time.monotonic()
    with _lock:
        if now < _quiet_until:
            return
        _quiet_until = now + QUIET
    with suppress(OSError, ValueError, AttributeError):  # stderr itself is gone: nobody is left to tell
        sys.stderr.write(text)


def listening(name: str) -> bool:
    """Whether anybody would hear ``name``; lets hot paths skip gathering facts."""
    return name in _listeners or "*" in _listeners


def subscribe(listener: Listener, *names: str) -> None:
    """Call ``listener`` for each of ``names`` (none: for every signal)."""
    with _lock:
        for name in names or ("*",):
            if name != "*" and name not in SIGNALS:
                raise KeyError(name)
            _listeners[name] = (*_listeners.get(name, ()), listener)


def unsubscribe(listener: Listener) -> None:
    """Stop calling ``listener`` for whatever it was subscribed to."""
    with _lock:
        for name, listeners in list(_listeners.items()):
            left = tuple(one for one in listeners if one != listener)
            if left:
                _listeners[name] = left
            else:
                del _listeners[name]


class Recorder:
    """Keeps signals and lets a test wait for one: ``recorder.wait_for("plugin.ready", plugin="a")``."""

    def __init__(self) -> None:
        self._arrived = threading.Condition(threading.RLock())
        self.signals: list[Signal] = []

    def __call__(self, signal: Signal) -> None:
        """Keep the signal and wake those who wait."""
        with self._arrived:
            self.signals.append(signal)
            self._arrived.notify_all()

    def named(self, name: str, **facts: Any) -> list[Signal]:
        """All kept signals of that name whose facts include ``facts``."""
        with self._arrived:
            kept = list(self.signals)
        return [one for one in kept if one.name == name and all(one.facts.get(k) == v for k, v in facts.items())]

    def wait_for(self, name: str, *, timeout: float = 30.0, count: int = 1, **facts: Any) -> Signal:
        """The ``count``-th such signal, kept or to come; TimeoutError after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        with self._arrived:
            while True:
                found = self.named(name, **facts)
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if left <= 0:
                    seen = sorted({one.name for one in self.signals})
                    raise TimeoutError(f"no {name} with {facts} within {timeout} s; seen: {', '.join(seen)}")
                self._arrived.wait(left)


@contextmanager
def recording(*names: str) -> Iterator[Recorder]:
    """Record the named signals (none: all) for as long as the block runs."""
    recorder = Recorder()
    subscribe(recorder, *names)
    try:
        yield recorder
    finally:
        unsubscribe(recorder)
