"""What the live view knows: counts and the latest happenings, gathered from signals alone."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from callsheet.domain.delivery import Failure, State
from callsheet.telemetry import Signal, subscribe, unsubscribe
from callsheet.wire.event_facts import entity_of

SOON = 0.05  # seconds
LATEST = 60
"""Happenings that are remembered; a screen shows fewer."""

_DONE, _RETRYING, _DEAD = State.DONE.word, State.RETRYING.word, State.DEAD.word
_HELD, _SKIPPED = State.HELD.word, State.SKIPPED.word
_GROWTH = math.log(1.05)


class Spread:
    """Durations as a histogram whose buckets grow by 5 %: percentiles that exact, in constant memory."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._total = 0

    def add(self, seconds: float) -> None:
        """Count one duration; a negative one (clocks differ) counts as none."""
        bucket = int(math.log1p(max(0.0, seconds) * 1e4) / _GROWTH)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self._total += 1

    def at(self, share: float) -> float | None:
        """The duration, in seconds, that ``share`` (0.5: half) of all do not exceed; None when there are none."""
        wanted, seen = math.ceil(self._total * share), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return math.expm1((bucket + 0.5) * _GROWTH) / 1e4
        return None


class Happening(NamedTuple):
    """Something worth a line. ``tone``: ``good``, ``plain``, ``warn`` or ``bad``. ``event_id`` None: not about an event."""

    at: float
    site: str
    event_id: int | None
    text: str
    tone: str


@dataclass(slots=True)
class PluginStats:
    """Counts of one plugin. ``matched`` is None as long as nobody says how many deliveries a plugin was given."""

    name: str
    done: int = 0
    retries: int = 0
    dead: int = 0
    held: int = 0
    skipped: int = 0
    matched: int | None = None
    retrying: set[int] = field(default_factory=set)
    run_time: Spread = field(default_factory=Spread)

    @property
    def waiting(self) -> int | None:
        """Deliveries that are still open; None as for ``matched``."""
        return None if self.matched is None else max(0, self.matched - self.done - self.dead - self.skipped)


@dataclass(slots=True)
class Counts:
    """All counts. ``lag``: seconds from the event to the end of the latest delivery; sites tell times in whole seconds."""

    events: int = 0
    matched: int = 0
    done: int = 0
    retries: int = 0
    dead: int = 0
    held: int = 0
    skipped: int = 0
    lag: float | None = None
    lags: Spread = field(default_factory=Spread)
    plugins: dict[tuple[str, str], PluginStats] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Deliveries that are still open, those retrying and held among them."""
        return max(0, self.matched - self.done - self.dead - self.skipped)


class LiveStats:
    """Listens from ``open`` to ``close``. ``lock`` guards ``counts`` and ``latest``; ``happened`` counts all happenings so far."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts = Counts()
        self.latest: deque[Happening] = deque(maxlen=LATEST)
        self.happened = 0
        self.since = time.time()

    def open(self) -> None:
        """Begin to listen."""
        self.since = time.time()
        subscribe(self._on_signal, "events.read", "events.routed", "delivery.settled", *_WORDS)

    def close(self) -> None:
        """Stop listening; the counts stay."""
        unsubscribe(self._on_signal)

    def _on_signal(self, signal: Signal) -> None:
        facts = signal.facts
        with self.lock:
            if signal.name == "delivery.settled":
                self._settled(facts, signal.at)
            elif signal.name == "events.read":
                self.counts.events += facts["count"]
            elif signal.name == "events.routed":
                self._routed(facts)
            else:
                text, tone = _WORDS[signal.name](facts)
                self._tell(signal.at, facts, text, tone)

    def _plugin(self, site: str, name: str) -> PluginStats:
        plugin = self.counts.plugins.get((site, name))
        if plugin is None:
            plugin = self.counts.plugins[site, name] = PluginStats(name)
            if len({key[0] for key in self.counts.plugins}) > 1:
                for key, one in self.counts.plugins.items():
                    one.name = f"{key[0]}/{key[1]}"
        return plugin

    def _routed(self, facts: dict[str, Any]) -> None:
        self.counts.matched += facts["deliveries"]
        for name, count in (facts.get("plugins") or {}).items():
            plugin = self._plugin(facts["site"], name)
            plugin.matched = (plugin.matched or 0) + count

    def _settled(self, facts: dict[str, Any], at: float) -> None:
        counts, plugin, state = self.counts, self._plugin(facts["site"], facts["plugin"]), facts["state"]
        delivery = facts["delivery_id"]
        plugin.retrying.discard(delivery)
        if state == _DONE:
            counts.done += 1
            plugin.done += 1
            took = facts["ended"] - facts["started"]
            plugin.run_time.add(took)
            created = _epoch(facts.get("created_at"))
            if created is not None:
                counts.lag = max(0.0, facts["ended"] - created)
                counts.lags.add(counts.lag)
            tries = f" at attempt {facts['attempts']}" if facts["attempts"] > 1 else ""
            self._tell(at, facts, f"{facts['callback']} done in {seconds(took)}{tries}", "good" if tries else "plain")
        elif state == _RETRYING:
            counts.retries += 1
            plugin.retries += 1
            plugin.retrying.add(delivery)
        elif state == _DEAD:
            counts.dead += 1
            plugin.dead += 1
        elif state == _HELD:
            counts.held += 1
            plugin.held += 1
        elif state == _SKIPPED:
            counts.skipped += 1
            plugin.skipped += 1

    def _tell(self, at: float, facts: dict[str, Any], text: str, tone: str) -> None:
        self.latest.append(Happening(at, facts.get("site", ""), facts.get("event_id"), text, tone))
        self.happened += 1


