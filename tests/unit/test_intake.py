"""The intake service, step by step: a real ledger, a log in memory, and plugins that are whatever the test says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from callsheet.desk import DeliveryQuery
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.model import Callback, Intake, Outcome, PluginFile, PluginKey, PluginState, State
from callsheet.services.at_cursor import Reading
from callsheet.services.intake import IntakeService
from callsheet.services.outage import Outage
from callsheet.services.roster import Ready
from tests.support.events import CREATED_AT, SITE, callback
from tests.support.memory_log import MemoryLog

NOW = datetime.fromisoformat(CREATED_AT).timestamp() + 1


class Cast:
    """Stands for the Roster: the plugins that are ready."""

    def __init__(self) -> None:
        self._version = 0
        self.callbacks: dict[str, tuple[Callback, ...]] = {}

    def enter(self, *names: str) -> None:
        self._version += 1
        self.callbacks = {name: (callback("react", plugin=name),) for name in (*self.callbacks, *names)}

    def leave(self, name: str) -> None:
        self._version += 1
        self.callbacks = {other: one for other, one in self.callbacks.items() if other != name}

    def ready(self, _site: str) -> Ready:
        return Ready(self._version, self.callbacks)

    def starting(self, _site: str) -> bool:
        return False

    def state(self, _site: str, plugin: str) -> PluginState:
        return PluginState.READY if plugin in self.callbacks else PluginState.BROKEN


class Desk:
    """An intake on its ledger, with a log and a cast to change between steps."""

    def __init__(self, ledger: SqliteLedger, *, most_waiting: int = 5000) -> None:
        self.ledger = ledger
        self.log = MemoryLog([])
        self.cast = Cast()
        self.time = 0.0
        self.intake = IntakeService(
            Reading(SITE, "http://site", poll=1.0, page=4, most_waiting=most_waiting),
            ledger,
            self.cast,  # type: ignore[arg-type]  # has what the intake asks of a Roster
            log=self.log,
            outage=Outage(SITE, "http://site", longest=1.0, tries=5, clock=lambda: NOW, steady=lambda: self.time),
            recorded=lambda: None,
            begin=lambda log: None,
            clock=lambda: NOW,
            steady=lambda: self.time,
        )

    def enrol(self, *names: str) -> None:
        files = [PluginFile(PluginKey(SITE, name), f"/plugins/{name}.py", place, 1.0) for place, name in enumerate(names)]
        self.ledger.enrol(files, PluginState.READY, NOW)
        self.cast.enter(*names)

    def stand(self, cursor: int, **positions: int | None) -> None:
        self.ledger.record(Intake(SITE, cursor=cursor, positions=positions), NOW)

    def step(self, count: int = 1) -> None:
        """Let time pass, so that a poll is due, and do a step."""
        for _ in range(count):
            self.time += 1.0
            self.intake.step()

    def got(self, plugin: str) -> list[int]:
        return sorted(row.event_id for row in self.ledger.deliveries(DeliveryQuery(plugin=plugin, limit=1000)))

    def positions(self) -> dict[str, int | None]:
        return dict(self.ledger.site(SITE).positions)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield Desk(ledger)
    ledger.close()


def test_a_plugin_that_joins_gets_the_page_that_is_read_in_the_same_step(desk: Desk) -> None:
    # Given one plugin at the cursor, one behind it, and events on both sides
    desk.enrol("ahead", "behind")
    desk.stand(5, behind=3)
    desk.log.ids += range(1, 9)
    # When the one behind catches up, and the next page is read at once
    desk.step()
    # Then both have it
    assert desk.positions() == {"ahead": None, "behind": None}
    assert desk.got("ahead") == [6, 7, 8]
    assert desk.got("behind") == [4, 5, 6, 7, 8]


def test_a_plugin_that_can_not_be_routed_to_keeps_its_place(desk: Desk) -> None:
    desk.enrol("well", "broken")
    desk.stand(5)
    desk.log.ids += range(6, 9)
    desk.cast.leave("broken")
    desk.step()
    assert desk.positions() == {"well": None, "broken": 5}
    desk.cast.enter("broken")
    desk.step(2)
    assert desk.positions()["broken"] is None
    assert desk.got("broken") == desk.got("well") == [6, 7, 8]


def test_plugins_at_different_places_meet_and_each_event_is_read_for_each_once(desk: Desk) -> None:
    desk.enrol("a", "b", "c")
    desk.stand(20, a=3, b=9)
    desk.log.ids += range(1, 31)
    desk.step(20)
    assert desk.got("a") == list(range(4, 31))
    assert desk.got("b") == list(range(10, 31))
    assert desk.got("c") == list(range(21, 31))


def test_a_full_plugin_waits_and_the_others_go_on(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    try:
        desk = Desk(ledger, most_waiting=8)
        desk.enrol("full", "free")
        desk.stand(0)
        desk.log.ids += range(1, 40)
        for _ in range(30):
            desk.step()
            while runs := ledger.claim({PluginKey(SITE, "free"): 1}, 500, "me", NOW)[0]:
                ledger.settle([_done(one.id) for run in runs for one in run.deliveries], [run.id for run in runs], NOW)
        assert desk.got("free") == list(range(1, 40))
        assert len(desk.got("full")) <= 8 + 4
        assert desk.positions()["full"] == desk.got("full")[-1]
    finally:
        ledger.close()


def test_a_late_event_reaches_a_plugin_that_was_broken_when_it_showed(desk: Desk) -> None:
    desk.enrol("well", "broken")
    desk.stand(5)
    desk.log.ids += [6, 8]  # 7 is missing
    desk.step()
    desk.cast.leave("broken")
    desk.log.ids.append(7)
    desk.step(2)
    assert desk.got("well") == [6, 7, 8]
    assert desk.got("broken") == [6, 8]
    desk.cast.enter("broken")
    desk.step(2)
    assert desk.got("broken") == [6, 7, 8]


def _done(number: int) -> Outcome:
    return Outcome(number, State.DONE, 1, 0, NOW, NOW)
