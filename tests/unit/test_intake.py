"""The intake service, step by step."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callsheet import telemetry
from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import DeliveryQuery
from callsheet.domain.event import Event
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.overview import Heartbeat, SiteHealth
from callsheet.domain.plugin import DAEMON, PluginFile, PluginState
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.services.known_plugins import LateCallback
from callsheet.wire.causality import Signature
from tests.support.events import SITE, callback, event
from tests.support.intake_bench import NOW, Desk


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


# -- plugins whose file was gone

DAY = 86400.0


def dated(*days: float) -> Callable[[int], Event]:
    """Makes the events of a log whose n-th, counted from 1, is so many days old; later ones are new."""

    def make(number: int) -> Event:
        age = days[number - 1] if number <= len(days) else 0.0
        return event(number, created_at=datetime.fromtimestamp(NOW - age * DAY, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    return make


def leave(desk: Desk, newest: int | None = None) -> None:
    """The file of ``away`` is gone; ``newest``: the site's newest event then, None: nobody knew."""
    if newest is not None:
        health = SiteHealth(SITE, "http://site", newest, NOW)
        desk.ledger.beat(Heartbeat(1, NOW, NOW, "0", "studio.toml"), [health])
    desk.ledger.enrol([AWAY], PluginState.GONE, NOW)
    desk.cast.leave("away")


def come_back(desk: Desk, at: float = NOW) -> None:
    desk.ledger.enrol([AWAY], PluginState.READY, at)
    desk.cast.enter("away")


AWAY = PluginFile(PluginKey(SITE, "away"), "/plugins/away.py", 1, 1.0)


@pytest.fixture
def both(desk: Desk) -> Desk:
    """With two plugins, of which ``away`` is to leave."""
    desk.enrol("here", "away")
    return desk


def test_a_plugin_that_returns_a_day_behind_gets_nothing_until_that_is_decided(both: Desk) -> None:
    # Given one that was gone while the log was read on for more than a day
    both.log.ids, both.log.make = list(range(1, 8)), dated(3, 3, 3, 2, 1.5)
    both.stand(3)
    leave(both, newest=3)
    both.step()
    assert both.got("here") == [4, 5, 6, 7]
    # When it is back
    with telemetry.recording("plugin.returned") as recorder:
        come_back(both)
        both.step(3)
    # Then it is held where it stood, and that is said
    assert (both.got("away"), both.positions()) == ([], {"here": None, "away": 3})
    (hold,) = next(one.holds for one in both.ledger.plugins() if one.key.name == "away")
    assert (hold.who, hold.why) == (DAEMON, "its file was gone, and it would go on behind event 3, 3.0 days ago")
    (returned,) = recorder.signals
    assert (returned.facts["plugin"], returned.facts["position"]) == ("away", 3)
    # And once it is released it gets all of it
    both.ledger.operate(Operation(Verb.RELEASE, "ada", query=DeliveryQuery(plugin="away")), NOW)
    both.step(3)
    assert (both.got("away"), both.positions()) == ([4, 5, 6, 7], {"here": None, "away": None})


def test_a_plugin_that_is_sent_to_the_newest_event_gets_what_comes_behind_it(both: Desk) -> None:
    # Given one that is held since it returned, while the daemon has not read to the newest event yet
    both.log.ids, both.log.make = list(range(1, 20)), dated(3, 3, 3)
    both.stand(3)
    leave(both, newest=3)
    both.step()
    come_back(both)
    both.step()
    assert both.ledger.site(SITE).undecided == {"away"}
    # When it is sent there
    both.ledger.operate(Operation(Verb.SKIP, "ada", query=DeliveryQuery(plugin="away"), to_newest=15), NOW)
    both.step(5)
    # Then it has what comes behind that, once the others have come there
    assert (both.got("here"), both.got("away")) == (list(range(4, 20)), [16, 17, 18, 19])
    assert both.positions() == {"here": None, "away": None}


def test_a_plugin_that_returns_within_a_day_goes_on_by_itself(both: Desk) -> None:
    both.log.ids, both.log.make = list(range(1, 8)), dated(0.9, 0.9, 0.9)
    both.stand(3)
    leave(both, newest=3)
    both.step()
    come_back(both)
    both.step(3)
    assert both.got("away") == [4, 5, 6, 7]


