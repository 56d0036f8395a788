"""An installation on a pretend site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet.sandbox import Sandbox
from tests.support.studio import SITE, Studio


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Sandbox() as sandbox:
        yield Studio(tmp_path, {SITE: sandbox})
