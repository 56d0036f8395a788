from __future__ import annotations

from collections.abc import Iterator

import pytest

from callsheet.executors.inline import InlineExecutor
from tests.agent.stage import SITE, setup
from tests.contracts.executor import ExecutorContract


class TestInlineExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Iterator[InlineExecutor]:
        executor = InlineExecutor({SITE: setup()})
        yield executor
        executor.close(0)
