"""Loops of writes without a mark, told from what others write with the same script user."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from callsheet.agent import loop_guard
from callsheet.agent.loop_guard import LONGEST, MOST, LoopGuard
from callsheet.domain.delivery import Verdict
from callsheet.domain.event import Event
from callsheet.wire.causality import Signature
from callsheet.workers.local_executor import LocalExecutor
from tests.support.events import ENTITIES, event
from tests.support.executor_bench import Stage, key, setup

SCRIPT = {"type": "ApiUser", "id": 9, "name": "daemon 1.0"}
VISIBLE = 0.3
"""Seconds until a site shows an event."""


class World:
    """A site, a daemon that polls it, and a callback of one lane, in simulated time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, poll: float = 1.0, call: float = 0.01, ahead: float = 0.0) -> None:
        """``call``: seconds that a call takes. ``ahead``: seconds by which the site's clock is ahead."""
        self.time = 1_800_000_000.25
        self.poll, self.call, self.ahead = poll, call, ahead
        self.guard = LoopGuard("daemon")
        self.calls = 0
        self.refused: list[str] = []
        self._made: list[tuple[float, int]] = []
        self._ids = iter(range(1, 1_000_000))
        monkeypatch.setattr(loop_guard, "now", lambda: self.time)

    def write(self, at: float | None = None) -> None:
        """Somebody with the script's key changes the task, now or then."""
        heapq.heappush(self._made, (self.time if at is None else at, next(self._ids)))

    def run(self, seconds: float, answer: Callable[[], None] = lambda: None, *, calls: int = 10_000) -> None:
        """Poll for so long, or until so many calls were made, and call back for all that shows; ``answer`` is what a call does."""
        end = self.time + seconds
        poll_at = self.time
        while poll_at < end and self.calls < calls:
            self.time = max(self.time, poll_at)
            poll_at = self.time + self.poll
            page = []
            while self._made and self._made[0][0] + VISIBLE <= self.time:
                page.append(heapq.heappop(self._made))
            recorded = self.time
            for made, number in page:
                self._deliver(self._event(made, number), recorded, answer)

    def _event(self, made: float, number: int) -> dict[str, Any]:
        created = datetime.fromtimestamp(int(made + self.ahead), UTC)
        return {**event(number, user=SCRIPT).data, "created_at": created}

    def _deliver(self, data: dict[str, Any], recorded: float, answer: Callable[[], None]) -> None:
        why = self.guard.refuse(data, recorded)
        if why is not None:
            self.refused.append(why)
            return
        self.calls += 1
        self.time += self.call
        answer()
        self.guard.ended([data])


Make = Callable[..., World]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Make:
    return lambda **options: World(monkeypatch, **options)


@pytest.mark.parametrize("poll", [0.1, 1.0, 5.0, 30.0])
@pytest.mark.parametrize("call", [0.0, 0.2, 45.0])
@pytest.mark.parametrize("ahead", [-60.0, 0.0, 2.0, 90.0])
def test_a_callback_that_answers_itself_is_called_so_many_times(world: Make, poll: float, call: float, ahead: float) -> None:
    studio = world(poll=poll, call=call, ahead=ahead)
    studio.write()
    studio.run(3600, studio.write)
    assert (studio.calls, len(studio.refused)) == (LONGEST, 1)
    assert studio.refused[0].startswith(f"it was called {LONGEST} times in a row for changes of sg_status_list of Task 14")


def test_one_whose_program_writes_after_it_has_ended_is_caught_too(world: Make) -> None:
    studio = world(poll=5.0)
    studio.write()
    studio.run(3600, lambda: studio.write(studio.time + 2))
    assert (studio.calls, len(studio.refused)) == (LONGEST, 1)


@pytest.mark.parametrize("answers", [2, 3])
def test_one_that_answers_more_than_once_is_stopped_before_it_is_a_million(world: Make, answers: int) -> None:
    studio = world(poll=0.1, call=0.001)
    studio.write()

    def answer() -> None:
        for _ in range(answers):
            studio.write()

    studio.run(3600, answer)
    assert studio.calls <= MOST


def test_a_loop_that_began_with_several_events_is_caught(world: Make) -> None:
    studio = world()
    for _ in range(3):
        studio.write()
    studio.run(3600, studio.write)
    assert studio.calls == 3 * LONGEST


def test_it_is_called_again_once_the_loop_is_over(world: Make) -> None:
    studio = world()
    studio.write()
    studio.run(300, studio.write)
    studio.write()
    studio.run(10)
    assert (studio.calls, len(studio.refused)) == (LONGEST + 1, 1)


def written_at_once(studio: World) -> None:
    for _ in range(MOST - 1):
        studio.write()


def written_fast(studio: World) -> None:
    chance = random.Random(5)
    at = studio.time
    for _ in range(MOST - 1):
        at += chance.uniform(0.02, 0.1)
        studio.write(at)


def written_slowly(studio: World) -> None:
    for number in range(500):
        studio.write(studio.time + number * 9.0)


