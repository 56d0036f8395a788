"""The Ledger port on what explains later why an event did not run."""

from __future__ import annotations

from dataclasses import replace

from callsheet.domain.delivery import DeliveryQuery, State
from callsheet.domain.plugin import PluginState
from callsheet.domain.reading import ExpiredGap, Gap, Intake
from tests.contracts.ledger import Desk, delivery, file
from tests.support.events import SITE


def test_a_plugin_begins_at_the_cursor_of_its_first_look(desk: Desk) -> None:
    desk.record(cursor=40)
    desk.enrol(file("first"))
    desk.record(cursor=50)
    desk.enrol(file("first"), file("second"), state=PluginState.READY)
    assert (desk.plugin("first").began_after, desk.plugin("second").began_after) == (40, 50)


def test_plugins_that_were_there_before_the_first_reading_begin_with_it(desk: Desk) -> None:
    desk.enrol(file("new"), file("imported"))
    desk.ledger.record(Intake(SITE, positions={"imported": 7}), desk.now)
    assert desk.plugin("new").began_after is None
    desk.record(cursor=40)
    desk.record(cursor=60)
    assert (desk.plugin("new").began_after, desk.plugin("imported").began_after) == (40, 7)


def test_what_was_registered_before_is_kept_with_the_event_up_to_which_it_held(desk: Desk) -> None:
    desk.enrol(file())
    desk.record(cursor=40)
    desk.describe("react")
    desk.describe("react")  # a reload that changes nothing leaves no trace
    desk.record(cursor=50)
    desk.describe("react", "other")
    (earlier,) = desk.plugin().earlier
    assert (earlier.until_event, earlier.at, [one.key.name for one in earlier.callbacks]) == (50, desk.now, ["react"])
    desk.reopen()
    for number in range(30):
        desk.describe(f"name{number}")
    assert [one.callbacks[0].key.name for one in desk.plugin().earlier] == [f"name{number}" for number in range(9, 29)]


def test_ids_that_did_not_show_are_kept_for_a_while(desk: Desk) -> None:
    desk.record(cursor=40)
    desk.ledger.record(Intake(SITE, cursor=50, gaps=(Gap(44, 45, 99.0),), expired=((42, 42), (47, 49))), desk.now)
    assert desk.ledger.site(SITE).expired == ()
    assert desk.ledger.site(SITE, expired=True).expired == (ExpiredGap(42, 42, desk.now), ExpiredGap(47, 49, desk.now))
    desk.ledger.prune(desk.now + 1)
    assert desk.ledger.site(SITE, expired=True).expired == ()


def test_up_to_which_event_history_was_pruned_is_known(desk: Desk) -> None:
    desk.record_events(41, 42, 43)
    desk.settle(desk.claim_one(), State.DONE, State.DONE)
    assert desk.ledger.site(SITE).pruned_to is None
    desk.ledger.prune(desk.now + 1)
    assert desk.ledger.site(SITE).pruned_to == 42


def test_the_delivery_that_a_lane_stands_at_is_found_by_its_order(desk: Desk) -> None:
    desk.record(delivery(52), delivery(51, "late"), delivery(60, lane="another"))
    query = DeliveryQuery(plugin="plugin", lane="lane", states=(State.WAITING,), limit=1)
    assert [one.event_id for one in desk.ledger.deliveries(query)] == [51]  # the newest recorded
    assert [one.event_id for one in desk.ledger.deliveries(replace(query, in_order=True))] == [51]
    desk.record(delivery(50, "later"))
    (first,) = desk.ledger.deliveries(replace(query, in_order=True))
    assert first.event_id == 50
    assert '"id":50' in first.payload


def test_when_a_callback_was_called_last_is_known_and_outlives_what_was_pruned(desk: Desk) -> None:
    desk.enrol(file())
    desk.describe("react", "other")
    desk.record(delivery(41), delivery(41, "other", ordinal=1))
    assert desk.plugin().called == {}
    desk.now = 2000.0
    desk.settle(desk.claim_one(), State.DONE, State.SKIPPED)  # what is skipped has not been called
    assert desk.plugin().called == {"react": 2000.0}
    desk.record_events(42)
    desk.now = 3000.0
    desk.settle(desk.claim_one(), State.RETRYING, due=9000.0)
    desk.ledger.prune(2500.0)
    assert desk.plugin().called == {"react": 3000.0}
