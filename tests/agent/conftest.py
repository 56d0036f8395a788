from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callsheet import telemetry
from callsheet.workers.local_executor import LocalExecutor
from tests.support.executor_bench import SITE, Stage, setup

CommandContext = Callable[..., Stage]
"""Makes a stage whose executor has the given options."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage with real workers."""
    executor = LocalExecutor({SITE: setup()}, tmp_path / "state")
    yield Stage(tmp_path / "plugins", executor)
    executor.close(0)


@pytest.fixture
def recorder() -> Iterator[telemetry.Recorder]:
    """All signals of the test."""
    with telemetry.recording() as recorder:
        yield recorder


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[CommandContext]:
    """Makes a stage whose executor has those options."""
    executors: list[LocalExecutor] = []

    def make(**options: object) -> Stage:
        executor = LocalExecutor({SITE: setup()}, tmp_path / "state", **options)  # type: ignore[arg-type] # as the test says
        executors.append(executor)
        return Stage(tmp_path / "plugins", executor)

    yield make
    for executor in executors:
        executor.close(0)