def seconds(value: float | None) -> str:
    """``4 ms``, ``1.2 s``, ``35 s``, ``3 min``; ``-`` for None."""
    if value is None:
        return "-"
    if value < 0.9995:  # noqa: PLR2004 - below it, rounding stays under 1,000 ms
        return f"{value * 1000:.0f} ms"
    if value < 9.95:  # noqa: PLR2004 - two digits are enough
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min"  # noqa: PLR2004 - two minutes


def event_in_words(event: Mapping[str, Any]) -> str:
    """An EventLogEntry in a few words: ``Task 14 sg_status_list → fin``, ``Version 7 new``."""
    _, _, what = str(event.get("event_type", "")).partition("_")
    kind, _, change = what.rpartition("_")
    found, number = entity_of(event) or (kind, None)
    subject = f"{found} {number or ''}".strip()
    attribute = event.get("attribute_name")
    if not attribute:
        return f"{subject} {change.lower()}".strip()
    meta = event.get("meta")
    value = meta.get("new_value") if isinstance(meta, Mapping) else None
    return f"{subject} {attribute}" + (f" → {value}" if isinstance(value, (str, int, float)) else "")


def _epoch(value: object) -> float | None:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            return None
    return float(value) if isinstance(value, (int, float)) else None


def _failed(facts: dict[str, Any]) -> tuple[str, str]:
    failure: Failure | None = facts.get("failure")
    why = f": {failure.kind} {failure.text.strip().partition(chr(10))[0]}".rstrip() if failure else ""
    if facts["state"] == _RETRYING:
        due = facts.get("due")
        left = due - time.time() if due else 0.0
        when = f"in {seconds(left)}" if left > SOON else "at once"
        if not facts["attempt"]:  # its worker's end cut it short, which is not held against it
            return f"{facts['callback']} interrupted, again {when}", "warn"
        return f"{facts['callback']} failed, again {when} (attempt {facts['attempt']}){why}", "warn"
    word = "failed, its lane is held" if facts["state"] == _HELD else "failed for good"
    return f"{facts['callback']} {word}{why}", "bad"


_WORDS: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "delivery.failed": _failed,
    "plugin.ready": lambda facts: (
        f"plugin {facts['plugin']} is ready: {', '.join(facts['callbacks']) or 'no callbacks'}",
        "plain",
    ),
    "plugin.reloading": lambda facts: (f"plugin {facts['plugin']} is loaded again", "plain"),
    "plugin.broken": lambda facts: (f"plugin {facts['plugin']} is broken: {str(facts['problem']).partition(chr(10))[0]}", "bad"),
    "plugin.gone": lambda facts: (f"plugin {facts['plugin']} is gone; its place is kept", "warn"),
    "plugin.returned": lambda facts: (f"plugin {facts['plugin']} is back, too far behind; it is held until you decide", "warn"),
    "worker.lost": lambda facts: (f"worker of {facts['plugin']} lost ({facts['how']}); a new one starts", "warn"),
    "lane.released": lambda facts: (f"{facts['count']} lanes of {facts['plugin']} go on: {facts['why']}", "good"),
    "gap.opened": lambda facts: (f"ids {facts['first']} to {facts['last']} are missing; they may come late", "plain"),
    "gap.filled": lambda _: ("came late, and is delivered", "good"),
    "site.lost": lambda facts: (f"{facts['site']} does not answer (attempt {facts['attempt']}): {facts['error']}", "bad"),
    "site.recovered": lambda facts: (f"{facts['site']} answers again after {seconds(facts['seconds'])}", "good"),
}
"""Signal → its words for people who watch, and their tone."""