def test_a_plugin_that_was_gone_while_nothing_was_read_has_missed_nothing(both: Desk) -> None:
    both.log.ids, both.log.make = [1, 2, 3], dated(3, 3, 3)
    both.stand(3)
    leave(both, newest=3)
    both.step()
    come_back(both)
    both.log.ids.append(4)
    both.step()
    assert both.got("away") == [4]


def test_what_a_plugin_was_behind_before_it_was_gone_does_not_count(both: Desk) -> None:
    # Given one that was broken for two days, and whose file is put there anew
    both.log.ids, both.log.make = list(range(1, 8)), dated(3, 3, 3, 2, 1)
    both.stand(6, away=3)
    both.cast.leave("away")
    leave(both, newest=6)
    both.step()
    come_back(both)
    both.step(3)
    assert both.got("away") == [4, 5, 6, 7]


def test_a_weekend_in_which_the_daemon_was_down_does_not_count(both: Desk) -> None:
    # Given a daemon that starts after a weekend, before the plugins' files can be seen
    both.log.ids, both.log.make = list(range(1, 8)), dated(3, 3, 3, 2, 1)
    both.stand(3)
    leave(both)
    both.step()
    # When they show a minute later, and two days later
    come_back(both, NOW + 60)
    both.step(3)
    assert both.got("away") == [4, 5, 6, 7]


def test_a_plugin_that_is_still_gone_two_days_after_the_daemons_start_is_held(tmp_path: Path) -> None:
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        desk = Desk(ledger, max_away=-1.0)  # time stands still here: whoever was gone at all was gone for too long
        desk.enrol("here", "away")
        desk.log.ids, desk.log.make = list(range(1, 8)), dated(3, 3, 3, 2, 1)
        desk.stand(3)
        leave(desk)
        desk.step()
        come_back(desk)
        desk.step(3)
        assert desk.got("away") == []
        assert desk.ledger.site(SITE).undecided == {"away"}


def test_how_far_a_plugin_is_behind_is_asked_again_once_the_site_answers(both: Desk) -> None:
    both.log.ids, both.log.make = list(range(1, 8)), dated(3, 3, 3)
    both.stand(3)
    leave(both, newest=3)
    both.step()
    come_back(both)
    both.log.fails_at = {both.log.reads + 1}
    both.step(4)
    assert both.got("away") == []
    assert both.ledger.site(SITE).undecided == {"away"}


# -- callbacks that are registered later


def test_a_callback_that_was_registered_later_is_given_what_was_routed_without_it(desk: Desk) -> None:
    # Given a plugin that has been routed ten events, and registers one more callback at the third
    desk.enrol("plugin")
    desk.stand(0)
    desk.log.ids += range(1, 11)
    desk.step(4)
    desk.cast.late.append(LateCallback("plugin", "second", 3))
    # When the next page is read
    desk.step()
    # Then those behind it are asked for, for this callback
    (replay,) = desk.ledger.site(SITE).replays
    assert (replay.plugin.name, replay.callback, replay.ranges, replay.who) == ("plugin", "second", ((4, 10),), DAEMON)
    desk.step()
    assert len(desk.ledger.site(SITE).replays) == 1


def test_one_that_was_registered_at_the_newest_event_has_missed_nothing(desk: Desk) -> None:
    desk.enrol("plugin")
    desk.stand(0)
    desk.log.ids += [1, 2, 3]
    desk.step(2)
    desk.cast.late.append(LateCallback("plugin", "second", 3))
    desk.step()
    assert desk.ledger.site(SITE).replays == ()


def test_one_that_comes_again_with_an_old_event_gets_nothing_twice(desk: Desk) -> None:
    # Given a callback that had the first five events, and whose plugin registers it again for the second, which is tried again
    desk.enrol("plugin")
    desk.stand(0)
    desk.log.ids += range(1, 6)
    desk.step(3)
    desk.cast.leave("plugin")
    desk.cast.callbacks = {"plugin": (callback("other", plugin="plugin"),)}
    desk.log.ids += range(6, 9)
    desk.step(2)
    desk.cast.late.append(LateCallback("plugin", "react", 2))
    desk.step()
    assert [one.ranges for one in desk.ledger.site(SITE).replays] == [((6, 8),)]
