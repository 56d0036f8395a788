"""The Ledger port where the order is global: the lanes of that key take turns, as if they were one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet.desk import Verb
from callsheet.model import GLOBAL, NewDelivery, PluginKey, PluginState, State
from tests.contracts.ledger import ADAPTERS, Desk, delivery, file, open_desk
from tests.support.events import SITE

FIRST, SECOND = PluginKey(SITE, "first"), PluginKey(SITE, "second")
Ran = list[tuple[int, str]]


@pytest.fixture(params=ADAPTERS)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    with open_desk(request.param, tmp_path) as one:
        one.enrol(file("first", ordinal=0), file("second", ordinal=1), state=PluginState.READY)
        one.free = {FIRST: 1, SECOND: 1}
        yield one


def both(*events: int) -> list[NewDelivery]:
    return [delivery(number, plugin=name, lane=GLOBAL) for number in events for name in ("first", "second")]


def one_turn(desk: Desk) -> Ran:
    """Claim and finish what may run now; it must be one plugin's."""
    runs = desk.claim()
    assert len(runs) <= 1, "two plugins ran beside each other"
    assert not runs or desk.claim() == [], "another turn began before this one had ended"
    for run in runs:
        desk.settle_done(run)
    return [(one.event_id, run.plugin.name) for run in runs for one in run.deliveries]


def all_turns(desk: Desk) -> Ran:
    ran: Ran = []
    while turn := one_turn(desk):
        ran += turn
    return ran


def test_event_by_event_and_within_one_in_the_plugins_order(desk: Desk) -> None:
    desk.record(*both(1, 2))
    assert all_turns(desk) == [(1, "first"), (1, "second"), (2, "first"), (2, "second")]


def test_what_only_one_plugin_wants_is_one_run(desk: Desk) -> None:
    desk.record(*(delivery(number, plugin="first", lane=GLOBAL) for number in (1, 2, 3)), *both(4))
    assert one_turn(desk) == [(1, "first"), (2, "first"), (3, "first"), (4, "first")]
    assert one_turn(desk) == [(4, "second")]


def test_a_delivery_that_is_tried_again_keeps_the_others_waiting(desk: Desk) -> None:
    desk.record(*both(1))
    desk.settle(desk.claim_one(), State.RETRYING, due=desk.now + 5)
    assert desk.claim() == []
    assert desk.next_due() == desk.now + 5
    desk.now += 5
    assert all_turns(desk) == [(1, "first"), (1, "second")]


@pytest.mark.parametrize("state", [PluginState.BROKEN, PluginState.GONE])
def test_a_plugin_that_can_not_run_does_not_keep_the_others(desk: Desk, state: PluginState) -> None:
    desk.record(*both(1, 2))
    desk.enrol(file("first", ordinal=0), state=state)
    del desk.free[FIRST]
    assert all_turns(desk) == [(1, "second"), (2, "second")]


def test_a_plugin_that_is_held_does_not_keep_the_others_and_catches_up(desk: Desk) -> None:
    desk.record(*both(1, 2))
    desk.settle(desk.claim_one(), State.HELD)
    assert all_turns(desk) == [(1, "second"), (2, "second")]
    desk.operate(Verb.RELEASE, plugin="first")
    assert all_turns(desk) == [(1, "first"), (2, "first")]


def test_a_plugin_that_loads_is_waited_for(desk: Desk) -> None:
    desk.record(*both(1))
    desk.enrol(file("first", ordinal=0), state=PluginState.LOADING)
    del desk.free[FIRST]
    assert desk.claim() == []
    desk.free[FIRST] = 1
    assert all_turns(desk) == [(1, "first"), (1, "second")]


def test_lanes_of_other_keys_and_other_sites_take_no_part(desk: Desk) -> None:
    elsewhere = PluginKey("elsewhere", "first")
    desk.enrol(file("first", site="elsewhere"), state=PluginState.READY)
    desk.free[elsewhere] = 1
    desk.free[SECOND] = 2
    desk.record(*both(1), delivery(9, plugin="second", lane="Task:1"))
    desk.record(delivery(1, plugin="first", lane=GLOBAL, site="elsewhere"), site="elsewhere")
    assert {(run.plugin, run.lane) for run in desk.claim()} == {(FIRST, GLOBAL), (elsewhere, GLOBAL), (SECOND, "Task:1")}
