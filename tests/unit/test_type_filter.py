"""Where the log is old, only types that plugins want are read; what plugins get is what they would get without that."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsheet.domain.event import Event
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.services.live_reader import MARGIN
from tests.support.events import event
from tests.support.intake_bench import NOW, Desk
from tests.support.memory_log import MemoryLog

WINDOW = 300.0
OLD = WINDOW + MARGIN + 1
LAST = 15
"""The last step at which anything shows, leaves or comes back."""
TYPES = ("Wanted", "Rare", "Common")
WISHES: Mapping[str, tuple[str, ...]] = {
    "wide": ("Wanted", "Rare"),
    "narrow": ("Rare",),
    "broken": ("Rare", "Wanted"),
    "slow": ("Wanted",),
}


@dataclass
class Log:
    """A log as it will have been: type and age of each id, and when those ids show that are not there from the start."""

    kinds: dict[int, str] = field(default_factory=dict)
    ages: dict[int, float] = field(default_factory=dict)
    shows: dict[int, int] = field(default_factory=dict)

    def make(self, number: int) -> Event:
        made = datetime.fromtimestamp(NOW - self.ages.get(number, 0.0), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return event(number, self.kinds.get(number, "Common"), created_at=made)

    def visible(self, step: int) -> list[int]:
        return [number for number in self.kinds if self.shows.get(number, -1) < step]

    def unsure(self) -> set[int]:
        """Late ids that are not promised: an event behind them is so old that they should have shown by now."""
        found = set()
        for number in self.shows:
            behind = [one for one in self.kinds if one > number]
            end = next((one for one in behind if one not in self.shows), None)
            if end is None or any(self.ages[one] > WINDOW - 10 for one in behind if one <= end):
                found.add(number)
        return found


@st.composite
def logs(draw: st.DrawFn) -> Log:
    log, number = Log(), 0
    age = draw(st.floats(0, 3_000))
    for _ in range(draw(st.integers(0, 40))):
        number += draw(st.sampled_from([1, 1, 1, 1, 2, 3, 30]))
        log.kinds[number] = draw(st.sampled_from(TYPES))
        age = max(0.0, age - draw(st.sampled_from([0, 0, 5, 60, 200])))
        log.ages[number] = draw(st.sampled_from([age, age, age, age, 0.0, 5_000.0]))
        if draw(st.integers(0, 5)) == 0:
            log.shows[number] = draw(st.integers(0, LAST))
    return log


def read(log: Log, *, sifted: bool, broken: tuple[int, int], reading: Mapping[str, Any]) -> dict[str, set[int]]:
    """What each plugin gets of the log."""
    margin = patch("callsheet.services.live_reader.MARGIN", MARGIN if sifted else 1e12)
    with margin, tempfile.TemporaryDirectory() as folder:
        ledger = SqliteLedger(Path(folder) / "ledger.db")
        desk = Desk(ledger, log=MemoryLog(log.visible(0), log.make), gap_window=WINDOW, **reading)
        for name, types in WISHES.items():
            desk.enrol(name, types=types)
        desk.stand(0)
        away, back = broken
        for step in range(200):
            if step == away:
                desk.cast.leave("broken")
            if step == back:
                desk.cast.enter("broken", types=WISHES["broken"])
            desk.log.ids = log.visible(step)
            desk.time += 400.0 if step > LAST else 0.0  # the windows of those that never show end
            desk.step()
            for name in WISHES:
                if name != "slow" or step % 4 == 0 or step > LAST:
                    desk.run_all(name)
            if step > LAST and desk.intake.caught_up and not any(desk.positions().values()) and not ledger.site("studio").gaps:
                break
        got = {name: set(desk.got(name)) for name in WISHES}
        ledger.close()
        return got


@pytest.mark.timeout(300)
@settings(max_examples=40, deadline=None)
@given(
    log=logs(),
    broken=st.tuples(st.integers(0, LAST), st.integers(0, LAST)).map(sorted).map(tuple),
    gaps=st.sampled_from(["eager", "strict"]),
    page=st.integers(2, 6),
    most_waiting=st.sampled_from([6, 5_000]),
)
def test_plugins_get_what_they_would_get_of_all_that_is_there(
    log: Log, broken: tuple[int, int], gaps: str, page: int, most_waiting: int
) -> None:
    reading = {"gaps": gaps, "page": page, "most_waiting": most_waiting}
    unsure = log.unsure()
    expected = {
        name: {number for number, kind in log.kinds.items() if kind in types and number not in unsure}
        for name, types in WISHES.items()
    }
    for sifted in (False, True):
        got = read(log, sifted=sifted, broken=broken, reading=reading)
        assert {name: ids - unsure for name, ids in got.items()} == expected


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield Desk(ledger, gap_window=WINDOW)
    ledger.close()


def aged(desk: Desk, count: int, young: int = 0, kinds: Mapping[int, str] | None = None) -> None:
    """Let the log have so many events, of which the last ``young`` are young."""
    log = Log(dict.fromkeys(range(1, count + 1), "Common"), dict.fromkeys(range(1, count - young + 1), OLD))
    log.kinds |= kinds or {}
    desk.log.make, desk.log.ids = log.make, list(log.kinds)


def test_an_old_log_that_nobody_wants_is_passed_in_one_step(desk: Desk) -> None:
    desk.enrol("plugin", types=("Rare",))
    desk.stand(0)
    aged(desk, 10_000)
    desk.step(3)
    assert desk.ledger.site("studio").cursor == 10_000
    assert desk.log.reads <= 3


def test_a_log_without_any_plugin_is_passed_in_one_step(desk: Desk) -> None:
    desk.stand(0)
    aged(desk, 10_000, young=2)
    desk.step(3)
    assert desk.ledger.site("studio").cursor == 10_000


def test_the_young_end_of_the_log_is_read_whole_and_its_gaps_are_seen(desk: Desk) -> None:
    desk.enrol("plugin", types=("Rare",))
    desk.stand(0)
    aged(desk, 1_000, young=8)
    desk.log.ids.remove(995)
    desk.step(10)
    assert [(gap.first, gap.last) for gap in desk.ledger.site("studio").gaps] == [(995, 995)]


def test_who_wants_everything_gets_everything(desk: Desk) -> None:
    desk.enrol("narrow", types=("Rare",))
    desk.enrol("all")
    desk.stand(0)
    aged(desk, 200, kinds={150: "Rare"})
    desk.step(60)
    assert (desk.got("narrow"), desk.got("all")) == ([150], list(range(1, 201)))
    assert set(desk.log.asked) == {None}


def test_a_plugin_that_wants_more_after_a_reload_gets_it_from_where_it_was_left(desk: Desk) -> None:
    # Given a plugin that is away while the log is passed over
    desk.enrol("plugin", "other", types=("Rare",))
    desk.stand(0)
    aged(desk, 500, kinds={300: "Rare", 301: "Wanted"})
    desk.step()
    desk.cast.leave("plugin")
    left = desk.ledger.site("studio").cursor or 0
    desk.step(5)
    assert (desk.ledger.site("studio").cursor, desk.positions()) == (500, {"plugin": left, "other": None})
    # When it is back with another wish, then it gets what it wants now
    desk.cast.enter("plugin", types=("Rare", "Wanted"))
    desk.step(5)
    assert (desk.got("plugin"), desk.got("other")) == ([300, 301], [300])


def test_a_clock_of_ours_that_is_ahead_makes_nothing_old(desk: Desk) -> None:
    """By the site's own time, all of it is young."""
    desk.enrol("plugin", types=("Rare",))
    desk.stand(0)
    aged(desk, 100)
    desk.log.site_time = NOW - OLD
    desk.log.ids.remove(50)
    desk.step(40)
    assert set(desk.log.asked) == {None}
    assert [(gap.first, gap.last) for gap in desk.ledger.site("studio").gaps] == [(50, 50)]
