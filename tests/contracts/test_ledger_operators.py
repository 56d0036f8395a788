"""The Ledger port for what operators ask and do: find deliveries, hold and release, replay, and what is on record of it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from callsheet.domain.callback import GLOBAL, CallbackKey, PluginKey
from callsheet.domain.delivery import DeliveryQuery, Failure, NewDelivery, Outcome, State
from callsheet.domain.event import Event
from callsheet.domain.operation import Operation, Reset, Verb
from callsheet.domain.overview import Heartbeat, SiteHealth
from callsheet.domain.plugin import DAEMON, Hold, PluginState
from callsheet.domain.reading import Absence, Fingerprint, Gap, Intake, Replay
from callsheet.errors import StateError
from callsheet.policy.log_identity import UNFINISHED
from tests.contracts.ledger import PLUGIN, Desk, delivery, event_ids, file
from tests.support.events import ENTITIES, SITE, event

DONE, DEAD, SKIPPED, HELD, RETRYING, WAITING, RUNNING = (
    State.DONE,
    State.DEAD,
    State.SKIPPED,
    State.HELD,
    State.RETRYING,
    State.WAITING,
    State.RUNNING,
)


def listed(desk: Desk, **query: Any) -> list[int]:
    return [row.event_id for row in desk.ledger.deliveries(DeliveryQuery(**query))]


# -- find


def _about(number: int, **data: Any) -> NewDelivery:
    facts = {"id": number, "event_type": "Shotgun_Task_Change", "entity": None, "project": None, "meta": None, **data}
    return NewDelivery(CallbackKey(PLUGIN, "react"), 0, Event(SITE, facts), f"lane {number}")


def test_deliveries_are_found_by_what_their_event_says(desk: Desk) -> None:
    meta = {"entity_type": "Task", "entity_id": 14}
    desk.record(
        _about(1, entity={"type": "Task", "id": 14}, project={"type": "Project", "id": 97, "name": "The Lighthouse"}),
        _about(2, entity=None, meta=meta, project={"type": "Project", "id": 98, "name": "Ferry"}),
        _about(3, entity={"type": "Shot", "id": 14}, meta=json.dumps({"entity_type": "Shot", "entity_id": 14})),
        _about(4, meta=json.dumps(meta)),
        _about(5, meta="no JSON", event_type="Shotgun_Shot_New"),
        _about(6, meta=["Task", 14]),
    )
    assert listed(desk, entity=("Task", 14)) == [4, 2, 1]
    assert listed(desk, entity=("Shot", 14)) == [3]
    assert listed(desk, project=97) == [1]
    assert listed(desk, project="Ferry") == [2]
    assert listed(desk, event_type="Shotgun_Shot_New") == [5]
    assert listed(desk, entity=("Task", 14), project=98) == [2]


def test_deliveries_are_found_by_the_entity_that_their_event_is_about(desk: Desk) -> None:
    facts = [event(number, **data).data for number, (_, data, _) in enumerate(ENTITIES, 1)]
    desk.record(*(_about(one["id"], **{key: value for key, value in one.items() if key != "id"}) for one in facts))
    for link in (("Task", 9), ("Task", 14), ("Shot", 3)):
        wanted = [number for number, (_, _, entity) in enumerate(ENTITIES, 1) if entity == link]
        assert listed(desk, entity=link) == wanted[::-1]


def test_deliveries_are_found_by_callback_age_range_and_error(desk: Desk) -> None:
    desk.record(delivery(1), delivery(2), delivery(2, "other"), delivery(3, "other", plugin="more"))
    run = desk.claim_one()
    failure = Failure("requests.ConnectionError", "away")
    one, two, _ = run.deliveries
    lost = Outcome(one.id, DEAD, 1, 0, desk.now, desk.now, failure=failure)
    desk.ledger.settle([lost, desk.outcome(two.id, DEAD)], [run.id], desk.now)
    desk.now += 100
    desk.record_events(4)
    assert listed(desk, callback="other") == [3, 2]
    assert listed(desk, callback="other", plugin="plugin") == [2]
    assert listed(desk, before=desk.now) == [3, 2, 2, 1]
    assert listed(desk, before=desk.now, since=desk.now - 100) == [3, 2, 2, 1]
    assert listed(desk, events=(2, 3)) == [3, 2, 2]
    assert listed(desk, error="ConnectionError") == [1]
    assert listed(desk, error="requests.ConnectionError", states=(DEAD,)) == [1]
    assert listed(desk, error="Error") == []


def test_a_delivery_in_full_has_each_failed_attempt(desk: Desk) -> None:
    desk.record_events(1)
    for number in (1, 2):
        desk.now += 10
        desk.settle(desk.claim_one(), RETRYING, due=desk.now)
        assert desk.rows()[0].attempts == number
    desk.settle(desk.claim_one(), DEAD)
    desk.operate(Verb.RETRY, event_id=1)
    desk.settle(desk.claim_one(), DEAD)
    (row,) = desk.ledger.deliveries(DeliveryQuery(failures=True))
    assert [(one.number, one.state, one.started) for one in row.history] == [
        (1, RETRYING, 1010.0),
        (2, RETRYING, 1020.0),
        (3, DEAD, 1020.0),
        (1, DEAD, 1020.0),
    ]
    assert {(one.failure.kind, one.failure.traceback, one.failure.locals) for one in row.history} == {
        ("ValueError", "Traceback…", "x = 1")
    }
    assert desk.rows()[0].history == ()


# -- hold and release


def test_nothing_of_a_held_plugin_is_handed_out_until_it_is_released(desk: Desk) -> None:
    other = PluginKey(SITE, "other")
    desk.free = {PLUGIN: 9, other: 9}
    desk.record(delivery(1, lane="a"), delivery(2, lane="b"), delivery(3, plugin="other"))
    assert desk.operate(Verb.HOLD, plugin="plugin") == []
    assert desk.run_all() == [3]
    desk.record(delivery(4, lane="a"), delivery(5, lane="a new one"))
    assert desk.claim() == []
    assert desk.next_due() is None
    desk.reopen()
    assert desk.claim() == []
    assert desk.plugin().hold == Hold(None, 1000.0, "ada@stage", "because")
    assert (desk.plugin().waiting, desk.plugin().held) == (4, 0)
    assert desk.operate(Verb.RELEASE, plugin="plugin") == []
    assert desk.plugin().holds == ()
    assert sorted(desk.run_all()) == [1, 2, 4, 5]


def test_a_held_lane_stands_still_and_no_other_also_one_that_is_new(desk: Desk) -> None:
    desk.free = {PLUGIN: 9}
    desk.record(delivery(1, lane="a"), delivery(2, lane="b"))
    desk.operate(Verb.HOLD, plugin="plugin", lane="a")
    desk.operate(Verb.HOLD, plugin="plugin", lane="later")
    assert desk.run_all() == [2]
    desk.record(delivery(3, lane="later"), delivery(4, lane="b"), delivery(5, lane="a"))
    assert desk.run_all() == [4]
    assert [one.lane for one in desk.plugin().holds] == ["a", "later"]
    assert desk.plugin().hold is None
    desk.operate(Verb.RELEASE, plugin="plugin", lane="later")
    assert desk.run_all() == [3]
    desk.operate(Verb.RELEASE, plugin="plugin")
    assert desk.run_all() == [1, 5]


def test_held_lanes_do_not_take_the_slots_of_others(desk: Desk) -> None:
    desk.record(*(delivery(number, lane=f"lane {number}") for number in range(1, 9)))
    for number in range(1, 8):
        desk.operate(Verb.HOLD, plugin="plugin", lane=f"lane {number}")
    assert event_ids(desk.claim_one()) == [8]


def test_what_runs_when_a_hold_comes_finishes_and_nothing_follows(desk: Desk) -> None:
    desk.record_events(1, 2, 3)
    run = desk.claim_one(most=1)
    desk.operate(Verb.HOLD, plugin="plugin")
    assert desk.states() == {1: RUNNING, 2: WAITING, 3: WAITING}
    desk.settle_done(run)
    assert desk.claim() == []
    desk.operate(Verb.RELEASE, plugin="plugin")
    assert event_ids(desk.claim_one()) == [2, 3]


def test_a_hold_outlives_a_reload_and_what_it_releases(desk: Desk) -> None:
    desk.describe("react")
    desk.record_events(1, 2)
    desk.settle(desk.claim_one(), HELD)
    desk.operate(Verb.HOLD, plugin="plugin")
    desk.describe("react")
    assert desk.states() == {1: WAITING, 2: WAITING}
    assert desk.claim() == []
    assert desk.ledger.recover("next", desk.now) == 0
    assert desk.claim() == []
    assert desk.plugin().hold is not None


def test_a_release_ends_both_kinds_of_hold(desk: Desk) -> None:
    desk.record_events(1, 2)
    desk.settle(desk.claim_one(), HELD)
    desk.operate(Verb.HOLD, plugin="plugin", lane="lane")
    assert [row.event_id for row in desk.operate(Verb.RELEASE, plugin="plugin", lane="lane")] == [1]
    assert event_ids(desk.claim_one()) == [1, 2]


def test_a_lane_that_is_to_be_tried_again_is_not_waited_for_while_it_is_held(desk: Desk) -> None:
    desk.record_events(1)
    desk.settle(desk.claim_one(), RETRYING, due=desk.now + 60)
    desk.operate(Verb.HOLD, plugin="plugin", lane="lane")
    assert desk.next_due() is None


def test_a_plugin_that_is_held_gives_up_its_turn(desk: Desk) -> None:
    other = PluginKey(SITE, "other")
    desk.free = {PLUGIN: 1, other: 1}
    desk.enrol(file(), file("other", ordinal=1))
    desk.record(*(delivery(number, plugin=name, lane=GLOBAL) for number in (1, 2) for name in ("plugin", "other")))
    desk.operate(Verb.HOLD, plugin="plugin")
    runs = desk.claim()
    assert [(run.plugin, event_ids(run)) for run in runs] == [(other, [1, 2])]
    desk.operate(Verb.RELEASE, plugin="plugin")
    assert desk.claim() == []
    desk.settle_done(runs[0])
    assert [(run.plugin, event_ids(run)) for run in desk.claim()] == [(PLUGIN, [1, 2])]


def test_a_hold_is_of_the_plugins_of_that_name_or_of_that_site(desk: Desk) -> None:
    desk.enrol(file(), file(site="another"))
    desk.operate(Verb.HOLD, plugin="plugin", site="another")
    assert [(one.key.site, len(one.holds)) for one in desk.ledger.plugins()] == [("another", 1), (SITE, 0)]
    desk.operate(Verb.HOLD, plugin="plugin")
    assert [len(one.holds) for one in desk.ledger.plugins()] == [1, 1]


@pytest.mark.parametrize("verb", [Verb.HOLD, Verb.RELEASE, Verb.REPLAY])
def test_who_names_no_plugin_or_an_unknown_one_is_told(desk: Desk, verb: Verb) -> None:
    with pytest.raises(StateError, match=f"A {verb.value} needs a plugin"):
        desk.operate(verb)
    with pytest.raises(StateError, match=f"There is no plugin mialer to {verb.value}"):
        desk.operate(verb, plugin="mialer")


# -- replay


def replay(desk: Desk, *ranges: tuple[int, int], callback: str | None = None) -> Replay:
    query = DeliveryQuery(site=SITE, plugin="plugin", callback=callback)
    desk.ledger.operate(Operation(Verb.REPLAY, "ada@stage", "because", query, ranges), desk.now)
    return desk.ledger.site(SITE).replays[-1]


def carry_out(desk: Desk, one: Replay, *deliveries: NewDelivery, position: int = 0, ended: bool = False) -> int:
    after = replace(one, position=position, events=one.events + len(deliveries), ended_at=desk.now if ended else None)
    return desk.ledger.record(Intake(SITE, deliveries, replay=after), desk.now)


def test_a_replay_is_told_to_whoever_reads_the_site_until_it_has_ended(desk: Desk) -> None:
    desk.enrol(file(), file(site="another"))
    one = replay(desk, (5, 5), (10, 20), callback="react")
    assert (one.plugin, one.callback, one.ranges, one.position) == (PLUGIN, "react", ((5, 5), (10, 20)), 4)
    assert (one.who, one.why, one.since, one.ended_at) == ("ada@stage", "because", desk.now, None)
    assert desk.ledger.site("another").replays == ()
    assert carry_out(desk, one, delivery(5), position=5) == 1
    desk.reopen()
    (kept,) = desk.ledger.site(SITE).replays
    assert (kept.position, kept.events, kept.deliveries) == (5, 1, 1)
    assert carry_out(desk, kept, delivery(11), position=20, ended=True) == 1
    assert desk.ledger.site(SITE).replays == ()
    (ended,) = desk.ledger.overview().replays
    assert (ended.events, ended.deliveries, ended.ended_at) == (2, 2, desk.now)
    (record,) = desk.ledger.overview(operations=9).operations
    assert (record.verb, record.changed, record.asked) == (
        Verb.REPLAY,
        2,
        "site studio, plugin plugin, callback react, events 5, 10..20",
    )


def test_a_replay_reopens_what_is_finished_leaves_what_is_open_and_makes_what_is_missing(desk: Desk) -> None:
    desk.record_events(1, 2, 3, 4, 5)
    desk.settle(desk.claim_one(most=4), DONE, DEAD, SKIPPED, RETRYING, due=desk.now + 60)
    ids = {row.event_id: row.id for row in desk.rows()}
    one = replay(desk, (1, 6))
    assert carry_out(desk, one, *(delivery(number) for number in range(1, 7)), position=6, ended=True) == 4
    assert desk.states() == {1: WAITING, 2: WAITING, 3: WAITING, 4: RETRYING, 5: WAITING, 6: WAITING}
    assert {row.event_id: row.id for row in desk.rows() if row.event_id < 6} == ids
    assert {row.attempts for row in desk.rows() if row.event_id != 4} == {0}
    assert [len(row.history) for row in desk.ledger.deliveries(DeliveryQuery(event_id=2, failures=True))] == [1]
    assert desk.run_all() == [1, 2, 3]
    desk.now += 60
    assert desk.run_all() == [4, 5, 6]


def test_a_replayed_delivery_goes_before_newer_ones_but_never_ahead_of_one_that_is_out(desk: Desk) -> None:
    desk.record_events(1, 2, 3, 4, 6)
    desk.settle_done(desk.claim_one(most=2))
    run = desk.claim_one(most=2)
    carry_out(desk, replay(desk, (1, 5)), *(delivery(number) for number in (1, 2, 3, 4, 5)), position=5, ended=True)
    assert desk.states() == {1: WAITING, 2: WAITING, 3: RUNNING, 4: RUNNING, 5: WAITING, 6: WAITING}
    assert desk.claim() == []
    desk.settle(run, DONE, DONE)
    assert desk.run_all() == [1, 2, 5, 6]


def test_a_replay_of_what_was_pruned_makes_it_anew(desk: Desk) -> None:
    desk.record_events(1, 2)
    desk.run_all()
    desk.ledger.prune(desk.now + 1)
    assert carry_out(desk, replay(desk, (1, 2)), delivery(1), delivery(2), position=2, ended=True) == 2
    assert desk.run_all() == [1, 2]


def test_a_replay_goes_to_the_lane_that_its_callback_asks_for_by_now(desk: Desk) -> None:
    desk.record(delivery(1, lane="plugin"), delivery(2, lane="plugin"))
    desk.run_all()
    carry_out(desk, replay(desk, (1, 2)), delivery(1, lane="Task:1"), delivery(2, lane="Task:2"), position=2, ended=True)
    desk.free = {PLUGIN: 9}
    assert sorted(run.lane for run in desk.claim()) == ["Task:1", "Task:2"]


def test_a_replay_in_a_held_lane_waits_with_it(desk: Desk) -> None:
    desk.record_events(1, 2)
    desk.settle(desk.claim_one(), DONE, HELD)
    carry_out(desk, replay(desk, (1, 1)), delivery(1), position=1, ended=True)
    assert desk.claim() == []
    desk.operate(Verb.RELEASE, plugin="plugin")
    assert desk.run_all() == [1, 2]


def test_a_replay_before_a_retry_need_not_wait_for_it(desk: Desk) -> None:
    desk.record_events(1, 2)
    desk.settle(desk.claim_one(), DONE, RETRYING, due=desk.now + 60)
    carry_out(desk, replay(desk, (1, 1)), delivery(1), position=1, ended=True)
    assert desk.run_all() == [1]


def test_what_is_replayed_twice_over_waits_once(desk: Desk) -> None:
    """As when the daemon was killed between the page and what it knows of it."""
    desk.record_events(1)
    desk.run_all()
    one = replay(desk, (1, 1))
    assert carry_out(desk, one, delivery(1), position=1) == 1
    assert carry_out(desk, one, delivery(1), position=1, ended=True) == 0
    assert desk.run_all() == [1]


def test_a_replay_that_is_stopped_stays_so_whatever_page_was_under_way(desk: Desk) -> None:
    desk.enrol(file())
    one = replay(desk, (1, 9))
    desk.operate(Verb.STOP, ids=(one.id, 999))
    carry_out(desk, one, delivery(1), position=1)
    assert desk.ledger.site(SITE).replays == ()
    assert desk.run_all() == [1]
    assert [row.changed for row in desk.ledger.overview(operations=2).operations] == [1, 1]


def test_ended_replays_are_forgotten_with_the_history(desk: Desk) -> None:
    desk.enrol(file())
    carry_out(desk, replay(desk, (1, 1)), position=1, ended=True)
    going_on = replay(desk, (2, 2))
    desk.now += 100
    desk.ledger.prune(desk.now)
    assert [one.id for one in desk.ledger.overview().replays] == [going_on.id]


# -- plugins that are gone, return, or are sent to the newest event


def answered(desk: Desk, newest: int | None, ago: float = 0.0) -> None:
    """The site answered then; that is its newest event."""
    beat = Heartbeat(1, desk.now, desk.now, "0", "studio.toml")
    desk.ledger.beat(beat, [SiteHealth(SITE, "http://site", newest, desk.now - ago)])


def test_of_a_plugin_that_returns_it_is_told_since_when_it_was_gone_until_that_was_checked(desk: Desk) -> None:
    desk.enrol(file(), state=PluginState.READY)
    desk.record(cursor=5)
    answered(desk, newest=7)
    desk.enrol(file(), state=PluginState.GONE)
    assert desk.ledger.site(SITE).returned == {}
    left = desk.now
    desk.now += 100
    desk.enrol(file(), state=PluginState.GONE)  # by the next daemon's first look
    desk.enrol(file(), state=PluginState.LOADING)
    desk.reopen()
    assert desk.ledger.site(SITE).returned == {"plugin": Absence(left, 7)}
    desk.ledger.record(Intake(SITE, checked=("plugin",)), desk.now)
    assert desk.ledger.site(SITE).returned == {}


def test_the_newest_event_of_a_moment_is_not_known_where_the_site_was_not_read(desk: Desk) -> None:
    desk.enrol(file(), state=PluginState.READY)
    desk.record(cursor=5)
    answered(desk, newest=7, ago=3600)
    desk.enrol(file(), state=PluginState.GONE)
    desk.enrol(file(), state=PluginState.READY)
    assert desk.ledger.site(SITE).returned == {"plugin": Absence(desk.now, None)}


def test_a_plugin_that_was_imported_and_never_there_does_not_return(desk: Desk) -> None:
    desk.ledger.record(Intake(SITE, cursor=9, positions={"plugin": 4}), desk.now)
    desk.enrol(file(), state=PluginState.LOADING)
    assert desk.ledger.site(SITE).returned == {}
    assert desk.plugin().position == 4


def held_since_it_returned(desk: Desk) -> None:
    desk.enrol(file(), state=PluginState.READY)
    desk.record_events(1, 2)
    desk.ledger.record(Intake(SITE, cursor=9, positions={"plugin": 4}), desk.now)
    desk.ledger.operate(Operation(Verb.HOLD, DAEMON, "far behind", DeliveryQuery(site=SITE, plugin="plugin")), desk.now)
    assert desk.ledger.site(SITE).undecided == {"plugin"}
    assert desk.claim() == []


def test_the_daemons_hold_stands_beside_an_operators_and_a_release_ends_both(desk: Desk) -> None:
    held_since_it_returned(desk)
    desk.operate(Verb.HOLD, plugin="plugin")
    assert [(one.who, one.undecided) for one in desk.plugin().holds] == [(DAEMON, True), ("ada@stage", False)]
    desk.operate(Verb.RELEASE, plugin="plugin")
    assert (desk.plugin().holds, desk.ledger.site(SITE).undecided) == ((), frozenset())
    assert event_ids(desk.claim_one()) == [1, 2]


@pytest.mark.parametrize(("newest", "position"), [(12, 12), (9, None), (3, None)])
def test_a_plugin_that_is_sent_to_the_newest_event_leaves_all_before_it(desk: Desk, newest: int, position: int | None) -> None:
    # Given one that is held since it returned far behind, with deliveries, a dead one, an event owed to it and a replay
    held_since_it_returned(desk)
    (dead,) = [row.id for row in desk.rows() if row.event_id == 1]
    desk.ledger.settle([desk.outcome(dead, DEAD)], [], desk.now)
    gaps = (Gap(3, 3, 1e15, "plugin"), Gap(6, 6, 100.0))
    desk.ledger.record(Intake(SITE, gaps=gaps), desk.now)
    desk.ledger.operate(Operation(Verb.REPLAY, "ada", query=DeliveryQuery(plugin="plugin"), ranges=((1, 2),)), desk.now)
    # When it is sent on
    operation = Operation(Verb.SKIP, "ada@stage", "old", DeliveryQuery(plugin="plugin"), to_newest=newest)
    changed = desk.ledger.operate(operation, desk.now)
    # Then it stands there, and nothing of the past comes to it, but what has failed for good is still told
    assert [row.event_id for row in changed.first] == [2]
    assert desk.states() == {1: DEAD, 2: SKIPPED}
    state = desk.ledger.site(SITE)
    assert (state.positions, state.gaps, state.replays, state.undecided) == ({"plugin": position}, gaps[1:], (), frozenset())
    assert desk.plugin().holds == ()
    desk.record_events(13)
    assert event_ids(desk.claim_one()) == [13]
    (row,) = desk.ledger.overview(operations=1).operations
    assert (row.verb, row.why, row.asked, row.changed) == (Verb.SKIP, "old", f"plugin plugin, on behind event {newest}", 1)


def test_a_plugin_that_an_operator_holds_is_sent_on_and_stays_held(desk: Desk) -> None:
    held_since_it_returned(desk)
    desk.operate(Verb.HOLD, plugin="plugin")
    desk.ledger.operate(Operation(Verb.SKIP, "ada", query=DeliveryQuery(plugin="plugin"), to_newest=9), desk.now)
    assert [one.who for one in desk.plugin().holds] == ["ada@stage"]


def test_what_was_read_for_a_plugin_that_was_moved_meanwhile_is_not_recorded_for_it(desk: Desk) -> None:
    desk.enrol(file(), file("other", ordinal=1), state=PluginState.READY)
    desk.ledger.record(Intake(SITE, cursor=9, positions={"plugin": 4, "other": 4}), desk.now)
    desk.ledger.operate(Operation(Verb.SKIP, "ada", query=DeliveryQuery(plugin="plugin"), to_newest=9), desk.now)
    page = (delivery(5), delivery(5, plugin="other"))
    places = {"plugin": 5, "other": 5}
    desk.ledger.record(Intake(SITE, page, positions=places, expected={"plugin": 4, "other": 4}), desk.now)
    assert desk.ledger.site(SITE).positions == {"plugin": None, "other": 5}
    assert [row.plugin for row in desk.rows()] == ["other"]


def test_a_plugin_that_is_forgotten_leaves_its_history_and_comes_back_as_a_new_one(desk: Desk) -> None:
    # Given one that is gone, with deliveries of all sorts, a place and a hold
    desk.enrol(file(), state=PluginState.READY)
    desk.describe("react")
    desk.record(*(delivery(number, lane=f"lane {number}") for number in (1, 2, 3)))
    for state in (DONE, DEAD):
        desk.settle(desk.claim_one(), state)
    desk.ledger.record(Intake(SITE, cursor=9, positions={"plugin": 4}, gaps=(Gap(3, 3, 1e15, "plugin"),)), desk.now)
    desk.operate(Verb.HOLD, plugin="plugin")
    desk.enrol(file(), state=PluginState.GONE)
    # When
    changed = desk.operate(Verb.FORGET, plugin="plugin")
    # Then nothing of it shows but what it has done
    assert sorted(row.event_id for row in changed) == [2, 3]
    assert desk.states() == {1: DONE, 2: SKIPPED, 3: SKIPPED}
    site = desk.ledger.site(SITE)
    assert (desk.ledger.plugins(), dict(site.positions), site.gaps, dict(site.holds)) == ([], {}, (), {})
    assert desk.ledger.overview().failing == ()
    with pytest.raises(StateError, match="There is no plugin plugin to forget"):
        desk.operate(Verb.FORGET, plugin="plugin")
    # And a file of that name is a new plugin
    desk.ledger.record(Intake(SITE, cursor=20, positions={"plugin": 9}), desk.now)  # by a page that was under way
    desk.enrol(file())
    desk.reopen()
    assert (desk.plugin().position, desk.plugin().callbacks, desk.ledger.site(SITE).returned) == (None, (), {})
    assert desk.ledger.site(SITE).positions == {"plugin": None}


@pytest.mark.parametrize("state", [PluginState.LOADING, PluginState.READY, PluginState.BROKEN])
def test_a_plugin_that_is_there_is_not_forgotten(desk: Desk, state: PluginState) -> None:
    desk.enrol(file(), state=state)
    desk.record_events(1)
    with pytest.raises(StateError, match="Plugin plugin is not gone"):
        desk.operate(Verb.FORGET, plugin="plugin")
    assert desk.states() == {1: WAITING}
    # Unless nobody runs who could know that its file is gone
    desk.ledger.operate(Operation(Verb.FORGET, "ada", query=DeliveryQuery(plugin="plugin"), absent=True), desk.now)
    assert (desk.states(), desk.ledger.plugins()) == ({1: SKIPPED}, [])


# -- on record


def test_operations_are_on_record_newest_first_with_who_when_why_and_what(desk: Desk) -> None:
    desk.record_events(1, 2)
    desk.settle(desk.claim_one(), DEAD, HELD)
    desk.operate(Verb.RETRY, plugin="plugin", states=(DEAD,), entity=("Asset", 999))
    desk.now += 5
    desk.operate(Verb.RETRY, plugin="plugin", states=(DEAD,))
    desk.operate(Verb.HOLD, plugin="plugin", lane="lane")
    desk.operate(Verb.RELEASE, plugin="plugin")
    desk.operate(Verb.SKIP, ids=tuple(row.id for row in desk.rows()))
    rows = desk.ledger.overview(operations=4).operations
    assert [(row.verb, row.at, row.who, row.why, row.changed) for row in rows] == [
        (Verb.SKIP, 1005.0, "ada@stage", "because", 2),
        (Verb.RELEASE, 1005.0, "ada@stage", "because", 2),
        (Verb.HOLD, 1005.0, "ada@stage", "because", 1),
        (Verb.RETRY, 1005.0, "ada@stage", "because", 1),
    ]
    assert [row.asked for row in rows][1:] == ["plugin plugin", "plugin plugin, lane lane", "state dead, plugin plugin"]
    assert desk.ledger.overview(operations=9).operations[-1].asked == "state dead, plugin plugin, entity Asset:999"
    assert desk.ledger.overview().operations == ()


# -- another event log


def _reset(desk: Desk, cursor: int | None, *, site: str = SITE) -> None:
    told = Reset("studio.example", cursor, (Fingerprint(cursor or 1, "A_Type", "2027"),))
    desk.ledger.operate(Operation(Verb.RESET, "ada@stage", "restored", DeliveryQuery(site=site), reset=told), desk.now)


def test_a_reset_sets_cursor_address_and_all_plugins_and_gives_up_gaps_and_replays(desk: Desk) -> None:
    desk.enrol(file(), file("behind"))
    gaps = (Gap(80, 82, 1e9), Gap(7, 7, 1e9, "plugin"))
    desk.ledger.record(Intake(SITE, cursor=90, gaps=gaps, positions={"behind": 40}, address="old.example"), desk.now)
    desk.ledger.operate(Operation(Verb.REPLAY, "ada", "", DeliveryQuery(site=SITE, plugin="plugin"), ((1, 5),)), desk.now)
    _reset(desk, 60)
    state = desk.ledger.site(SITE)
    assert (state.cursor, state.address, state.recent) == (60, "studio.example", (Fingerprint(60, "A_Type", "2027"),))
    assert (state.gaps, state.positions, state.replays) == ((), {"plugin": None, "behind": None}, ())
    (row,) = [one for one in desk.ledger.overview(operations=9).operations if one.verb is Verb.RESET]
    assert (row.asked, row.who, row.why) == (f"site {SITE}, address studio.example, cursor 60", "ada@stage", "restored")


def test_after_a_reset_events_are_new_though_the_log_before_had_their_ids(desk: Desk) -> None:
    desk.record_events(1, 2, 3, 4)
    desk.settle(desk.claim_one(), DONE, DEAD)
    desk.record(cursor=4)
    _reset(desk, 1)
    # Then what is open of the old log comes first, in its order, and all of the new one behind it
    assert desk.record(*(delivery(number, lane="lane") for number in (2, 3)), cursor=3) == 2
    assert desk.run_all() == [3, 4, 2, 3]
    assert sorted(row.event_id for row in desk.rows(DONE)) == [1, 2, 3, 3, 4]
    # And what was dead of the old log can still be tried again
    assert [row.event_id for row in desk.operate(Verb.RETRY, states=(DEAD,))] == [2]
    assert desk.run_all() == [2]


def test_a_delivery_that_runs_during_a_reset_ends_as_it_would_have(desk: Desk) -> None:
    desk.record_events(1, 2, 3)
    run = desk.claim_one(most=2)
    desk.record(cursor=3)
    _reset(desk, 2)
    desk.record_events(3)
    assert len(desk.rows(RUNNING)) == 2
    desk.settle(run, DONE, DONE)
    assert desk.run_all() == [3, 3]


def test_a_site_can_be_reset_again_and_again(desk: Desk) -> None:
    desk.record(cursor=9)
    for _ in range(3):
        desk.record_events(4, 5)
        _reset(desk, 3)
    assert desk.run_all() == [4, 5, 4, 5, 4, 5]
    assert listed(desk, event_id=5) == [5, 5, 5]


def test_a_reset_of_a_long_log_is_one_of_many_parts_which_nobody_waits_for(desk: Desk) -> None:
    desk.enrol(file())
    for first in range(1, 1_500, 300):
        desk.record_events(*range(first, first + 300))
    desk.record(cursor=1_500)
    running = desk.claim_one(most=450)
    with desk.other_process() as other:
        longest = [0.0]

        def beside() -> None:
            while not done.is_set():
                began = time.monotonic()
                other.record(Intake("elsewhere", cursor=1), desk.now)
                longest[0] = max(longest[0], time.monotonic() - began)

        done = threading.Event()
        thread = threading.Thread(target=beside)
        thread.start()
        began = time.monotonic()
        _reset(desk, 700)
        lasted = time.monotonic() - began
        done.set()
        thread.join()
    assert longest[0] < max(lasted, 0.05)
    assert len(desk.rows(RUNNING)) == 450
    desk.settle_done(running)
    desk.record_events(701, 702)
    assert desk.run_all() == [*range(451, 1_501), 701, 702]


def test_a_reset_that_is_interrupted_keeps_the_site_from_being_read_and_can_be_repeated(desk: Desk) -> None:
    desk.record_events(*range(1, 701))
    desk.ledger.record(Intake(SITE, cursor=700, address="studio.example"), desk.now)
    told = Reset("studio.example", 5)

    def interrupt(done: int, of: int) -> None:
        assert (done, of) == (500, 700)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.ledger.operate(Operation(Verb.RESET, "ada", "", DeliveryQuery(site=SITE), reset=told), desk.now, interrupt)
    assert (desk.ledger.site(SITE).address, desk.ledger.site(SITE).cursor) == (UNFINISHED, 700)
    with pytest.raises(StateError, match="was interrupted"):
        _reset(desk, None)
    _reset(desk, 5)
    desk.record_events(6, 7)
    assert desk.run_all() == [*range(1, 701), 6, 7]


def test_a_reset_forgets_what_was_said_in_ids_of_the_old_log(desk: Desk) -> None:
    desk.enrol(file())
    desk.describe("react")
    desk.ledger.record(Intake(SITE, cursor=90, expired=((80, 82),)), desk.now)
    desk.describe("react", "other")
    _reset(desk, 60)
    state = desk.ledger.site(SITE, expired=True)
    assert (state.expired, state.pruned_to) == ((), None)
    record = desk.plugin()
    assert (record.began_after, record.earlier) == (60, ())


def test_a_reset_of_the_address_alone_leaves_the_rest(desk: Desk) -> None:
    desk.record_events(1, 2)
    desk.record(cursor=2)
    before = desk.ledger.site(SITE)
    _reset(desk, None)
    assert desk.ledger.site(SITE) == replace(before, address="studio.example")
    assert desk.run_all() == [1, 2]


def test_a_site_that_was_never_read_is_not_reset(desk: Desk) -> None:
    desk.enrol(file())
    with pytest.raises(StateError, match="never been read"):
        _reset(desk, 5)
    with pytest.raises(StateError, match="Site nowhere has never been read"):
        _reset(desk, 5, site="nowhere")


def test_plugins_that_take_turns_do_so_across_a_reset(desk: Desk) -> None:
    desk.enrol(file("a"), file("b", ordinal=1), state=PluginState.READY)
    desk.free = {PluginKey(SITE, "a"): 1, PluginKey(SITE, "b"): 1}
    for number in (7, 8):
        desk.record(*(delivery(number, plugin=name, lane=GLOBAL) for name in "ab"), cursor=number)
    _reset(desk, 6)
    desk.record(*(delivery(7, plugin=name, lane=GLOBAL) for name in "ab"), cursor=7)
    assert desk.run_all() == [7, 7, 8, 8, 7, 7]
