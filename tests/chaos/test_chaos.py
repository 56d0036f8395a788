"""A short storm in every test run, and the judge that decides about storms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callsheet.sandbox import Sandbox
from tests.chaos.judge import Call, Judgement, Kill, judge
from tests.chaos.storm import DISK, Storm, summary
from tests.support.disk import small_disk
from tests.support.studio import SITE, Studio

SEED = 20_260
SECONDS, EVENTS = 60, 5000
DAEMON = 10


@pytest.fixture
def storm(tmp_path: Path) -> Iterator[Storm]:
    with Sandbox(seed=SEED) as sandbox, small_disk(tmp_path / "disk", DISK) as disk:
        studio = Studio(tmp_path, {SITE: sandbox}, state=disk.folder / "state" if disk else None)
        yield Storm(studio, SEED, events=EVENTS, seconds=SECONDS, disk=disk)


@pytest.mark.timeout(4 * SECONDS)
def test_a_storm_loses_nothing_keeps_the_order_and_repeats_only_what_a_kill_left_unreported(storm: Storm) -> None:
    print(f"seed {SEED}")  # noqa: T201 - pytest shows it for a storm that fails

    found = storm.run()

    print(*summary(storm, found), sep="\n")  # noqa: T201 - as above
    assert found.faults == []
    assert storm.ledger_is_sound()
    assert all(storm.done[strike] for strike in storm.strikes), "no storm"


def call(event: int, at: float, *, pid: int = 1, word: str = "done", lane: str = "Task:1", length: float = 0.1) -> Call:
    return Call("wide", lane, event, word, pid, DAEMON, at, at + length)


def judged(*calls: Call, late: tuple[int, ...] = (), kills: tuple[Kill, ...] = (), lanes: str = "1111") -> Judgement:
    """The judgement of these calls of one plugin with two slots, over events 1 … in the tasks named by ``lanes``."""
    events: list[dict[str, Any]] = [
        {"id": number, "meta": {"entity_type": "Task", "entity_id": int(task)}} for number, task in enumerate(lanes, 1)
    ]
    return judge(events, late, calls, kills, {"wide": 2})


IN_ORDER = [call(event, event) for event in (1, 2, 3, 4)]


def test_the_judge_has_nothing_to_say_of_calls_that_went_well() -> None:
    assert judged(*IN_ORDER).faults == []
    assert judged(call(2, 1), call(1, 2), call(4, 3), call(3, 4), lanes="1212").faults == []


def test_the_judge_sees_a_loss_and_a_call_nobody_asked_for() -> None:
    assert judged(*IN_ORDER[:2], *IN_ORDER[3:]).lost == ["wide, lane Task:1, event 3"]
    assert len(judged(*IN_ORDER, call(9, 9)).alien) == 1


def test_the_judge_sees_disorder_but_for_late_events() -> None:
    swapped = (call(1, 1), call(3, 2), call(2, 3), call(4, 4))
    assert judged(*swapped).disordered
    assert judged(*swapped, late=(2,)).faults == []
    assert judged(*swapped, late=(3,)).disordered, "a late event does not overtake either"
    overtaken = (call(1, 1), call(2, 2, word="raised"), call(3, 3), call(2, 4), call(4, 5))
    assert judged(*overtaken).disordered, "a lane waits for a retry"


def test_the_judge_sees_two_calls_at_once_in_a_lane() -> None:
    assert judged(call(1, 1), call(2, 1.05), call(3, 3), call(4, 4)).overlapping


def test_the_judge_asks_for_a_kill_that_explains_a_double() -> None:
    doubled = (*IN_ORDER[:3], call(3, 3.5, pid=2), call(4, 4, pid=2))
    assert judged(*doubled).unexplained
    assert judged(*doubled, kills=(Kill("worker", 5, 3.2),)).unexplained, "another worker's death explains nothing"
    worker, daemon = Kill("worker", 1, 3.2), Kill("daemon", DAEMON, 3.2)
    assert judged(*doubled, kills=(worker,)).doubled == {worker: [IN_ORDER[2]]}
    assert judged(*doubled, kills=(daemon,)).faults == []
    assert judged(*doubled, kills=(Kill("daemon", DAEMON, 30.0),)).unexplained, "that had long been settled"


def test_the_judge_allows_a_killed_worker_one_double_per_slot() -> None:
    again = [call(event, 4 + event, pid=2) for event in (1, 2, 3, 4)]
    kills = (Kill("worker", 1, 4.2),)
    assert judged(*IN_ORDER, *again[2:], kills=kills).faults == []
    assert judged(*IN_ORDER, *again[1:], kills=kills).unexplained


def test_the_judge_sees_repeats_that_are_out_of_order() -> None:
    kills = (Kill("worker", 1, 4.2),)
    assert judged(*IN_ORDER, call(4, 5, pid=2), call(3, 6, pid=2), kills=kills).disordered
