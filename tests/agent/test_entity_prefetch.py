"""``ctx.entity``: read for many deliveries in one find, and yet never older than what ran before in its lane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callsheet.agent import entity_prefetch
from callsheet.agent.entity_prefetch import EntityPrefetch
from callsheet.domain.delivery import Run, Verdict
from callsheet.sandbox import Sandbox
from callsheet.workers.local_executor import LocalExecutor
from tests.support.executor_bench import SITE, Stage, setup

MANY = 200


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def stage(sandbox: Sandbox, tmp_path: Path) -> Iterator[Stage]:
    """Workers that reach the sandbox and take many runs."""
    known = setup(sandbox.url, script=sandbox.script, key=type(setup().key)(sandbox.key))
    executor = LocalExecutor({SITE: known}, tmp_path / "state", ahead=MANY)
    yield Stage(tmp_path / "plugins", executor)
    executor.close(0)


def tasks(sandbox: Sandbox, count: int) -> list[int]:
    sg = sandbox.connect()
    project = sg.find_one("Project", [])
    data = ({"content": f"task {number}", "project": project} for number in range(count))
    made = sg.batch([{"request_type": "create", "entity_type": "Task", "data": one} for one in data])
    return [one["id"] for one in made]


def of(number: int) -> dict[str, Any]:
    return {"entity": {"type": "Task", "id": number, "name": ""}}


def runs(stage: Stage, name: str, numbers: list[int]) -> list[Run]:
    """A run, and so a lane, for each task."""
    return [stage.run(name, "shown", events={0: of(number)}) for number in numbers]


SHOWN = """
    from callsheet import on


    @on("*", fields=["content", "project.Project.name"], lane="entity")
    def shown(ctx):
        assert ctx.entity["content"].startswith("task"), ctx.entity
        assert ctx.entity["project.Project.name"]
        {body}
"""


def test_200_events_of_200_entities_cost_few_finds(stage: Stage, sandbox: Sandbox) -> None:
    stage.start("shows", SHOWN.format(body=""))
    waiting = runs(stage, "shows", tasks(sandbox, MANY))
    before = sandbox.requests().get("read", 0)

    stage.executor.submit(waiting)
    reports = [report for run in waiting for report in stage.finish(run)]

    assert [one.verdict for one in reports] == [Verdict.OK] * MANY
    assert sandbox.requests()["read"] - before <= 20


def test_what_ran_before_in_its_lane_is_seen(stage: Stage, sandbox: Sandbox) -> None:
    # Each adds to what it is shown: one old value, and the sum is wrong
    body = 'ctx.sg.update("Task", ctx.entity["id"], {"content": ctx.entity["content"] + "+"})'
    stage.start("adds", SHOWN.format(body=body))
    numbers = tasks(sandbox, 8)
    waiting = [stage.run("adds", *["shown"] * 5, events={n: of(number) for n in range(5)}) for number in numbers]

    stage.executor.submit(waiting)
    reports = [report for run in waiting for report in stage.finish(run)]

    assert [one.verdict for one in reports] == [Verdict.OK] * 40
    found = sandbox.connect().find("Task", [["id", "in", numbers]], ["content"])
    assert [one["content"].count("+") for one in found] == [5] * 8


def test_a_batch_is_shown_in_one_find(stage: Stage, sandbox: Sandbox) -> None:
    stage.start(
        "batched",
        """
        from callsheet import on

        @on("*", fields=["content"], lane="plugin", batch=100)
        def shown(contexts):
            assert len({one.entity["content"] for one in contexts}) == len(contexts)
        """,
    )
    run = stage.run("batched", *["shown"] * 100, events={n: of(number) for n, number in enumerate(tasks(sandbox, 100))})
    before = sandbox.requests().get("read", 0)

    reports = stage.do(run)

    assert [one.verdict for one in reports] == [Verdict.OK] * 100
    assert sandbox.requests()["read"] - before == 1


def test_an_entity_that_is_gone_is_none(stage: Stage, sandbox: Sandbox) -> None:
    stage.start(
        "gone",
        """
        from callsheet import on

        @on("*", fields=["content"])
        def shown(ctx):
            assert ctx.entity is None, ctx.entity
        """,
    )
    kept, retired = tasks(sandbox, 2)
    sandbox.connect().delete("Task", retired)
    events = {0: of(retired), 1: {"entity": None}}

    reports = stage.do(stage.run("gone", "shown", "shown", events=events))

    assert [one.verdict for one in reports] == [Verdict.OK, Verdict.OK], reports
    assert kept


class Counting:
    """Stands for a connection; remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def find(self, kind: str, filters: Any, fields: Any) -> list[dict[str, Any]]:
        self.asked.append(filters[0][2])
        ids = filters[0][2] if filters[0][1] == "in" else [filters[0][2]]
        return [{"type": kind, "id": one, "at": len(self.asked)} for one in ids]


