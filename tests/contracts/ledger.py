"""What every adapter of ``ports.Ledger`` is tested with: the adapters, and a desk that drives one in few words.

A new adapter joins by a line in ADAPTERS and passes all of ``tests/contracts/test_ledger_*.py``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from callsheet.domain.callback import CallbackKey, PluginKey
from callsheet.domain.delivery import DeliveryQuery, DeliveryRow, Failure, NewDelivery, Outcome, Run, State
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.plugin import Manifest, PluginFile, PluginRecord, PluginState
from callsheet.domain.reading import Intake
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.ports import Ledger
from tests.support.events import SITE, callback, event


@dataclass(frozen=True)
class Adapter:
    """``open`` the ledger that is kept in a folder (twice: two ledgers on one record); look for ``faults`` in how it is kept."""

    open: Callable[[Path], Ledger]
    faults: Callable[[Path], list[str]]


def _sqlite_faults(folder: Path) -> list[str]:
    """What is damaged, dangles or is miscounted, seen past the adapter."""
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        for fault, query in _SQLITE_FAULTS.items():
            if rows := connection.execute(query).fetchall():
                found.append(f"{fault}: {rows[:5]}")
    return found


_SQLITE_FAULTS = {
    "deliveries without a lane, a callback or an event": """
        SELECT d.id FROM deliveries AS d
        LEFT JOIN lanes AS l ON l.id = d.lane_id LEFT JOIN callbacks AS c ON c.id = d.callback_id
        LEFT JOIN plugins AS p ON p.id = c.plugin_id LEFT JOIN events AS e ON e.site_id = p.site_id AND e.id = d.event_id
        WHERE l.id IS NULL OR c.id IS NULL OR e.id IS NULL OR l.plugin_id <> c.plugin_id
    """,
    "events that nothing refers to": "SELECT id FROM events WHERE id NOT IN (SELECT event_id FROM deliveries)",
    "failures of nothing": "SELECT id FROM failures WHERE delivery_id NOT IN (SELECT id FROM deliveries)",
    "miscounted plugins": """
        SELECT p.id FROM plugins AS p WHERE (p.waiting, p.retrying, p.held, p.done, p.dead, p.skipped) <> (
            SELECT coalesce(sum(d.state = 0), 0), coalesce(sum(d.state = 2), 0), coalesce(sum(d.state = 3), 0),
                   coalesce(sum(d.state = 4), 0), coalesce(sum(d.state = 5), 0), coalesce(sum(d.state = 6), 0)
            FROM deliveries AS d JOIN lanes AS l ON l.id = d.lane_id WHERE l.plugin_id = p.id
        )
    """,
    "lanes in a state that their deliveries don't give them": """
        SELECT l.id, l.state FROM lanes AS l WHERE l.state <> CASE
            WHEN l.run IS NOT NULL THEN 'running'
            WHEN EXISTS (SELECT 1 FROM deliveries WHERE lane_id = l.id AND state = 3) THEN 'held'
            WHEN EXISTS (SELECT 1 FROM deliveries WHERE lane_id = l.id AND state < 4) THEN 'ready'
            ELSE 'idle' END
    """,
}

ADAPTERS = {"sqlite": Adapter(lambda folder: SqliteLedger(folder / "ledger.db"), _sqlite_faults)}

PLUGIN = PluginKey(SITE, "plugin")


def delivery(
    event_id: int,
    name: str = "react",
    *,
    plugin: str = "plugin",
    lane: str = "lane",
    ordinal: int = 0,
    site: str = SITE,
) -> NewDelivery:
    return NewDelivery(CallbackKey(PluginKey(site, plugin), name), ordinal, event(event_id), lane)


def file(name: str = "plugin", *, site: str = SITE, ordinal: int = 0, mtime: float = 1.0) -> PluginFile:
    return PluginFile(PluginKey(site, name), f"/plugins/{name}.py", ordinal, mtime)


def event_ids(run: Run) -> list[int]:
    return [one.event_id for one in run.deliveries]


@dataclass
class Desk:
    """A ledger, a clock that stands still until told, and the plugins that have a slot."""

    ledger: Ledger
    folder: Path
    adapter: Adapter
    now: float = 1000.0
    free: dict[PluginKey, int] = field(default_factory=lambda: {PLUGIN: 1})
    texts: int = 0

    def reopen(self) -> None:
        """Close, and open anew: what is there afterwards was kept."""
        self.ledger.close()
        self.ledger = self.adapter.open(self.folder)

    @contextmanager
    def other_process(self) -> Iterator[Ledger]:
        """A second ledger on the same record, as another process has it."""
        other = self.adapter.open(self.folder)
        try:
            yield other
        finally:
            other.close()

    def record(self, *deliveries: NewDelivery, cursor: int | None = None, site: str = SITE) -> int:
        return self.ledger.record(Intake(site, deliveries, cursor=cursor), self.now)

    def record_events(self, *numbers: int, lane: str = "lane", name: str = "react") -> int:
        return self.record(*(delivery(number, name, lane=lane) for number in numbers))

    def claim(self, most: int = 500) -> list[Run]:
        return self.ledger.claim(self.free, most, "owner", self.now)[0]

    def claim_one(self, most: int = 500) -> Run:
        (run,) = self.claim(most)
        return run

    def next_due(self) -> float | None:
        return self.ledger.claim(self.free, 1, "owner", self.now)[1]

    def outcome(self, number: int, state: State, *, attempts: int = 1, due: float | None = None) -> Outcome:
        failure = None if state in {State.DONE, State.SKIPPED} else Failure("ValueError", f"no {number}", "Traceback…", "x = 1")
        return Outcome(number, state, attempts, 0, self.now, self.now, due, failure)

    def settle(self, run: Run, *states: State, due: float | None = None, ended: bool = True) -> None:
        """The first deliveries of the run came out like that; the run has ended."""
        outcomes = [
            self.outcome(one.id, state, attempts=one.attempts + 1, due=due if state is State.RETRYING else None)
            for one, state in zip(run.deliveries, states, strict=False)
        ]
        self.ledger.settle(outcomes, [run.id] if ended else [], self.now)

    def settle_done(self, run: Run) -> None:
        self.settle(run, *[State.DONE] * len(run.deliveries))

    def run_all(self) -> list[int]:
        """Run all that can run now, to the end and with success; the event ids in the order in which they ran."""
        ran: list[int] = []
        while runs := self.claim():
            for run in runs:
                ran += event_ids(run)
                self.settle_done(run)
            assert len(ran) < 50_000, "the same is handed out again and again"
        return ran

    def operate(self, verb: Verb, **query: Any) -> list[DeliveryRow]:
        """The deliveries that it changed, as they are now, newest first."""
        changed = self.ledger.operate(Operation(verb, "ada@stage", "because", DeliveryQuery(**query)), self.now)
        return self.ledger.deliveries(DeliveryQuery(ids=changed.ids, limit=10_000)) if changed.ids else []

    def describe(self, *names: str, plugin: str = "plugin", problem: str | None = None, text: str = "") -> dict[str, int]:
        """The plugin was loaded anew and has these callbacks; ``text``: what is in its file, something new if that is left out."""
        callbacks = tuple(callback(name, plugin=plugin, ordinal=place) for place, name in enumerate(names))
        manifest = Manifest(PluginKey(SITE, plugin), 1, callbacks, problem)
        self.texts += 1
        described = self.ledger.describe(replace(file(plugin), fingerprint=text or f"text {self.texts}"), manifest, self.now)
        return dict(described.skipped)

    def enrol(self, *files: PluginFile, state: PluginState = PluginState.LOADING) -> None:
        self.ledger.enrol(files, state, self.now)

    def plugin(self, name: str = "plugin") -> PluginRecord:
        (record,) = [one for one in self.ledger.plugins() if one.key.name == name]
        return record

    def rows(self, *states: State) -> list[DeliveryRow]:
        return self.ledger.deliveries(DeliveryQuery(states=states, limit=10_000))

    def states(self) -> dict[int, State]:
        """Event id → state; for tests with one callback."""
        return {row.event_id: row.state for row in self.rows()}


@contextmanager
def open_desk(adapter: str, folder: Path) -> Iterator[Desk]:
    """A desk on a fresh ledger of that adapter, which must be without fault in the end."""
    desk = Desk(ADAPTERS[adapter].open(folder), folder, ADAPTERS[adapter])
    try:
        yield desk
        assert ADAPTERS[adapter].faults(folder) == []
    finally:
        desk.ledger.close()


def in_state(rows: Sequence[DeliveryRow], state: State) -> list[int]:
    return sorted(row.event_id for row in rows if row.state is state)
