"""The Ledger port for plugins and operators: enrol, describe, operate, list, overview, prune."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from callsheet.domain.callback import AttributeRule, Callback, CallbackKey, PluginKey, RetryPolicy, Rule
from callsheet.domain.delivery import DeliveryQuery, State
from callsheet.domain.operation import DaemonCommand, Operation, Verb
from callsheet.domain.overview import Heartbeat, SessionFacts, SiteHealth, WorkerRow
from callsheet.domain.plugin import Manifest, PluginState
from callsheet.domain.reading import Intake
from callsheet.errors import StateError
from tests.contracts.ledger import PLUGIN, Desk, delivery, event_ids, file, in_state
from tests.support.events import SITE

DONE, DEAD, SKIPPED, HELD, RETRYING, WAITING, RUNNING = (
    State.DONE,
    State.DEAD,
    State.SKIPPED,
    State.HELD,
    State.RETRYING,
    State.WAITING,
    State.RUNNING,
)


# -- plugins


def test_a_new_plugin_stands_at_the_cursor(desk: Desk) -> None:
    desk.ledger.record(Intake(SITE, cursor=500), desk.now)
    desk.enrol(file(mtime=7.5))
    desk.reopen()
    record = desk.plugin()
    assert (record.key, record.path, record.state, record.mtime) == (PLUGIN, "/plugins/plugin.py", PluginState.LOADING, 7.5)
    assert (record.position, record.waiting, record.held, record.callbacks, record.problem) == (None, 0, 0, (), "")
    assert record.updated_at == desk.now


def test_enrolling_again_keeps_the_place_and_what_was_described(desk: Desk) -> None:
    desk.enrol(file())
    desk.describe("react")
    desk.ledger.record(Intake(SITE, cursor=9, positions={"plugin": 4}), desk.now)
    desk.record_events(1)
    desk.ledger.enrol([file(mtime=2.0)], PluginState.BROKEN, desk.now + 1, problem="line 3: unexpected indent")
    record = desk.plugin()
    assert (record.state, record.problem, record.mtime) == (PluginState.BROKEN, "line 3: unexpected indent", 2.0)
    assert (record.position, record.waiting, [one.key.name for one in record.callbacks]) == (4, 1, ["react"])
    desk.enrol(file(mtime=3.0))
    assert desk.plugin().problem == ""


def test_plugins_come_in_the_order_in_which_they_lie(desk: Desk) -> None:
    desk.enrol(file("b", ordinal=0), file("a", ordinal=1), file("c", site="another"))
    assert [record.key.name for record in desk.ledger.plugins()] == ["c", "b", "a"]
    assert [record.key.name for record in desk.ledger.plugins(SITE)] == ["b", "a"]


def test_callbacks_come_back_as_they_were_described(desk: Desk) -> None:
    rules = {
        "Shotgun_Task_Change": AttributeRule(Rule.AMONG, frozenset({"sg_status_list", "due_date"})),
        "Shotgun_Shot_Change": AttributeRule(Rule.WITHIN, text="sg_status_list"),
        "*": AttributeRule(Rule.ASK),
    }
    retry = RetryPolicy(attempts=2, first=0.5, factor=2.0, longest=9.0, jitter=0.0, max_age=60.0, crashes=1)
    rich = Callback(CallbackKey(PLUGIN, "rich#2"), 3, rules, "meta.entity_id", retry, "hold", 12.5, 4, ("code",), True, True, True)
    plain = Callback(CallbackKey(PLUGIN, "plain"), 4, {})
    desk.ledger.describe(file(), Manifest(PLUGIN, 1, (rich, plain)), desk.now)
    desk.reopen()
    assert desk.plugin().callbacks == (rich, plain)
    assert desk.plugin().state is PluginState.READY


def test_a_broken_reload_keeps_everything(desk: Desk) -> None:
    desk.describe("react")
    desk.record_events(1, 2)
    desk.settle(desk.claim_one(), HELD)
    assert desk.describe(problem="SyntaxError: line 3") == {}
    record = desk.plugin()
    assert (record.state, record.problem) == (PluginState.BROKEN, "SyntaxError: line 3")
    assert [one.key.name for one in record.callbacks] == ["react"]
    assert desk.states() == {1: HELD, 2: WAITING}
    assert desk.claim() == []


def test_a_good_reload_lets_held_lanes_go_on_from_that_very_event(desk: Desk) -> None:
    desk.describe("react")
    desk.record_events(1, 2, 3)
    desk.record(delivery(9, plugin="other"))
    desk.settle(desk.claim_one(), DONE, HELD)
    desk.free[PluginKey(SITE, "other")] = 1
    desk.settle(desk.claim_one(), HELD)
    assert desk.describe("react") == {}
    assert desk.states() == {1: DONE, 2: WAITING, 3: WAITING, 9: HELD}
    run = desk.claim_one()
    assert event_ids(run) == [2, 3]
    assert run.deliveries[0].attempts == 0
    assert (desk.plugin().held, desk.plugin("other").held) == (0, 1)


def test_a_reload_skips_what_has_lost_its_callback_and_says_how_many(desk: Desk) -> None:
    desk.describe("react", "gone")
    desk.record(delivery(1, "gone"), delivery(1, "react", ordinal=1), delivery(2, "gone"), delivery(3, "gone", lane="apart"))
    desk.settle(desk.claim_one(most=1), HELD)
    assert desk.describe("react") == {"gone": 3}
    assert {(row.event_id, row.callback): row.state for row in desk.rows()} == {
        (1, "gone"): SKIPPED,
        (1, "react"): WAITING,
        (2, "gone"): SKIPPED,
        (3, "gone"): SKIPPED,
    }
    assert (desk.plugin().waiting, desk.plugin().held) == (1, 0)
    assert desk.run_all() == [1]
    assert desk.describe("react") == {}


@pytest.mark.parametrize(("said", "becomes"), [(DONE, DONE), (DEAD, DEAD), (RETRYING, SKIPPED), (HELD, SKIPPED)])
def test_what_still_ends_in_the_old_worker_is_believed_but_not_opened_again(desk: Desk, said: State, becomes: State) -> None:
    desk.describe("gone")
    desk.record_events(1, name="gone")
    run = desk.claim_one()
    assert desk.describe("react") == {"gone": 1}
    desk.settle(run, said, due=desk.now + 1)
    assert desk.states() == {1: becomes}
    desk.now += 2
    assert desk.claim() == []
    assert desk.plugin().waiting == 0


# -- operate


@pytest.mark.parametrize("state", [DEAD, HELD, RETRYING, SKIPPED])
def test_retry_lets_it_wait_again_as_if_never_tried(desk: Desk, state: State) -> None:
    desk.record_events(1, 2)
    desk.settle(desk.claim_one(), state, due=desk.now + 900)
    (row,) = desk.operate(Verb.RETRY, event_id=1)
    assert (row.event_id, row.state, row.attempts, row.due) == (1, WAITING, 0, None)
    run = desk.claim_one()
    assert event_ids(run) == [1, 2]
    assert run.deliveries[0].attempts == 0
    assert desk.states() == {1: RUNNING, 2: RUNNING}


def test_retry_leaves_alone_what_is_done_or_waits(desk: Desk) -> None:
    desk.record_events(1, 2)
    desk.settle(desk.claim_one(), DONE)
    assert desk.operate(Verb.RETRY, plugin="plugin") == []
    assert desk.states() == {1: DONE, 2: WAITING}


def test_retry_in_a_held_lane_waits_with_it(desk: Desk) -> None:
    desk.record_events(1, 2, 3)
    desk.settle(desk.claim_one(), DEAD, HELD)
    assert [row.event_id for row in desk.operate(Verb.RETRY, states=(DEAD,))] == [1]
    assert desk.claim() == []
    desk.operate(Verb.RELEASE, plugin="plugin")
    assert event_ids(desk.claim_one()) == [1, 2, 3]


def test_retry_in_a_lane_that_is_out_comes_with_the_next_run(desk: Desk) -> None:
    desk.record_events(1, 2, 3)
    desk.settle(desk.claim_one(most=1), DEAD)
    run = desk.claim_one()
    desk.settle(run, DEAD, ended=False)
    desk.operate(Verb.RETRY, states=(DEAD,))
    assert desk.states() == {1: WAITING, 2: WAITING, 3: RUNNING}
    assert desk.claim() == []
    desk.settle(run)
    assert event_ids(desk.claim_one()) == [1, 2, 3]


def test_skip_closes_what_is_open_and_the_lane_goes_on_behind_it(desk: Desk) -> None:
    desk.record_events(1, 2, 3)
    desk.settle(desk.claim_one(), HELD)
    skipped = desk.operate(Verb.SKIP, event_id=1)
    assert [(row.event_id, row.state, row.finished_at) for row in skipped] == [(1, SKIPPED, desk.now)]
    assert desk.run_all() == [2, 3]


def test_skip_leaves_alone_what_is_handed_out(desk: Desk) -> None:
    desk.record_events(1, 2, 3)
    run = desk.claim_one(most=2)
    assert [row.event_id for row in desk.operate(Verb.SKIP, plugin="plugin")] == [3]
    assert desk.states() == {1: RUNNING, 2: RUNNING, 3: SKIPPED}
    desk.settle_done(run)
    assert desk.claim() == []


def test_release_is_for_one_plugin_or_one_of_its_lanes(desk: Desk) -> None:
    other = PluginKey(SITE, "other")
    desk.free = {PLUGIN: 9, other: 9}
    desk.record(delivery(1, lane="a"), delivery(2, lane="b"), delivery(3, lane="a", plugin="other"))
    for run in desk.claim():
        desk.settle(run, HELD)
    assert [row.event_id for row in desk.operate(Verb.RELEASE, plugin="plugin", lane="b")] == [2]
    assert in_state(desk.rows(), HELD) == [1, 3]
    assert [row.event_id for row in desk.operate(Verb.RELEASE, plugin="plugin")] == [1]
    assert in_state(desk.rows(), HELD) == [3]
    with pytest.raises(StateError, match="A release needs a plugin"):
        desk.operate(Verb.RELEASE)


def test_a_command_is_not_cut_short_by_the_limit_of_lists(desk: Desk) -> None:
    desk.record_events(*range(1, 151))
    assert len(desk.operate(Verb.SKIP, plugin="plugin")) == 150
    assert desk.plugin().waiting == 0


def dead(desk: Desk, count: int) -> None:
    """So many deliveries, each in a lane of its own, that failed for good."""
    desk.record(*(delivery(number, lane=f"lane {number}") for number in range(1, count + 1)))
    desk.free = {PLUGIN: count}
    for run in desk.claim():
        desk.settle(run, DEAD)


def test_a_command_about_thousands_lets_others_write_meanwhile(desk: Desk) -> None:
    # Given more dead deliveries than are changed at once
    dead(desk, 1700)
    told: list[tuple[int, int]] = []
    retry = Operation(Verb.RETRY, "ada@stage", "server is back", DeliveryQuery(states=(DEAD,)))
    with desk.other_process() as daemon:

        def write(done: int, of: int) -> None:
            told.append((done, of))
            daemon.record(Intake(SITE, (delivery(10_000 + done),)), desk.now)

        # When all are tried again, while a daemon writes
        changed = desk.ledger.operate(retry, desk.now, write)

    # Then it was never kept waiting, the first are shown, and it is one operation on record
    assert told == [(500, 1700), (1000, 1700), (1500, 1700), (1700, 1700)]
    assert list(changed.ids) == sorted(changed.ids)
    assert len(changed.ids) == 1700
    assert [row.id for row in changed.first] == list(changed.ids[:20])
    assert {row.state for row in changed.first} == {WAITING}
    (record,) = desk.ledger.overview(operations=9).operations
    assert (record.verb, record.changed, record.why) == (Verb.RETRY, 1700, "server is back")
    assert len(desk.rows(WAITING)) == 1704


def test_a_command_that_is_interrupted_has_done_what_it_said_and_can_be_given_again(desk: Desk) -> None:
    dead(desk, 1200)
    retry = Operation(Verb.RETRY, "ada@stage", "", DeliveryQuery(states=(DEAD,)))

    def interrupt(done: int, _of: int) -> None:
        if done == 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.ledger.operate(retry, desk.now, interrupt)
    assert (len(desk.rows(WAITING)), len(desk.rows(DEAD))) == (1000, 200)
    assert desk.plugin().waiting == 1000

    assert len(desk.ledger.operate(retry, desk.now).ids) == 200
    assert [one.changed for one in desk.ledger.overview(operations=9).operations] == [200, 1000]


def test_what_fails_again_while_a_command_goes_on_is_not_tried_for_ever(desk: Desk) -> None:
    dead(desk, 1100)

    def fail_again(_done: int, _of: int) -> None:
        for run in desk.claim():
            desk.settle(run, DEAD)

    retry = Operation(Verb.RETRY, "ada@stage", "", DeliveryQuery(states=(DEAD,)))
    assert len(desk.ledger.operate(retry, desk.now, fail_again).ids) == 1100


@pytest.mark.parametrize("broken_between", [False, True])
def test_what_is_held_stays_so_until_the_plugin_is_another_file(desk: Desk, *, broken_between: bool) -> None:
    desk.describe("react", text="one")
    desk.record_events(1, 2)
    desk.settle(desk.claim_one(), HELD)

    # When it is described again as it was: at a restart, or since its worker was
    desk.reopen()
    desk.describe("react", text="one")
    assert desk.states() == {1: HELD, 2: WAITING}
    assert desk.claim() == []

    # Then another file releases it, also one that could not be loaded at first
    if broken_between:
        desk.describe(problem="ImportError: farm", text="two")
        assert desk.states() == {1: HELD, 2: WAITING}
        assert desk.plugin().fingerprint == "one"
    desk.describe("react", text="two")
    assert desk.plugin().fingerprint == "two"
    assert desk.run_all() == [1, 2]


def test_another_process_may_operate_while_the_daemon_works(desk: Desk) -> None:
    desk.record_events(1, 2)
    desk.settle(desk.claim_one(), HELD)
    with desk.other_process() as cli:
        assert cli.overview().states[HELD] == 1
        cli.operate(Operation(Verb.RELEASE, "ada@stage", query=DeliveryQuery(plugin="plugin")), desk.now)
    assert desk.run_all() == [1, 2]


def test_names_that_another_process_was_first_to_use_are_the_same_names(desk: Desk) -> None:
    desk.record_events(1)
    with desk.other_process() as other:
        other.record(Intake(SITE, (delivery(2, "new"), delivery(2, "newer", plugin="fresh"))), desk.now)
    desk.record(delivery(3, "new"), delivery(3, "newer", plugin="fresh"))
    desk.free = {PLUGIN: 1, PluginKey(SITE, "fresh"): 1}
    assert sorted(str(one.callback) for run in desk.claim() for one in run.deliveries) == [
        "fresh.newer",
        "fresh.newer",
        "plugin.new",
        "plugin.new",
        "plugin.react",
    ]


# -- deliveries


def test_deliveries_are_listed_newest_first_and_all_conditions_hold_at_once(desk: Desk) -> None:
    desk.record(delivery(1, lane="a"), delivery(2, lane="b"), delivery(2, "other", lane="b"), delivery(3, lane="b", plugin="more"))
    desk.settle(desk.claim_one(), DEAD)
    first = desk.now
    desk.now += 100
    desk.record_events(4, lane="b")

    def listed(**query: Any) -> list[tuple[int, str, str]]:
        rows = desk.ledger.deliveries(DeliveryQuery(**query))
        return [(row.event_id, row.plugin, row.callback) for row in rows]

    assert [row[0] for row in listed()] == [4, 3, 2, 2, 1]
    assert listed(limit=2) == [(4, "plugin", "react"), (3, "more", "react")]
    assert listed(plugin="plugin", lane="b", event_id=2) == [(2, "plugin", "other"), (2, "plugin", "react")]
    assert listed(states=(DEAD,)) == [(1, "plugin", "react")]
    assert listed(states=(DEAD, WAITING), plugin="more") == [(3, "more", "react")]
    assert listed(states=(DONE, SKIPPED)) == []
    assert listed(since=first + 1) == [(4, "plugin", "react")]
    assert listed(site="nowhere") == []
    ids = tuple(row.id for row in desk.rows() if row.event_id in {1, 4})
    assert [row[0] for row in listed(ids=ids)] == [4, 1]


def test_what_is_handed_out_is_listed_as_running_and_not_as_waiting(desk: Desk) -> None:
    desk.record_events(1, 2, 3)
    desk.claim_one(most=2)
    assert [row.event_id for row in desk.rows(RUNNING)] == [2, 1]
    assert [row.event_id for row in desk.rows(WAITING)] == [3]
    assert [row.event_id for row in desk.rows(WAITING, RUNNING)] == [3, 2, 1]
    assert [row.event_id for row in desk.rows(RUNNING, DONE)] == [2, 1]


# -- overview


def test_the_overview_of_a_fresh_ledger_is_empty(desk: Desk) -> None:
    shown = desk.ledger.overview()
    assert (shown.heartbeat, shown.health, shown.sites, shown.plugins, shown.oldest_waiting) == (None, (), (), (), None)
    assert shown.states == dict.fromkeys(State, 0)


def test_the_overview_shows_all_at_once(desk: Desk) -> None:
    desk.enrol(file())
    desk.record(delivery(1, lane="a"), delivery(2, lane="b"), delivery(3, lane="c"), delivery(4, lane="d"), cursor=4)
    desk.now += 50
    desk.record(delivery(5, lane="e"), delivery(6, lane="e"), cursor=6)
    for state in (DONE, DEAD, HELD):
        desk.settle(desk.claim_one(), state)
    desk.claim_one()
    shown = desk.ledger.overview()
    assert shown.states == {**dict.fromkeys(State, 0), DONE: 1, DEAD: 1, HELD: 1, RUNNING: 1, WAITING: 2}
    assert shown.oldest_waiting == 1000.0
    assert [site.cursor for site in shown.sites] == [6]
    assert [(record.waiting, record.held) for record in shown.plugins] == [(4, 1)]


def test_the_last_beat_is_shown(desk: Desk) -> None:
    beat = Heartbeat(77, 1.0, 2.0, "1.0", "/etc/callsheet.toml")
    lost = SiteHealth(SITE, "https://x", 12, 3.0, "timed out", 4.0)
    desk.ledger.beat(beat, [lost, SiteHealth("other", "https://y", None, None)])
    again = Heartbeat(77, 1.0, 3.0, "1.0", "/etc/callsheet.toml", stopped_at=3.0)
    desk.ledger.beat(again, [lost])
    shown = desk.ledger.overview()
    assert (shown.heartbeat, shown.health) == (again, (lost,))


def test_the_crew_is_shown_as_last_said(desk: Desk) -> None:
    facts = SessionFacts("moth", "localized", "/configs/moth", "v0.24.0", "3.11.7")
    busy = WorkerRow(SITE, ("a", "b"), 97, 4711, "busy", 2.0, 38_000_000, 12, 1, toolkit=facts)
    lost = WorkerRow(SITE, ("c",), None, None, "backing off", 3.0, None, 0, 4, "signal SIGSEGV", 63.0)
    beat = Heartbeat(77, 1.0, 10.0, "1.0", "/etc/callsheet.toml")
    desk.ledger.beat(beat, [], [busy, lost])
    desk.reopen()
    assert desk.ledger.overview().workers == (busy, lost)
    desk.ledger.beat(replace(beat, at=11.0), [], [lost])
    assert desk.ledger.overview().workers == (lost,)
    desk.ledger.beat(replace(beat, at=12.0, stopped_at=12.0), [])
    assert desk.ledger.overview().workers == ()


def test_what_is_retried_has_no_attempts_behind_it_once_the_plugin_is_another_file(desk: Desk) -> None:
    # Given a delivery that failed three times, of this plugin and of another one
    for plugin in ("plugin", "other"):
        desk.describe("react", plugin=plugin, text="one")
        desk.record(delivery(1, plugin=plugin))
        desk.free[PluginKey(SITE, plugin)] = 1
    for run in desk.claim():
        desk.ledger.settle([desk.outcome(run.deliveries[0].id, State.RETRYING, attempts=3, due=2000.0)], [run.id], desk.now)

    def found(text: str) -> dict[str, tuple[State, int]]:
        desk.describe("react", text=text)
        return {row.plugin: (row.state, row.attempts) for row in desk.rows()}

    # When the plugin is described again, as the file that it was, and as another one
    assert found("one") == {"plugin": (RETRYING, 3), "other": (RETRYING, 3)}
    assert found("two") == {"plugin": (RETRYING, 0), "other": (RETRYING, 3)}
    # Then it is due when it was
    assert desk.claim() == []
    assert desk.next_due() == 2000.0


def test_what_is_asked_of_a_running_daemon_is_told_once_in_order(desk: Desk) -> None:
    beat = Heartbeat(77, 1.0, 10.0, "1.0", "/etc/callsheet.toml")
    warm = Operation(Verb.WARM, "td@farm", "", DeliveryQuery(site=SITE, project="moth"))
    retire = Operation(Verb.RETIRE, "td@farm", "stale", DeliveryQuery(site=SITE, project=97))

    desk.ledger.enrol([file("mailer")], PluginState.READY, 1.0)
    reload = Operation(Verb.RELOAD, "td@farm", "new settings", DeliveryQuery(plugin="mailer"))
    reload_all = Operation(Verb.RELOAD, "td@farm")

    for asked in (warm, retire, reload, reload_all):
        desk.ledger.operate(asked, 11.0)

    assert desk.ledger.beat(beat, []) == [
        DaemonCommand(Verb.WARM, SITE, "moth"),
        DaemonCommand(Verb.RETIRE, SITE, 97),
        DaemonCommand(Verb.RELOAD, None, None, "mailer"),
        DaemonCommand(Verb.RELOAD, None),
    ]
    assert desk.ledger.beat(beat, []) == []
    with pytest.raises(StateError, match="There is no plugin nosuch to reload"):
        desk.ledger.operate(Operation(Verb.RELOAD, "td@farm", query=DeliveryQuery(plugin="nosuch")), 11.0)
    assert [(one.verb, one.asked) for one in desk.ledger.overview(operations=4).operations] == [
        (Verb.RELOAD, "all"),
        (Verb.RELOAD, "plugin mailer"),
        (Verb.RETIRE, f"site {SITE}, project 97"),
        (Verb.WARM, f"site {SITE}, project moth"),
    ]


def test_news_of_the_crew_are_shown_at_once_and_counts_after_some_seconds(desk: Desk) -> None:
    beat, worker = Heartbeat(77, 1.0, 10.0, "1.0", "/etc/callsheet.toml"), WorkerRow(SITE, ("a",), pid=1, state="idle")

    def shown(at: float, **changed: Any) -> WorkerRow:
        desk.ledger.beat(replace(beat, at=at), [], [replace(worker, **changed)])
        (row,) = desk.ledger.overview().workers
        return row

    assert shown(10.0) == worker
    assert shown(20.0, calls=900, memory=5, state="busy").calls == 900
    assert shown(60.0, calls=901).calls == 901
    assert shown(61.0, calls=902, pid=2) == replace(worker, calls=902, pid=2)


# -- prune


def test_prune_forgets_what_ended_long_ago_and_its_events(desk: Desk) -> None:
    desk.record(delivery(1), delivery(2), delivery(2, "other", lane="apart"), delivery(3))
    run = desk.claim_one()
    desk.settle(run, DONE, DEAD, SKIPPED)
    desk.now += 100
    assert desk.ledger.prune(desk.now - 200) == (0, 0)
    assert desk.ledger.prune(desk.now - 50) == (3, 2)  # event 2 is still waited for, in another lane
    assert {(row.event_id, row.callback): row.state for row in desk.rows()} == {(2, "other"): WAITING}
    assert desk.ledger.overview().states == {**dict.fromkeys(State, 0), WAITING: 1}
    assert desk.run_all() == [2]
    desk.now += 100
    assert desk.ledger.prune(desk.now) == (1, 1)
    assert desk.rows() == []


def test_prune_keeps_what_is_open_however_old_and_finds_what_is_behind_it(desk: Desk) -> None:
    desk.record_events(0, lane="stuck")
    desk.settle(desk.claim_one(), HELD)
    desk.record(*(delivery(number, lane=f"lane {number % 7}") for number in range(1, 2501)))
    assert len(desk.run_all()) == 2500
    desk.now += 10
    desk.record_events(9000)
    assert desk.ledger.prune(desk.now - 5) == (2500, 2500)
    assert desk.states() == {0: HELD, 9000: WAITING}
    assert desk.operate(Verb.RELEASE, plugin="plugin")
    assert sorted(desk.run_all()) == [0, 9000]


def test_delivery_ids_are_never_used_again_not_even_after_pruning(desk: Desk) -> None:
    desk.record_events(1, 2)
    before = {row.id for row in desk.rows()}
    desk.run_all()
    desk.ledger.prune(desk.now + 1)
    desk.record_events(3, 4)
    assert min(row.id for row in desk.rows()) > max(before)


def test_the_same_event_of_another_site_stays_when_one_goes(desk: Desk) -> None:
    desk.record(delivery(1))
    desk.run_all()
    desk.record(delivery(1, site="other"), site="other")
    assert desk.ledger.prune(desk.now + 1) == (1, 1)
    desk.free = {PluginKey("other", "plugin"): 1}
    assert [one.payload for one in desk.claim_one().deliveries] == [delivery(1).event.payload]


def test_a_closed_ledger_says_so(desk: Desk) -> None:
    desk.ledger.close()
    with pytest.raises(StateError, match="is closed"):
        desk.record_events(1)
    with pytest.raises(StateError, match="is closed"):
        desk.ledger.overview()


def call(desk: Desk, *states: State) -> None:
    """Calls that end like that, of an event each."""
    first = desk.now
    for number, state in enumerate(states):
        desk.now += 1
        desk.record_events(int(first) + number, lane=f"lane {number}")
        desk.settle(desk.claim_one(), state)


def test_a_callback_all_of_whose_calls_fail_is_shown_until_one_does_well_or_its_file_changes(desk: Desk) -> None:
    desk.describe("react")
    call(desk, DONE, *[DEAD] * 19)
    assert desk.ledger.overview().always_failing == ()
    began = desk.now - 18
    call(desk, DEAD, SKIPPED)
    (found,) = desk.ledger.overview().always_failing
    assert (str(found.key), found.calls, found.since) == ("plugin.react", 20, began)
    assert found.last.startswith("ValueError: no ")
    desk.reopen()
    assert len(desk.ledger.overview().always_failing) == 1
    call(desk, DONE)
    assert desk.ledger.overview().always_failing == ()
    call(desk, *[DEAD] * 20)
    assert len(desk.ledger.overview().always_failing) == 1
    desk.describe("react")
    assert desk.ledger.overview().always_failing == ()


def test_since_when_a_plugin_has_failures_that_stand_is_shown(desk: Desk) -> None:
    call(desk, DEAD)
    first = desk.now
    call(desk, DEAD, DEAD)
    (found,) = desk.ledger.overview().failing
    assert (found.dead, found.since) == (3, first)


def test_since_when_something_waits_that_could_run_is_shown(desk: Desk) -> None:
    desk.enrol(file(), state=PluginState.READY)
    desk.record_events(1, 2, lane="one")
    desk.now += 100
    desk.record_events(3, lane="two")

    def since() -> list[float]:
        return [one.since for one in desk.ledger.overview().late]

    assert since() == [1000.0]
    # What is handed out does not wait, and what stands behind it does
    run = desk.claim_one(most=1)
    assert since() == [1000.0]
    # Nor does what is held, by a failure or an operator, or is tried again later
    desk.settle(run, HELD)
    assert since() == [1100.0]
    desk.operate(Verb.HOLD, plugin="plugin")
    assert since() == []
    desk.operate(Verb.RELEASE, plugin="plugin")
    desk.settle(desk.claim_one(), RETRYING, due=desk.now + 500)
    assert since() == [1100.0]