def link(number: int, kind: str = "Task") -> dict[str, Any]:
    return {"type": kind, "id": number}


def read(held: EntityPrefetch, sg: Counting, delivery: int, *, anew: bool = False) -> int:
    """In which request the value that this delivery gets was read."""
    found = held.read(delivery, link(delivery), sg, anew=anew)
    assert found is not None
    return int(found["at"])


def test_a_value_is_given_once_and_to_the_delivery_that_it_was_read_for() -> None:
    held, sg = EntityPrefetch(["code"]), Counting()
    for delivery in (1, 2, 3):
        held.expect(delivery, {"entity": link(delivery)})
    held.expect(4, {"entity": link(4, "Shot")})
    held.expect(5, {"entity": None})

    assert [read(held, sg, delivery) for delivery in (1, 2, 2)] == [1, 1, 2]
    assert sg.asked == [[1, 2, 3], 2]


def test_a_value_is_not_given_once_it_is_old_or_the_callback_may_have_written(monkeypatch: pytest.MonkeyPatch) -> None:
    held, sg = EntityPrefetch(["code"]), Counting()
    for delivery in (1, 2, 3):
        held.expect(delivery, {"entity": link(delivery)})

    assert read(held, sg, 1) == 1
    assert read(held, sg, 2, anew=True) == 2
    monkeypatch.setattr(entity_prefetch, "YOUNG", 0.0)
    assert read(held, sg, 3) == 3


def test_what_was_given_back_is_forgotten_and_requests_are_bounded() -> None:
    held, sg = EntityPrefetch(["code"]), Counting()
    for delivery in range(1, 500):
        held.expect(delivery, {"entity": link(delivery)})
    held.forget(2)

    read(held, sg, 1)

    assert len(sg.asked[0]) == entity_prefetch.MOST
    assert 2 not in sg.asked[0]


def test_two_deliveries_of_one_entity_get_values_of_their_own() -> None:
    held, sg = EntityPrefetch(["code"]), Counting()
    held.expect(7, {"entity": link(1)})

    first, second = (held.read(delivery, link(1), sg, anew=False) for delivery in (1, 7))

    assert first == second
    assert first is not second
    assert sg.asked == [1]


ODD_LINKS = [{"type": "Task", "id": 2**70}, {"type": "Task", "id": [1]}, {"type": ["Task"], "id": 5}, {"type": "Task", "id": -1}]


@pytest.mark.parametrize("link", ODD_LINKS)
def test_an_odd_link_fails_no_request_that_others_share(sandbox: Sandbox, link: dict[str, Any]) -> None:
    (number,) = tasks(sandbox, 1)
    prefetch = EntityPrefetch(["content"])
    prefetch.expect(1, {"entity": link})

    found = prefetch.read(2, {"type": "Task", "id": number}, sandbox.connect(), anew=False)

    assert found is not None
    assert found["content"] == "task 0"
