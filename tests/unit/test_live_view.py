"""The live view, fed with signals: the screen, the plain form and the summary."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from callsheet.cli.live_view import PLAIN_MOST, Live
from callsheet.domain.delivery import Failure, State
from callsheet.report.live_stats import LiveStats, Spread, event_in_words, seconds
from callsheet.telemetry import emit, listening

CREATED = "2026-11-22T03:40:10Z"
CREATED_EPOCH = 1_795_318_810.0
ALWAYS = 3600.0  # a plain line every hour: only the last one is told in a test


class Pipe(io.StringIO):
    """What a terminal-less console writes to; lets a test wait for a text."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = threading.Condition()

    def write(self, text: str) -> int:
        with self.arrived:
            count = super().write(text)
            self.arrived.notify_all()
            return count

    def wait_for(self, text: str) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: text in self.getvalue(), 30), f"{text!r} not in {self.getvalue()!r}"


def settle(
    state: State, event: int = 7, *, plugin: str = "p", site: str = "s", attempts: int = 1, delivery: int = 1, after: float = 1.5
) -> None:
    ended = CREATED_EPOCH + after
    facts: dict[str, Any] = {"site": site, "plugin": plugin, "callback": "cb", "event_id": event, "delivery_id": delivery}
    emit(
        "delivery.settled",
        **facts,
        state=state.word,
        attempts=attempts,
        started=ended - 0.004,
        ended=ended,
        created_at=CREATED,
        error=state in (State.RETRYING, State.DEAD, State.HELD),
        due=None,
        legacy=False,
    )
    if state in (State.RETRYING, State.DEAD, State.HELD):
        failure = Failure("IOError", "farm away\nmore")
        due = time.time() + 8 if state is State.RETRYING else None
        emit("delivery.failed", **facts, attempt=attempts, state=state.word, failure=failure, due=due, legacy=False, logged=True)


def read(events: int, deliveries: int, plugins: Mapping[str, int] | None = None) -> None:
    emit("events.read", site="s", count=events, first=1, last=events, seconds=0.1, late=0)
    facts: dict[str, Any] = {"plugins": plugins} if plugins is not None else {}
    emit("events.routed", site="s", events=events, deliveries=deliveries, **facts)


def screen(live: Live) -> list[str]:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24, color_system=None)
    console.print(live.frame())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]  # a StringIO


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, height=24)


def test_screen_shows_figures_plugins_and_happenings_in_words() -> None:
    with Live("demo", describe=lambda site, event: f"Task {event} status → fin", console=terminal()) as live:
        read(3, 4, {"p": 3, "q": 1})
        settle(State.DONE, 11)
        settle(State.RETRYING, 12, delivery=2)
        settle(State.DONE, 13, plugin="q", delivery=3, attempts=3)
        lines = screen(live)

    assert lines[2].split() == ["events", "matched", "done", "waiting", "retries", "failed", "lag"]
    assert lines[3].split() == ["3", "4", "2", "2", "1", "0", "1.5", "s"]
    assert lines[6].split() == ["p", "1", "2", "1", "1", "0", "4", "ms"]
    assert lines[7].split() == ["q", "1", "0", "0", "0", "0", "4", "ms"]
    told = [line[9:] for line in lines if line[2:3] == ":"]
    assert told[0] == "event 11 Task 11 status → fin: cb done in 4 ms"
    assert told[1].startswith("event 12 Task 12 status → fin: cb failed, again in 8.0 s (attempt")
    assert told[2] == "event 13 Task 13 status → fin: cb done in 4 ms at attempt 3"


@pytest.mark.parametrize("plugins", [0, 2, 60])
@pytest.mark.parametrize("events", [0, 3, 500])
def test_screen_never_outgrows_the_terminal_and_never_jumps(plugins: int, events: int) -> None:
    with Live("a long title " * 20, describe=lambda *_: "word " * 40, console=terminal()) as live:
        for number in range(plugins):
            settle(State.DONE, plugin=f"plugin_with_quite_a_long_name_{number:02d}")
        for event in range(events):
            settle(State.DONE, event, plugin="plugin_with_quite_a_long_name_00")
        lines = screen(live)

    assert len(lines) == 23
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "Ctrl-C ends it"