def written_by_hand(studio: World) -> None:
    chance = random.Random(5)
    at = studio.time
    for _ in range(300):
        at += chance.uniform(1.0, 40.0)
        studio.write(at)


@pytest.mark.parametrize("poll", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("call", [0.001, 0.2])
@pytest.mark.parametrize("written", [written_at_once, written_fast, written_slowly, written_by_hand])
def test_what_others_write_with_the_same_script_is_no_loop(
    world: Make, poll: float, call: float, written: Callable[[World], None]
) -> None:
    studio = world(poll=poll, call=call)
    written(studio)
    studio.run(8000)
    assert not studio.refused
    assert studio.calls > 200


def test_what_is_replayed_or_read_late_is_no_loop(world: Make) -> None:
    studio = world(poll=0.1)
    then = studio.time - 3600
    for number in range(500):
        studio.time += 0.1
        studio.write(then + number)
        studio.run(0.05)
    assert (studio.calls, studio.refused) == (500, [])


def test_another_attempt_is_none_of_the_loop(world: Make) -> None:
    studio = world()
    data = studio._event(studio.time, 1)
    for _ in range(100):
        studio._deliver(data, studio.time, lambda: None)
    assert not studio.refused


@pytest.mark.parametrize(
    "change",
    [
        {"user": {"type": "HumanUser", "id": 3, "name": "daemon 1.0"}},
        {"user": {"type": "ApiUser", "id": 8, "name": "other 1.0"}},
        {"user": None},
        {"session_uuid": Signature("studio", "other").mark()},
    ],
)
def test_events_of_others_and_marked_ones_are_not_counted(world: Make, change: dict[str, Any]) -> None:
    studio = world()
    for number in range(100):
        studio.time += 1
        assert studio.guard.refuse({**event(number, user=SCRIPT).data, **change}, studio.time) is None


def test_entities_and_attributes_are_counted_apart(world: Make) -> None:
    studio = world()
    for number in range(100):
        studio.time += 1
        data = event(number, user=SCRIPT, entity={"type": "Task", "id": number % 10}, attribute_name=f"a{number % 3}").data
        assert studio.guard.refuse(dict(data), studio.time) is None


def test_what_its_script_did_in_a_persons_name_is_counted(world: Make) -> None:
    studio = world()
    for meta in ({"sudo_actual_user": SCRIPT}, json.dumps({"sudo_actual_user": SCRIPT})):
        whys = []
        for number in range(LONGEST + 1):
            studio.time += 1
            whys.append(studio.guard.refuse({**event(number, meta=meta, attribute_name=type(meta).__name__).data}, studio.time))
        assert [why is None for why in whys] == [True] * LONGEST + [False]


@pytest.mark.parametrize(("what", "change", "entity"), ENTITIES, ids=[one[0] for one in ENTITIES])
def test_the_entity_is_the_one_that_the_daemon_knows(
    world: Make, what: str, change: dict[str, Any], entity: tuple[str, int | None] | None
) -> None:
    studio = world()
    data = {**event(1, **change).data, "user": SCRIPT}
    assert Event("studio", data).entity == entity
    for number in range(LONGEST):
        assert studio.guard.refuse({**data, "id": number}, studio.time) is None
        studio.time += 1
    why = studio.guard.refuse({**data, "id": 99}, studio.time) or ""
    assert " ".join(str(one) for one in entity or () if one) in why


# -- in a worker


@pytest.fixture
def stage(tmp_path: Any) -> Iterator[Stage]:
    executor = LocalExecutor({"studio": setup()}, tmp_path / "state")
    yield Stage(tmp_path / "plugins", executor)
    executor.close(0)


@pytest.mark.parametrize(
    ("options", "form", "caught"),
    [
        ("", "ctx", True),
        ("batch=5", "contexts", True),
        ("settle=0.01", "ctx", True),
        ("ignore_own=False", "ctx", False),
    ],
)
def test_a_worker_does_not_call_for_an_event_of_a_loop(stage: Stage, options: str, form: str, caught: bool) -> None:
    manifest = stage.start("loops", f'from callsheet import on\n\n@on("*", {options})\ndef react({form}): pass\n')
    recorded = datetime.now(UTC).timestamp()
    reports = []
    for _ in range(LONGEST + 1):
        recorded += 0.001
        run = stage.run("loops", "react", events={0: {"user": SCRIPT, "session_uuid": None, "created_at": "now"}})
        run = run.__class__(run.id, key("loops"), "", tuple(one._replace(recorded_at=recorded) for one in run.deliveries))
        reports += stage.do(run)
        recorded = max(recorded, reports[-1].ended)
    assert manifest.problem is None
    assert [one.verdict for one in reports[:-1]] == [Verdict.OK] * LONGEST
    assert reports[-1].verdict is (Verdict.GIVE_UP if caught else Verdict.OK)
    assert (reports[-1].failure is not None and reports[-1].failure.kind == "Cascade") is caught
