"""The benchmarks themselves: what they say of figures, and that what they measure can be measured."""

from __future__ import annotations

from bench import backlog, live, toolkit
from bench.goals import Goal
from bench.results import judged
from callsheet.domain.delivery import State
from tests.support.studio import Studio

TIMES = "\N{MULTIPLICATION SIGN}"


def test_a_ratio_of_medians_is_judged_against_what_is_demanded_and_what_is_aimed_at() -> None:
    goal = Goal("work", "ours", "theirs", least=4, aim=8)
    values = {"ours": [10.0, 8.0, 400.0], "theirs": [2.0, 2.0, 0.1]}
    assert goal.row(values) == ["work", f"5.00 {TIMES}", f"≥ 4 {TIMES}", "met", f"≥ 8 {TIMES}", "**not met**"]


def test_a_figure_that_must_not_be_exceeded_is_judged_as_it_is_shown() -> None:
    goal = Goal("work", "seen", least=10, at_most=True, unit="ms", note="p50")
    assert goal.row({"seen": [10.004]}) == ["work (p50)", "10.00 ms", "≤ 10 ms", "met", "", ""]
    assert goal.row({"seen": [10.02]}) == ["work (p50)", "10.02 ms", "≤ 10 ms", "**not met**", "", ""]


def test_what_was_not_measured_has_no_row() -> None:
    assert judged([Goal("work", "ours", "theirs", least=4)], {"ours": [1.0]}) == []


def test_a_live_event_is_called_back_and_timed() -> None:
    found = live.measure(events=20)
    assert 0 < found["p50"][0] <= found["p99"][0]


def test_calls_in_sessions_beside_the_ways_without_them_are_timed() -> None:
    found = toolkit.measure(events=6, fresh=2)
    assert 0 < found["plain"][0] < found["fresh"][0]
    assert found["session"][0] < found["swap"][0] < found["fresh"][0]
    assert found["session size"][0] > 0


def test_a_backlog_waits_in_as_many_lanes_as_it_says(studio: Studio) -> None:
    studio.state.mkdir()
    backlog.write(studio.state / "ledger.db", "studio", "stuck.py", cursor=1000, waiting=10)
    assert studio.site().cursor == 1000
    found = studio.deliveries(State.WAITING)
    assert [one.event_id for one in found] == list(range(990, 1000))
    assert len({one.lane for one in found}) == 6