def test_retrying_delivery_is_shown_until_it_is_done() -> None:
    tally = LiveStats()
    tally.open()
    settle(State.RETRYING, delivery=5)
    settle(State.RETRYING, delivery=6)
    plugin = tally.counts.plugins["s", "p"]
    retrying = [len(plugin.retrying)]
    settle(State.DONE, delivery=5, attempts=2)
    settle(State.DEAD, delivery=6, attempts=2)
    retrying.append(len(plugin.retrying))
    tally.close()

    assert retrying == [2, 0]
    assert (plugin.retries, plugin.done, plugin.dead) == (2, 1, 1)


def test_plugins_of_several_sites_are_told_apart() -> None:
    with Live("demo", console=terminal()) as live:
        settle(State.DONE, site="tokyo")
        settle(State.DONE, site="paris")
        lines = screen(live)

    assert [line.split()[0] for line in lines[6:8]] == ["paris/p", "tokyo/p"]


def test_event_without_words_is_shown_all_the_same() -> None:
    def raises(site: str, event: int) -> str:
        raise LookupError(site, event)

    with Live("demo", describe=raises, console=terminal()) as live:
        settle(State.DONE, 11)
        lines = screen(live)

    assert any(line.endswith(" event 11: cb done in 4 ms") for line in lines)


def test_words_of_an_event_are_asked_for_once() -> None:
    asked: list[int] = []

    def describe(_: str, event: int) -> str:
        asked.append(event)
        return "words"

    with Live("demo", describe=describe, console=Console(file=Pipe())) as live:
        settle(State.DONE, 11)
        screen(live)
        screen(live)

    assert asked == [11]


def test_without_a_terminal_figures_are_told_and_what_did_not_go_well_at_once() -> None:
    pipe = Pipe()
    with Live("demo", console=Console(file=pipe, width=40), every=ALWAYS):
        read(2, 2)
        settle(State.DONE, 11)
        settle(State.RETRYING, 12, delivery=2)
        emit("site.lost", site="s", error="no route", attempt=1, of=5, retry_in=1.0, refused=False, url="https://x")
        settle(State.DONE, 12, delivery=2, attempts=2)
    lines = pipe.getvalue().splitlines()

    assert lines[0].split("  ")[1:] == ["events 2", "matched 2", "done 2", "waiting 0", "retries 1", "failed 0", "lag 1.5 s"]
    assert [line[11:] for line in lines[1:]] == [
        "event 12: cb failed, again in 8.0 s (attempt 1): IOError farm away",
        "s does not answer (attempt 1): no route",
        "event 12: cb done in 4 ms at attempt 2",
    ]
    assert "\x1b" not in pipe.getvalue()


def test_plain_lines_come_while_it_runs() -> None:
    pipe = Pipe()
    with Live("demo", console=Console(file=pipe), every=0.05):
        settle(State.DEAD, 12)
        pipe.wait_for("event 12: cb failed for good: IOError farm away")
        pipe.wait_for("failed 1")


def test_storm_of_retries_does_not_fill_the_plain_log_and_hides_nothing_bad() -> None:
    pipe = Pipe()
    with Live("demo", console=Console(file=pipe), every=ALWAYS):
        for number in range(30):
            settle(State.RETRYING, number, delivery=number)
        settle(State.DEAD, 30, delivery=30)
    lines = pipe.getvalue().splitlines()

    assert len(lines) == PLAIN_MOST + 2
    assert "event 30: cb failed for good" in lines[-2]
    assert lines[-1] == f"  and {31 - PLAIN_MOST} more"


def test_interrupted_attempt_is_not_called_a_failure() -> None:
    pipe = Pipe()
    with Live("demo", console=Console(file=pipe), every=ALWAYS):
        facts = {"site": "s", "plugin": "p", "callback": "cb", "event_id": 7, "delivery_id": 1}
        lost = Failure("WorkerLost", "killed")
        emit("delivery.failed", **facts, attempt=0, state="retrying", failure=lost, due=time.time(), legacy=False, logged=False)

    assert pipe.getvalue().endswith("event 7: cb interrupted, again at once\n")


