"""The Ledger port where the order is global: the lanes of that key take turns, as if they were one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callsheet.domain.callback import GLOBAL, PluginKey
from callsheet.domain.delivery import NewDelivery, State
from callsheet.domain.operation import Verb
from callsheet.domain.plugin import Manifest, PluginState
from callsheet.domain.reading import Intake
from tests.contracts.ledger import ADAPTERS, Desk, delivery, file, open_desk
from tests.support.events import SITE, callback

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


def load(desk: Desk, name: str, state: PluginState, *, lane: str = GLOBAL, knew: bool = True) -> None:
    """The plugin, which stays behind event 1, is loaded (again, if ``knew``); its callbacks are in that lane."""
    one = file(name, ordinal=int(name == "second"))
    if knew:
        manifest = Manifest(one.key, 1, (callback(plugin=name, lane=lane),))
        desk.ledger.describe(one, manifest, desk.now)
    desk.enrol(one, state=state)
    desk.ledger.record(Intake(SITE, positions={name: 1}), desk.now)


@pytest.mark.parametrize("state", [PluginState.LOADING, PluginState.READY])
def test_nobody_passes_the_place_of_one_that_was_loaded_and_is_not_at_the_cursor_yet(desk: Desk, state: PluginState) -> None:
    # Given events that were read while the first plugin was being loaded
    desk.record(*both(1), *(delivery(number, plugin="second", lane=GLOBAL) for number in (2, 3)))
    load(desk, "first", state)
    # Then nobody goes on behind its place
    assert all_turns(desk) == [(1, "first"), (1, "second")]
    # Until it has got there
    desk.ledger.record(Intake(SITE, tuple(delivery(number, plugin="first", lane=GLOBAL) for number in (2, 3))), desk.now)
    desk.ledger.record(Intake(SITE, positions={"first": None}), desk.now)
    assert all_turns(desk) == [(2, "first"), (2, "second"), (3, "first"), (3, "second")]


def test_one_of_a_later_place_in_the_order_is_waited_for_behind_that_event(desk: Desk) -> None:
    desk.record(*both(1), *(delivery(number, plugin="first", lane=GLOBAL) for number in (2, 3)))
    load(desk, "second", PluginState.LOADING)
    assert all_turns(desk) == [(1, "first"), (1, "second"), (2, "first")]


def test_one_that_is_loaded_for_the_first_time_may_be_one_of_them(desk: Desk) -> None:
    desk.record(*(delivery(number, plugin="second", lane=GLOBAL) for number in (1, 2)))
    load(desk, "first", PluginState.LOADING, knew=False)
    assert all_turns(desk) == [(1, "second")]


@pytest.mark.parametrize("state", [PluginState.LOADING, PluginState.READY])
def test_one_that_is_not_called_in_turn_is_not_waited_for(desk: Desk, state: PluginState) -> None:
    desk.record(*(delivery(number, plugin="second", lane=GLOBAL) for number in (1, 2)))
    load(desk, "first", state, lane="entity")
    assert all_turns(desk) == [(1, "second"), (2, "second")]


def broken(desk: Desk) -> None:
    desk.enrol(file("first", ordinal=0), state=PluginState.BROKEN)


def gone(desk: Desk) -> None:
    desk.enrol(file("first", ordinal=0), state=PluginState.GONE)


def held_by_an_operator(desk: Desk) -> None:
    desk.operate(Verb.HOLD, plugin="first")


def held_lane(desk: Desk) -> None:
    desk.operate(Verb.HOLD, plugin="first", lane=GLOBAL)


def held_by_a_failure(desk: Desk) -> None:
    desk.settle(desk.claim_one(), State.HELD)


@pytest.mark.parametrize("stop", [broken, gone, held_by_an_operator, held_lane, held_by_a_failure])
def test_one_behind_that_can_not_go_on_is_passed_by(desk: Desk, stop: Callable[[Desk], None]) -> None:
    desk.record(*both(1), delivery(2, plugin="second", lane=GLOBAL))
    load(desk, "first", PluginState.READY)
    stop(desk)
    del desk.free[FIRST]
    assert all_turns(desk) == [(1, "second"), (2, "second")]


def test_lanes_of_other_keys_and_other_sites_take_no_part(desk: Desk) -> None:
    elsewhere = PluginKey("elsewhere", "first")
    desk.enrol(file("first", site="elsewhere"), state=PluginState.READY)
    desk.free[elsewhere] = 1
    desk.free[SECOND] = 2
    desk.record(*both(1), delivery(9, plugin="second", lane="Task:1"))
    desk.record(delivery(1, plugin="first", lane=GLOBAL, site="elsewhere"), site="elsewhere")
    assert {(run.plugin, run.lane) for run in desk.claim()} == {(FIRST, GLOBAL), (elsewhere, GLOBAL), (SECOND, "Task:1")}
