"""What tests of whole daemons share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet.sandbox import Sandbox
from tests.support.studio import SITE, Studio


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """An installation with one site. The daemons' logs stand under a test that fails."""
    with Sandbox() as sandbox:
        studio = Studio(tmp_path, {SITE: sandbox})
        yield studio
    for number, daemon in enumerate(studio.daemons, 1):
        print(f"--- daemon {number}\n{daemon.log[-10_000:]}")  # noqa: T201 - pytest shows it for tests that fail
