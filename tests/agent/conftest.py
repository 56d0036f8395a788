from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet import telemetry
from callsheet.executors.local import LocalExecutor
from tests.agent.stage import SITE, Stage, setup


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
