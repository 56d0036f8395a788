"""A sandbox, and the real client connected to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from callsheet.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.fixture
def sg(sandbox: Sandbox) -> Any:
    return sandbox.connect()
