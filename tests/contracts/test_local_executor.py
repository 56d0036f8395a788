from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet.workers.local_executor import LocalExecutor
from tests.contracts.executor import ExecutorContract
from tests.support.executor_bench import SITE, setup


class TestLocalExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, tmp_path: Path) -> Iterator[LocalExecutor]:
        executor = LocalExecutor({SITE: setup()}, tmp_path / "state")
        yield executor
        executor.close(0)
