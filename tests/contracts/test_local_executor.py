from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet.executors.local import LocalExecutor
from tests.agent.stage import SITE, setup
from tests.contracts.executor import ExecutorContract


class TestLocalExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, tmp_path: Path) -> Iterator[LocalExecutor]:
        executor = LocalExecutor({SITE: setup()}, tmp_path / "state")
        yield executor
        executor.close(0)
