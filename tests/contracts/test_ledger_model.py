"""The Ledger port against a model so naive that it can be seen to be right: random work, kills and commands, then compare.

What must hold at every moment: nothing is lost or doubled, a lane is with one run at a time, a run is the beginning of what its
lane has open, in order, and all counts are those that counting would give.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import DeliveryQuery, NewDelivery, Outcome, Run, State
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.plugin import Manifest
from callsheet.domain.reading import Intake, Replay
from tests.contracts.ledger import ADAPTERS, Desk, delivery, file
from tests.support.events import SITE, callback

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "60"))
PLUGINS = {"even": ("react", "answer"), "odd": ("react",)}
LANES = ("left", "right")
TAKES = {
    Verb.RETRY: {State.DEAD, State.HELD, State.RETRYING, State.SKIPPED},
    Verb.SKIP: {State.WAITING, State.RETRYING, State.HELD, State.DEAD},
    Verb.RELEASE: {State.HELD},
}

plugins = st.sampled_from(sorted(PLUGINS))
lanes = st.sampled_from(LANES)


@dataclass(eq=False)
class Entry:
    """A delivery as the model sees it. ``run``: the one it is handed out in."""

    event_id: int
    plugin: str
    callback: str
    ordinal: int
    lane: str
    state: State = State.WAITING
    attempts: int = 0
    due: float | None = None
    run: int | None = None

    @property
    def shown(self) -> State:
        return State.RUNNING if self.run is not None and self.state is State.WAITING else self.state


@dataclass
class Lane:
    """Its deliveries, in the order in which they are to run, and the run that has it."""

    entries: list[Entry] = field(default_factory=list)
    run: int | None = None

    def open(self) -> list[Entry]:
        return sorted((one for one in self.entries if one.state < State.DONE), key=lambda one: (one.event_id, one.ordinal))

    def ready_at(self, now: float) -> float | None:
        """When it may be handed out; None: not before something else happens."""
        waiting = self.open()
        if self.run is not None or not waiting or any(one.state is State.HELD for one in waiting):
            return None
        return now if waiting[0].due is None else waiting[0].due

    def next_run(self, most: int, now: float) -> list[Entry]:
        taken: list[Entry] = []
        for one in self.open()[:most]:
            if one.due is not None and one.due > now:
                break
            taken.append(one)
        return taken


@dataclass
class Out:
    """A run that is handed out, and how many of its deliveries were reported."""

    run: Run
    entries: list[Entry]
    lane: Lane
    reported: int = 0
    stopped: bool = False


class LedgerMachine(RuleBasedStateMachine):
    """Does the same to a ledger and to the model."""

    adapter = "sqlite"

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        adapter, folder = ADAPTERS[self.adapter], Path(self.folder.name)
        self.desk = Desk(adapter.open(folder), folder, adapter)
        self.lanes: dict[tuple[str, str], Lane] = {(plugin, lane): Lane() for plugin in PLUGINS for lane in LANES}
        self.known: dict[tuple[int, str, str], Entry] = {}
        self.out: dict[int, Out] = {}
        self.seen_runs: set[int] = set()
        self.holds: set[tuple[str, str | None]] = set()
        self.texts: dict[str, str] = {}
        self.desk.enrol(*map(file, PLUGINS))

    def teardown(self) -> None:
        assert self.desk.adapter.faults(self.desk.folder) == []
        self.desk.ledger.close()
        self.folder.cleanup()

    @property
    def now(self) -> float:
        return self.desk.now

    # -- what a daemon does

    @rule(page=st.lists(st.tuples(st.integers(1, 12), plugins, lanes), min_size=1, max_size=8))
    def record(self, page: list[tuple[int, str, str]]) -> None:
        news: list[NewDelivery] = []
        fresh = 0
        for event_id, plugin, lane in page:
            for ordinal, name in enumerate(PLUGINS[plugin]):
                news.append(delivery(event_id, name, plugin=plugin, lane=lane, ordinal=ordinal))
                key = (event_id, plugin, name)
                if key not in self.known:
                    fresh += 1
                    self.known[key] = Entry(event_id, plugin, name, ordinal, lane)
                    self.lanes[plugin, lane].entries.append(self.known[key])
        assert self.desk.record(*news, cursor=max(event_id for event_id, _, _ in page)) == fresh

    @rule(page=st.lists(st.tuples(st.integers(1, 12), lanes), min_size=1, max_size=8))
    def replay(self, page: list[tuple[int, str]]) -> None:
        news: list[NewDelivery] = []
        changed = 0
        for event_id, lane in page:
            for ordinal, name in enumerate(PLUGINS["even"]):
                news.append(delivery(event_id, name, plugin="even", lane=lane, ordinal=ordinal))
                key = (event_id, "even", name)
                known = self.known.get(key)
                if known is not None and known.state < State.DONE:
                    continue
                changed += 1
                if known is None:
                    self.known[key] = Entry(event_id, "even", name, ordinal, lane)
                else:
                    self.lanes["even", known.lane].entries.remove(known)
                    known.state, known.attempts, known.due, known.run, known.lane = State.WAITING, 0, self.now, None, lane
                self.lanes["even", lane].entries.append(self.known[key])
        replay = Replay(1, PluginKey(SITE, "even"), None, ((1, 12),))
        assert self.desk.ledger.record(Intake(SITE, tuple(news), replay=replay), self.now) == changed

    @rule(free=st.fixed_dictionaries({name: st.integers(0, 3) for name in PLUGINS}), most=st.integers(1, 5))
    def claim(self, free: dict[str, int], most: int) -> None:
        free_lanes = {key: lane for key, lane in self.lanes.items() if not {key, (key[0], None)} & self.holds}
        ready = {key: at for key, lane in free_lanes.items() if (at := lane.ready_at(self.now)) is not None}
        slots = {PluginKey(SITE, name): count for name, count in free.items()}
        runs, due = self.desk.ledger.claim(slots, most, "owner", self.now)
        for name, count in free.items():
            able = [key for key, at in ready.items() if key[0] == name and at <= self.now]
            got = [run for run in runs if run.plugin.name == name]
            assert len(got) == min(count, len(able))
            assert {(name, run.lane) for run in got} <= set(able)
        assert len({(run.plugin, run.lane) for run in runs}) == len(runs)
        later = [at for (name, _), at in ready.items() if free.get(name, 0) > 0 and at > self.now]
        assert due == min(later, default=None)
        for run in runs:
            self._hand_out(run, most)

    def _hand_out(self, run: Run, most: int) -> None:
        assert run.id not in self.seen_runs
        self.seen_runs.add(run.id)
        lane = self.lanes[run.plugin.name, run.lane]
        entries = lane.next_run(most, self.now)
        got = [(one.event_id, one.callback.plugin.name, one.callback.name, one.attempts) for one in run.deliveries]
        assert got == [(one.event_id, one.plugin, one.callback, one.attempts) for one in entries]
        lane.run = run.id
        for one in entries:
            one.state, one.due, one.run = State.WAITING, None, run.id
        self.out[run.id] = Out(run, entries, lane)

    @precondition(lambda self: self.out)
    @rule(
        data=st.data(),
        states=st.lists(
            st.sampled_from([State.DONE, State.DONE, State.DEAD, State.SKIPPED, State.RETRYING, State.HELD]), min_size=1, max_size=4
        ),
        end=st.booleans(),
        wait=st.integers(0, 5),
    )
    def settle(self, data: st.DataObject, states: list[State], end: bool, wait: int) -> None:
        out = self.out[data.draw(st.sampled_from(sorted(self.out)))]
        outcomes = []
        for state in states:
            if out.stopped or out.reported == len(out.entries):
                break
            number, entry = out.run.deliveries[out.reported].id, out.entries[out.reported]
            out.reported += 1
            out.stopped = state in {State.RETRYING, State.HELD}
            due = self.now + wait if state is State.RETRYING else None
            attempts = out.run.deliveries[out.reported - 1].attempts + 1
            outcomes.append(Outcome(number, state, attempts, 0, self.now, self.now, due))
            if entry.state < State.DONE or state >= State.DONE:
                entry.state, entry.attempts, entry.due, entry.run = state, attempts, due, None
        ended = end or out.stopped
        self.desk.ledger.settle(outcomes, [out.run.id] if ended else [], self.now)
        if ended:
            self._give_back(out)

    def _give_back(self, out: Out) -> None:
        out.lane.run = None
        for one in out.entries:
            if one.run == out.run.id:
                one.run = None
        del self.out[out.run.id]

    @rule()
    def die_and_recover(self) -> None:
        self.desk.reopen()
        running = sum(one.shown is State.RUNNING for one in self.known.values())
        assert self.desk.ledger.recover("owner", self.now) == running
        for out in list(self.out.values()):
            self._give_back(out)

    @rule(plugin=plugins, keep=st.booleans(), text=st.sampled_from(["one", "other"]))
    def reload(self, plugin: str, keep: bool, text: str) -> None:
        names = PLUGINS[plugin] if keep else PLUGINS[plugin][:1]
        callbacks = tuple(callback(name, plugin=plugin) for name in names)
        manifest = Manifest(PluginKey(SITE, plugin), 1, callbacks)
        described = self.desk.ledger.describe(replace(file(plugin), fingerprint=text), manifest, self.now)
        orphans = [
            one for one in self.known.values() if one.plugin == plugin and one.state < State.DONE and one.callback not in names
        ]
        assert described.skipped == Counter(one.callback for one in orphans)
        for one in orphans:
            one.state, one.due, one.run = State.SKIPPED, None, None
        another = self.texts.get(plugin) != text
        self.texts[plugin] = text
        held = [one for one in self.known.values() if one.plugin == plugin and one.state is State.HELD]
        assert described.released == (len(held) if another else 0)
        for one in held if another else []:
            one.state, one.attempts, one.due = State.WAITING, 0, self.now
        for one in self.known.values():
            if another and one.plugin == plugin and one.state is State.RETRYING:
                one.attempts = 0

    # -- what operators do

    @rule(plugin=plugins, lane=st.none() | lanes)
    def hold(self, plugin: str, lane: str | None) -> None:
        with self.desk.other_process() as cli:
            assert cli.operate(Operation(Verb.HOLD, "ada@stage", query=DeliveryQuery(plugin=plugin, lane=lane)), self.now).ids == ()
        self.holds.add((plugin, lane))

    @rule(
        verb=st.sampled_from(sorted(TAKES)),
        plugin=plugins,
        lane=st.none() | lanes,
        event_id=st.none() | st.integers(1, 12),
        states=st.sets(st.sampled_from(State)),
    )
    def operate(self, verb: Verb, plugin: str, lane: str | None, event_id: int | None, states: set[State]) -> None:
        query = DeliveryQuery(tuple(sorted(states)), plugin=plugin, lane=lane, event_id=event_id)
        with self.desk.other_process() as cli:
            changed = cli.operate(Operation(verb, "ada@stage", query=query), self.now)
        shown = self.desk.ledger.deliveries(DeliveryQuery(ids=changed.ids)) if changed.ids else []
        if verb is Verb.RELEASE:
            self.holds -= {one for one in self.holds if one[0] == plugin and lane in {None, one[1]}}
        wanted = [
            one
            for one in self.known.values()
            if one.plugin == plugin
            and (lane is None or one.lane == lane)
            and (event_id is None or one.event_id == event_id)
            and one.shown in (TAKES[verb] & states if states else TAKES[verb])
        ]
        assert sorted((row.event_id, row.callback) for row in shown) == sorted((one.event_id, one.callback) for one in wanted)
        for one in wanted:
            one.run = None
            if verb is Verb.SKIP:
                one.state, one.due = State.SKIPPED, None
            else:
                one.state, one.attempts, one.due = State.WAITING, 0, self.now

    @rule(seconds=st.integers(1, 4))
    def time_passes(self, seconds: int) -> None:
        self.desk.now += seconds

    # -- what must hold

    @invariant()
    def every_delivery_stands_where_the_model_has_it(self) -> None:
        rows = {(row.event_id, row.plugin, row.callback): (row.lane, row.state, row.attempts) for row in self.desk.rows()}
        assert rows == {key: (one.lane, one.shown, one.attempts) for key, one in self.known.items()}

    @invariant()
    def counts_are_what_counting_gives(self) -> None:
        shown = self.desk.ledger.overview()
        counted = Counter(one.shown for one in self.known.values())
        assert shown.states == {state: counted[state] for state in State}
        for record in shown.plugins:
            mine = [one for one in self.known.values() if one.plugin == record.key.name]
            assert record.waiting == sum(one.state < State.DONE for one in mine)
            assert record.held == sum(one.state is State.HELD for one in mine)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_ledger_behaves_like_the_model(adapter: str) -> None:
    machine = type("Machine", (LedgerMachine,), {"adapter": adapter})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)),
    )
