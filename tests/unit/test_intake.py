"""The intake service, step by step."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from callsheet import telemetry
from callsheet.domain.event import Event
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.wire.causality import Signature
from tests.support.events import SITE, event
from tests.support.intake_bench import Desk


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
            desk.run_all("free")
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


def test_a_poll_that_brings_nothing_writes_nothing(desk: Desk, tmp_path: Path) -> None:
    # Given a log that has been read, with a gap that is waited for
    desk.enrol("plugin")
    desk.stand(5)
    desk.log.ids += [6, 8]
    desk.step(2)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as look:
        before = look.execute("PRAGMA data_version").fetchone()
        desk.step(20)
        assert look.execute("PRAGMA data_version").fetchone() == before
        desk.log.ids.append(9)
        desk.step()
        assert look.execute("PRAGMA data_version").fetchone() != before


def test_a_full_plugin_makes_nobody_wait_longer_than_the_poll(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    with closing(ledger):
        desk = Desk(ledger, most_waiting=4, poll=2.0)
        desk.enrol("full", "free")
        desk.stand(0)
        desk.log.ids += range(1, 4)
        desk.time = 10.0
        assert desk.intake.step() == 2.0
        desk.run_all("free")
        # When the poll is due in a moment, that is when the next step is
        desk.time += 1.75
        assert desk.intake.step() == 0.25
        assert desk.intake.crowded


def test_what_is_left_out_as_own_is_counted_once_each_and_said_once(desk: Desk) -> None:
    # Given a log of what a plugin has written, with a gap, and one that is behind
    def made(number: int) -> Event:
        return event(number, session_uuid=Signature(SITE, "writer" if number % 2 else "late").mark())

    desk.log.make = made
    desk.enrol("writer", "late", "curious", ignore_own=True)
    desk.cast.enter("curious", ignore_own=False)
    desk.stand(10, late=4)
    desk.log.ids += [*range(1, 13), *range(14, 21)]
    with telemetry.recording() as recorder:
        # When all is read, and the missing one shows at last
        desk.step(5)
        desk.log.ids.append(13)
        desk.step(3)
        desk.log.ids += [21, 22]
        desk.step(3)
    # Then each plugin was given what it had not written, and the rest is counted
    assert desk.got("writer") == [12, 14, 16, 18, 20, 22]
    assert desk.got("late") == [5, 7, 9, 11, 13, 15, 17, 19, 21]
    assert desk.got("curious") == list(range(11, 23))
    counts = {one.key.name: one.own for one in desk.ledger.plugins(SITE)}
    assert counts == {"writer": 6, "late": 9, "curious": 0}
    told = [one.facts["plugin"] for one in recorder.named("plugin.own")]
    assert sorted(told) == ["late", "writer"]
