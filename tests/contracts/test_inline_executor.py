from __future__ import annotations

from collections.abc import Iterator

import pytest

from callsheet.testing.inline_executor import InlineExecutor
from tests.contracts.executor import ExecutorContract
from tests.support.executor_bench import SITE, setup


class TestInlineExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Iterator[InlineExecutor]:
        executor = InlineExecutor({SITE: setup()})
        yield executor
        executor.close(0)
