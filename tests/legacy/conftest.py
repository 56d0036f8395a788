"""Fixtures of the tests that run whole daemons."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from callsheet.sandbox import Sandbox


@pytest.fixture
def site() -> Iterator[Sandbox]:
    """A site with the show, for one test."""
    with Sandbox() as sandbox:
        yield sandbox
