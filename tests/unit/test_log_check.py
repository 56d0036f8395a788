"""A site whose event log is another one than before: noticed in whatever way it happens, and not mistaken for what is harmless."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet import telemetry
from callsheet.domain.delivery import DeliveryQuery
from callsheet.domain.event import Event
from callsheet.domain.operation import Operation, Reset, Verb
from callsheet.domain.reading import Intake
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.policy.log_identity import UNFINISHED, address
from callsheet.services.log_check import LAG, LOOK_EVERY
from tests.support.events import SITE, event
from tests.support.intake_bench import NOW, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A plugin that has been given events 1 to 10; page by page of 4."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    desk = Desk(ledger)
    desk.enrol("plugin")
    desk.stand(0)
    desk.log.ids += range(1, 11)
    desk.step(4)
    assert desk.got("plugin") == list(range(1, 11))
    yield desk
    ledger.close()


def other(number: int) -> Event:
    """The event of that id in another log."""
    return event(number, created_at="2027-01-01T00:00:00Z")


def become(desk: Desk, *ids: int) -> None:
    """Show another log, of these events."""
    desk.log.ids[:] = ids
    desk.log.make = other


def problem(desk: Desk) -> str:
    return desk.intake.health().problem or ""


def restart(desk: Desk) -> Desk:
    again = Desk(desk.ledger, log=desk.log)
    again.cast.enter("plugin")
    return again


def reset(desk: Desk, cursor: int | None) -> None:
    told = Reset(address("http://site"), cursor, tuple(desk.log.fingerprints([cursor] if cursor else []).values()))
    desk.ledger.operate(Operation(Verb.RESET, "ada@stage", "restored", DeliveryQuery(site=SITE), reset=told), NOW)


def test_a_log_that_ends_below_the_cursor_is_not_read(desk: Desk) -> None:
    become(desk, *range(1, 5))
    with telemetry.recording("site.changed") as told:
        desk.step(int(LAG) + 5)
        assert problem(desk) == "its newest event is 4, and it was read up to event 10"
        desk.log.ids += range(5, 21)
        desk.step(10)
    assert "event 10 is Shotgun_Task_Change of 2027" in problem(desk)
    assert desk.got("plugin") == list(range(1, 11))
    assert desk.ledger.site(SITE).cursor == 10
    assert len(told.signals) == 1, "it is told once"
    assert desk.intake.another_log


def test_a_log_that_grew_past_the_cursor_between_two_polls_is_not_read(desk: Desk) -> None:
    become(desk, *range(1, 21))
    desk.step(2)
    assert "event 10 is Shotgun_Task_Change of 2027" in problem(desk)
    assert desk.got("plugin") == list(range(1, 11))


def test_a_log_that_has_no_event_of_the_cursors_id_is_not_read(desk: Desk) -> None:
    become(desk, *range(2_000, 2_010))
    desk.step(int(LAG) + 3)
    assert "does not show event 10, nor any other of the last that were read" in problem(desk)
    assert desk.got("plugin") == list(range(1, 11))


def test_it_is_noticed_at_the_start_before_anything_is_read(desk: Desk) -> None:
    become(desk, *range(1, 21))
    again = restart(desk)
    again.step()
    assert "event 10 is" in problem(again)
    assert again.log.reads == desk.log.reads


def test_a_plugin_that_stands_behind_gets_nothing_of_another_log(desk: Desk) -> None:
    desk.stand(10, plugin=5)
    become(desk, *range(1, 21))
    again = restart(desk)
    again.step(3)
    assert problem(again)
    assert again.positions() == {"plugin": 5}


def test_a_log_that_is_as_before_again_is_read_on(desk: Desk) -> None:
    ids = list(desk.log.ids)
    become(desk, *range(1, 21))
    desk.step(3)
    assert problem(desk)
    with telemetry.recording("site.recognized") as told:
        desk.log.ids[:], desk.log.make = [*ids, 11], event
        desk.step(3)
    assert not problem(desk)
    assert len(told.signals) == 1
    assert desk.got("plugin") == list(range(1, 12))


def test_events_that_are_shown_late_by_one_of_the_sites_machines_are_no_trouble(desk: Desk) -> None:
    del desk.log.ids[-2:]
    desk.step(int(LAG) - 1)
    assert not problem(desk)
    desk.log.ids += [9, 10, 11]
    desk.step(3)
    assert not problem(desk)
    assert desk.got("plugin") == list(range(1, 12))


def test_an_event_that_is_hidden_from_the_script_by_now_is_no_trouble(desk: Desk) -> None:
    desk.log.ids.remove(10)
    desk.log.ids.append(11)
    desk.step(int(LAG) + 3)
    assert not problem(desk)
    assert desk.got("plugin") == list(range(1, 12))
    # Nor does each poll ask for it again
    before = desk.log.looks
    desk.step(5)
    assert desk.log.looks == before


def test_polls_tell_the_log_without_asking_more_than_before(desk: Desk) -> None:
    looks, reads = desk.log.looks, desk.log.reads
    desk.step(10)
    desk.log.ids.append(11)
    desk.step(2)
    assert desk.got("plugin")[-1] == 11
    assert (desk.log.looks, desk.log.reads) == (looks, reads + 12)


def test_a_page_of_one_event_is_read_on(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "one.db")
    desk = Desk(ledger, page=1)
    desk.enrol("plugin")
    desk.stand(0)
    desk.log.ids += range(1, 6)
    desk.step(7)
    assert desk.got("plugin") == [1, 2, 3, 4, 5]
    become(desk, *range(1, 4))
    desk.step(int(LOOK_EVERY + LAG) + 3)
    assert problem(desk)
    ledger.close()


def test_a_ledger_without_fingerprints_notices_a_log_below_its_cursor_and_remembers_it(tmp_path: Path) -> None:
    # Given a ledger that an older version, or an id file, has left
    ledger = SqliteLedger(tmp_path / "old.db")
    desk = Desk(ledger)
    desk.enrol("plugin")
    desk.stand(100)
    desk.log.ids += range(1, 51)
    desk.step(int(LAG) + 3)
    assert problem(desk) == "its newest event is 50, and it was read up to event 100"
    # When the log has grown past the cursor by the next start
    desk.log.ids += range(51, 151)
    again = restart(desk)
    again.step(3)
    # Then it is still another one
    assert "event 100 is Shotgun_Task_Change" in problem(again)
    assert again.got("plugin") == []
    ledger.close()


def test_an_empty_log_of_which_nothing_was_read_may_begin_behind_the_id_that_was_given(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "new.db")
    desk = Desk(ledger)
    desk.enrol("plugin")
    desk.stand(5_000)
    desk.step(int(LAG + LOOK_EVERY) + 5)
    assert not problem(desk)
    desk.log.ids += [5_001, 5_002]
    desk.step(2)
    assert not problem(desk)
    assert desk.got("plugin") == [5_001, 5_002]
    ledger.close()


def test_an_empty_log_below_the_cursor_is_told_as_such(desk: Desk) -> None:
    become(desk)
    desk.step(int(LAG) + 3)
    assert problem(desk) == "its newest event is none at all, and it was read up to event 10"


def test_another_address_is_not_read_until_it_is_confirmed(desk: Desk) -> None:
    desk.ledger.record(Intake(SITE, address="elsewhere"), NOW)
    desk.log.ids.append(11)
    before = desk.log.looks, desk.log.reads
    desk.step(3)
    assert problem(desk) == "it is read at site now, and was read at elsewhere before"
    assert (desk.log.looks, desk.log.reads) == before
    reset(desk, None)
    desk.step(2)
    assert not problem(desk)
    assert desk.got("plugin") == list(range(1, 12))


def test_a_site_whose_reset_was_interrupted_is_not_read(desk: Desk) -> None:
    desk.ledger.record(Intake(SITE, address=UNFINISHED), NOW)
    desk.log.ids.append(11)
    desk.step(3)
    assert "give the command again" in problem(desk)
    reset(desk, 10)
    desk.step(2)
    assert not problem(desk)
    assert desk.got("plugin") == list(range(1, 12))


@pytest.mark.parametrize(
    "url",
    [
        "https://Studio.ShotGrid.autodesk.com",
        "https://studio.shotgrid.autodesk.com/",
        "http://studio.shotgrid.autodesk.com",
        "https://studio.shotgrid.autodesk.com:443",
        "https://user:word@studio.shotgrid.autodesk.com.",
        "studio.shotgrid.autodesk.com",
    ],
)
def test_another_spelling_is_no_other_address(url: str) -> None:
    assert address(url) == "studio.shotgrid.autodesk.com"


@pytest.mark.parametrize(
    "url",
    [
        "https://staging.shotgrid.autodesk.com",
        "https://studio.shotgrid.autodesk.com:8443",
        "https://studio.shotgrid.autodesk.com/b",
    ],
)
def test_another_host_port_or_path_is_another_address(url: str) -> None:
    assert address(url) != "studio.shotgrid.autodesk.com"


def test_after_a_reset_all_events_of_the_new_log_are_delivered_whatever_their_ids(desk: Desk) -> None:
    desk.run_all("plugin")
    become(desk, *range(1, 8))
    desk.step(int(LAG) + 3)
    # When the operator lets it go on in the middle of the new log
    reset(desk, 4)
    desk.log.ids += range(8, 15)
    desk.step(5)
    # Then none of it is missing, not even those whose ids were delivered before
    assert not problem(desk)
    rows = desk.ledger.deliveries(DeliveryQuery(plugin="plugin", limit=100))
    assert sorted(row.event_id for row in rows) == sorted([*range(1, 11), *range(5, 15)])
    assert len(desk.ledger.deliveries(DeliveryQuery(event_id=7))) == 2, "both are found by their id"


def test_what_was_read_before_a_reset_is_not_recorded_after_it(desk: Desk) -> None:
    state = desk.ledger.site(SITE)
    reset(desk, 4)
    desk.ledger.record(Intake(SITE, cursor=50, log_epoch=state.log_epoch), NOW)
    assert desk.ledger.site(SITE).cursor == 4


def test_what_was_known_of_the_old_log_does_not_let_events_of_the_new_one_be_left_out(tmp_path: Path) -> None:
    # Given a log of which the reader knows that it is old up to 400, so that only wanted types are read up to there
    ledger = SqliteLedger(tmp_path / "sifted.db")
    desk = Desk(ledger)
    desk.enrol("plugin", types=("Shotgun_Task_Change",))
    desk.stand(1)
    desk.log.ids += range(1, 401)
    desk.log.make = lambda number: event(number, "Shotgun_Shot_New", created_at="2020-01-01T00:00:00Z")
    desk.step(200)
    assert ledger.site(SITE).cursor == 400
    # When the reading goes on behind event 10 of another log
    become(desk, *range(1, 21))
    reset(desk, 10)
    desk.step(6)
    # Then it ends where that log ends
    assert ledger.site(SITE).cursor == 20
    assert desk.got("plugin") == list(range(11, 21))
    ledger.close()