def test_summary_counts_what_was_matched_and_what_came_of_it() -> None:
    with Live("demo", console=Console(file=Pipe())) as live:
        read(1200, 5)
        for number in range(3):
            settle(State.DONE, number, delivery=number, after=2.0)
        settle(State.RETRYING, 3, delivery=3)
        settle(State.SKIPPED, 4, delivery=4)
        unfinished = live.summary().undelivered
        settle(State.DONE, 3, delivery=3, attempts=2, after=60.0)
    summary = live.summary()

    assert (unfinished, summary.undelivered) == (1, 0)
    assert summary.p50 == pytest.approx(2.0, rel=0.05)
    assert summary.p99 == pytest.approx(60.0, rel=0.05)
    text = str(summary).splitlines()
    assert text[0].startswith("1,200 events read in ")
    assert text[1] == "4 done, 1 skipped, 0 dead, 0 open; 1 retries."
    assert text[3] == "  p: 4 done, 1 retries, 0 failed"


def test_dead_and_held_deliveries_are_undelivered() -> None:
    with Live("demo", console=Console(file=Pipe())) as live:
        read(2, 2)
        settle(State.DEAD, 1, delivery=1)
        settle(State.HELD, 2, delivery=2)

    assert live.summary().undelivered == 2


def test_nothing_is_left_behind() -> None:
    before = threading.active_count()
    with Live("demo", console=terminal()):
        assert listening("delivery.settled")
    with Live("demo", console=Console(file=Pipe())):
        pass

    assert not listening("delivery.settled")
    assert threading.active_count() == before


def test_percentiles_are_exact_to_5_percent() -> None:
    spread = Spread()
    for number in range(1, 1001):
        spread.add(number / 1000)

    assert spread.at(0.5) == pytest.approx(0.5, rel=0.05)
    assert spread.at(0.99) == pytest.approx(0.99, rel=0.05)
    assert Spread().at(0.5) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0042, "4 ms"), (0.9996, "1.0 s"), (9.96, "10 s"), (119.0, "119 s"), (185.0, "3 min")],
)
def test_durations_are_short(value: float | None, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            {
                "event_type": "Shotgun_Task_Change",
                "attribute_name": "sg_status_list",
                "entity": {"type": "Task", "id": 14, "name": "Anim"},
                "meta": {"new_value": "fin"},
            },
            "Task 14 sg_status_list → fin",
        ),
        (
            {
                "event_type": "Shotgun_Shot_Change",
                "attribute_name": "assets",
                "entity": {"type": "Shot", "id": 2},
                "meta": {"added": []},
            },
            "Shot 2 assets",
        ),
        (
            {"event_type": "Shotgun_Version_New", "attribute_name": None, "entity": {"type": "Version", "id": 7}, "meta": None},
            "Version 7 new",
        ),
        ({"event_type": "Shotgun_Task_Retirement", "attribute_name": None, "entity": None, "meta": "{}"}, "Task retirement"),
        (
            {
                "event_type": "Shotgun_Task_Retirement",
                "attribute_name": None,
                "entity": None,
                "meta": {"entity_type": "Task", "entity_id": 14},
            },
            "Task 14 retirement",
        ),
        ({"event_type": "Shotgun_User_Login"}, "User login"),
        ({}, ""),
    ],
)
def test_event_in_words(event: dict[str, Any], text: str) -> None:
    assert event_in_words(event) == text


@pytest.mark.parametrize(
    ("left", "text"), [(60.0, "ends in 60 s; Ctrl-C ends it now"), (-1.0, "ending: what is due is still delivered")]
)
def test_screen_says_when_it_ends_by_itself(left: float, text: str) -> None:
    with Live(seconds=left, console=terminal()) as live:
        assert screen(live)[-1] == text
