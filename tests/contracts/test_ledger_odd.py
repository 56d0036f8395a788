"""The Ledger port keeps whatever text it is given: one that no encoding has a form for fails no transaction."""

from __future__ import annotations

from dataclasses import replace

from callsheet.domain.callback import CallbackKey, PluginKey
from callsheet.domain.delivery import DeliveryQuery, Failure, NewDelivery, State
from callsheet.domain.operation import Verb
from callsheet.domain.overview import Heartbeat, SiteHealth, WorkerRow
from callsheet.domain.plugin import Manifest, PluginFile, PluginState
from callsheet.domain.reading import Intake
from tests.contracts.ledger import Desk, delivery, event_ids
from tests.support.events import SITE, callback, event

ODD = "caf\udce9 \ud83c"
KEPT = r"caf\udce9 \ud83c"


def test_a_failure_with_an_odd_text_is_kept_with_all_that_is_settled_beside_it(desk: Desk) -> None:
    desk.record_events(1, 2, 3)
    run = desk.claim_one()
    first, second, third = (desk.outcome(one.id, State.DEAD) for one in run.deliveries)
    odd = Failure(ODD, ODD, ODD, ODD)
    desk.ledger.settle([first, second._replace(failure=odd), third], [run.id], desk.now)
    desk.reopen()
    rows = {row.event_id: row.failure for row in desk.ledger.deliveries(DeliveryQuery(failures=True))}
    assert rows[2] == Failure(KEPT, KEPT, KEPT, KEPT)
    assert [rows[1], rows[3]] == [first.failure, third.failure]


def test_events_and_lanes_with_odd_names_are_kept_beside_others(desk: Desk) -> None:
    odd = NewDelivery(CallbackKey(PluginKey(SITE, "plugin"), "react"), 0, event(2, ODD, note=ODD), ODD)
    assert desk.record(delivery(1), odd, delivery(3), odd._replace(event=event(4))) == 4
    runs = desk.claim()
    desk.free = dict.fromkeys(desk.free, 2)
    assert [event_ids(run) for run in runs + desk.claim()] == [[1, 3], [2, 4]]
    assert {(row.event_type, row.lane) for row in desk.rows() if row.event_id == 2} == {(KEPT, KEPT)}
    assert [row.event_id for row in desk.ledger.deliveries(DeliveryQuery(lane=ODD))] == [4, 2]


def test_plugins_with_odd_paths_problems_and_callbacks_are_kept(desk: Desk) -> None:
    odd = PluginFile(PluginKey(SITE, "odd"), f"/plugins/{ODD}.py", 1, 1.0)
    desk.enrol(PluginFile(PluginKey(SITE, "well"), "/plugins/well.py", 0, 1.0), odd)
    desk.ledger.describe(odd, Manifest(odd.key, 1, problem=f"RuntimeError: {ODD}"), desk.now)
    desk.reopen()
    record = desk.plugin("odd")
    assert (record.path, record.state, record.problem) == (f"/plugins/{KEPT}.py", PluginState.BROKEN, f"RuntimeError: {KEPT}")
    mine = replace(callback("react", ODD, plugin="odd", attributes=(ODD,), lane=f"meta.{ODD}"), script=ODD)
    desk.ledger.describe(odd, Manifest(odd.key, 2, (mine,)), desk.now)
    desk.reopen()
    assert desk.plugin("odd").callbacks == (mine,)


def test_what_operators_and_the_daemon_say_may_be_odd(desk: Desk) -> None:
    desk.record_events(1)
    desk.operate(Verb.HOLD, plugin="plugin", lane=ODD)
    desk.operate(Verb.SKIP, plugin=ODD)
    beat = Heartbeat(1, desk.now, desk.now, "1", f"/etc/{ODD}.toml")
    workers = [WorkerRow(SITE, (ODD,), problem=ODD, call=ODD), WorkerRow(SITE, ("well",))]
    desk.ledger.beat(beat, [SiteHealth(SITE, "http://site", 1, desk.now, ODD)], workers)
    desk.ledger.record(Intake(SITE, cursor=5), desk.now)
    shown = desk.ledger.overview(operations=5)
    assert shown.heartbeat is not None
    assert (shown.heartbeat.config, shown.health[0].error) == (f"/etc/{KEPT}.toml", KEPT)
    assert [row.problem for row in shown.workers] == [KEPT, ""]
    assert [hold.lane for one in shown.plugins for hold in one.holds] == [KEPT]


def test_a_run_has_no_more_than_a_worker_can_be_handed_at_once(desk: Desk) -> None:
    letters = "x" * 6_000_000
    desk.record(*(delivery(number)._replace(event=event(number, note=letters)) for number in range(1, 6)))
    runs = []
    while found := desk.claim():
        runs.append([event_ids(run) for run in found])
        desk.settle_done(found[0])
    assert runs == [[[1, 2]], [[3, 4]], [[5]]]


def test_an_event_that_is_longer_than_a_run_may_be_is_handed_out_alone(desk: Desk) -> None:
    desk.record(delivery(1)._replace(event=event(1, note="x" * 20_000_000)), delivery(2))
    assert event_ids(desk.claim_one()) == [1]
