"""The replay service, step by step: a real ledger, a log in memory, and plugins that are whatever the test says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import DeliveryQuery, Outcome, State
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.plugin import PluginFile, PluginState
from callsheet.domain.reading import Intake
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.services.replay_service import ReplayService
from callsheet.telemetry import recording
from tests.support.events import SITE
from tests.support.intake_bench import Cast
from tests.support.memory_log import MemoryLog

NOW = 1000.0
PLUGIN = PluginKey(SITE, "plugin")


class Desk:
    """A replay service on its ledger, at cursor 100, over a log of the ids 1 to 120."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self.ledger = ledger
        self.log = MemoryLog(range(1, 121))
        self.cast = Cast()
        self.cast.enter("plugin")
        ledger.enrol([PluginFile(PLUGIN, "/plugins/plugin.py", 0, 1.0)], PluginState.READY, NOW)
        ledger.record(Intake(SITE, cursor=100), NOW)
        self.service = ReplayService(
            SITE,
            ledger,
            self.cast,  # type: ignore[arg-type]  # has what the service asks of a Roster
            self.log,
            page=10,
            most_waiting=60,
            recorded=lambda: None,
            clock=lambda: NOW,
        )

    def ask(self, *ranges: tuple[int, int], callback: str | None = None) -> None:
        query = DeliveryQuery(site=SITE, plugin="plugin", callback=callback)
        self.ledger.operate(Operation(Verb.REPLAY, "ada", "", query, ranges), NOW)

    def work(self) -> list[int]:
        """Run all that waits; the event ids in their order."""
        ran = []
        while runs := self.ledger.claim({PLUGIN: 1}, 500, "me", NOW)[0]:
            for run in runs:
                ran += [one.event_id for one in run.deliveries]
                outcomes = [Outcome(one.id, State.DONE, 1, 0, NOW, NOW) for one in run.deliveries]
                self.ledger.settle(outcomes, [run.id], NOW)
        return ran

    def steps(self) -> int:
        """Step until there is nothing to do; how many it took."""
        for number in range(1, 100):
            if self.service.step() > 0:
                return number
        raise AssertionError("it never ends")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield Desk(ledger)
    ledger.close()


def test_a_range_is_read_page_by_page_and_told(desk: Desk) -> None:
    desk.ask((5, 29))
    with recording() as signals:
        desk.steps()
    assert desk.work() == list(range(5, 30))
    assert [one.facts["position"] for one in signals.named("replay.read")] == [14, 24, 29]
    (ended,) = signals.named("replay.ended")
    assert (ended.facts["events"], ended.facts["deliveries"], ended.facts["plugin"]) == (25, 25, "plugin")
    assert desk.ledger.site(SITE).replays == ()
    assert desk.service.caught_up


def test_single_events_share_requests(desk: Desk) -> None:
    desk.ask((3, 3), (50, 52), (70, 70))
    assert desk.steps() == 2  # one request, and a look that finds nothing
    assert desk.work() == [3, 50, 51, 52, 70]


def test_it_waits_while_the_plugin_has_too_much_waiting(desk: Desk) -> None:
    desk.ask((1, 90))
    desk.steps()
    assert desk.service.crowded
    assert desk.service.caught_up
    ran = desk.work()
    assert ran == list(range(1, 31))
    while desk.ledger.site(SITE).replays:
        desk.steps()
        ran += desk.work()
    assert ran == list(range(1, 91))
    assert not desk.service.crowded


def test_it_waits_while_the_plugin_is_broken(desk: Desk) -> None:
    desk.ask((1, 5))
    desk.cast.leave("plugin")
    desk.steps()
    assert desk.work() == []
    desk.cast.enter("plugin")
    desk.steps()
    assert desk.work() == [1, 2, 3, 4, 5]


def test_it_stops_where_the_plugin_has_come_to(desk: Desk) -> None:
    desk.ledger.record(Intake(SITE, positions={"plugin": 60}), NOW)
    desk.ask((55, 120))
    desk.steps()
    assert desk.work() == [55, 56, 57, 58, 59, 60]
    assert desk.ledger.site(SITE).replays == ()


def test_only_the_callback_that_was_named_gets_it(desk: Desk) -> None:
    desk.ask((1, 5), callback="another")
    desk.ask((7, 7), callback="react")
    desk.steps()
    assert desk.work() == [7]
    assert [one.deliveries for one in desk.ledger.overview().replays] == [1, 0]


def test_a_service_that_is_new_goes_on_where_the_old_one_was(desk: Desk) -> None:
    desk.ask((1, 30))
    desk.service.step()
    again = Desk(desk.ledger)
    with recording("replay.began") as signals:
        again.steps()
    assert signals.named("replay.began")[0].facts["position"] == 10
    assert again.work() == list(range(1, 31))


def test_idle_it_asks_the_site_nothing(desk: Desk) -> None:
    desk.log.read = None  # type: ignore[assignment,method-assign]  # to be called is to fail
    assert desk.service.step() > 0
