"""What the modules of the ledger's contract share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.ledger import ADAPTERS, Desk, open_desk


@pytest.fixture(params=ADAPTERS)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """A fresh ledger, of each adapter in turn."""
    with open_desk(request.param, tmp_path) as one:
        yield one
