"""The Ledger port among processes: killed at any instant, shared with operators, owned by one daemon."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import State
from callsheet.errors import StateError
from tests.contracts.ledger import ADAPTERS, Desk, delivery, open_desk
from tests.support.events import SITE

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def desk(adapter: str, tmp_path: Path) -> Iterator[Desk]:
    with open_desk(adapter, tmp_path) as one:
        yield one


class Worker:
    """A process of ledger_worker, and what it has said so far."""

    def __init__(self, adapter: str, folder: Path, role: str) -> None:
        command = [sys.executable, "-m", "tests.contracts.ledger_worker", adapter, str(folder), role]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said: list[dict[str, Any]] = []

    def hear(self, lines: int) -> None:
        """Read so many lines more, or to the end."""
        assert self.process.stdout is not None
        for _ in range(lines):
            if not (line := self.process.stdout.readline()):
                break
            self.said.append(json.loads(line))

    def kill(self) -> None:
        """SIGKILL, then hear what it had said before."""
        self.process.kill()
        self.hear(sys.maxsize)
        self.process.wait()

    def finish(self) -> int:
        """Let it end by itself; its exit code."""
        self.process.communicate("")
        return self.process.returncode


@contextmanager
def started(adapter: str, folder: Path, role: str) -> Iterator[Worker]:
    worker = Worker(adapter, folder, role)
    try:
        worker.hear(1)
        yield worker
    finally:
        worker.process.kill()
        worker.process.communicate()


def test_what_was_acknowledged_survives_a_kill_at_any_instant(adapter: str, tmp_path: Path) -> None:
    recorded: set[int] = set()
    done: set[int] = set()
    for seed in range(12):
        with started(adapter, tmp_path, "daemon") as worker:
            worker.hear(random.Random(seed).randrange(1, 60))
            worker.kill()
        recorded |= {number for said in worker.said for number in said.get("recorded", [])}
        done |= {number for said in worker.said for number in said.get("done", [])}
        assert ADAPTERS[adapter].faults(tmp_path) == []
        ledger = ADAPTERS[adapter].open(tmp_path)
        desk = Desk(ledger, tmp_path, ADAPTERS[adapter])
        states = desk.states()
        cursor = ledger.site(SITE).cursor or 0
        ledger.close()
        assert recorded <= set(states)
        assert set(states) == set(range(1, cursor + 1))  # the cursor and the deliveries up to it are one transaction
        assert done <= {number for number, state in states.items() if state is State.DONE}
    assert len(done) > 100  # else this has shown little


def test_after_a_kill_all_the_rest_is_run_once_and_in_order(adapter: str, tmp_path: Path) -> None:
    with started(adapter, tmp_path, "daemon") as worker:
        worker.hear(25)
        worker.kill()
    with open_desk(adapter, tmp_path) as desk:
        desk.now = 1e12  # a time after any that the worker wrote
        before = {number for number, state in desk.states().items() if state is State.DONE}
        desk.ledger.recover("next", desk.now)
        ran = desk.run_all()
        assert sorted([*ran, *before]) == sorted(desk.states())
        for lane in range(3):
            mine = [number for number in ran if number % 3 == lane]
            assert mine == sorted(mine)


def test_a_second_daemon_is_refused_and_told_whom_to_stop(adapter: str, tmp_path: Path) -> None:
    with started(adapter, tmp_path, "the first one") as owner, open_desk(adapter, tmp_path) as desk:
        with pytest.raises(StateError, match=f"pid {owner.process.pid}, the first one.*Stop that one first"):
            desk.ledger.recover("me", desk.now)
        assert desk.record_events(1) == 1  # who only reads and operates needs no lock
        owner.kill()
        assert desk.ledger.recover("me", desk.now) == 0


def test_operators_and_the_daemon_do_not_get_into_each_others_way(desk: Desk, adapter: str, tmp_path: Path) -> None:
    plugins = ["one", "two"]
    desk.free = {PluginKey(SITE, plugin): 1 for plugin in plugins}
    with started(adapter, tmp_path, "operator") as ada, started(adapter, tmp_path, "operator") as bob:
        for first in range(1, 400, 10):
            desk.record(
                *(
                    delivery(number, plugin=plugin, lane=f"lane {number % 3}")
                    for number in range(first, first + 10)
                    for plugin in plugins
                )
            )
            for run in desk.claim(most=5):
                desk.settle(run, *[random.choice([State.DONE, State.DEAD]) for _ in run.deliveries])
        assert (ada.finish(), bob.finish()) == (0, 0)
    desk.now = 1e12  # a time after any that the operators wrote
    desk.run_all()
    assert {row.state for row in desk.rows()} <= {State.DONE, State.DEAD, State.SKIPPED}
    assert len(desk.rows()) == 800
