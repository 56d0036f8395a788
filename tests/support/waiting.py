"""Wait for a fact that announces itself in no other way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY = 0.05
"""Seconds between two looks."""


def until(fact: Callable[[], T], timeout: float = 30.0, *, every: float = LOOK_EVERY) -> T:
    """Look at ``fact`` until it is true, and return it. AssertionError when it isn't in time."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (found := fact()):
        assert time.monotonic() < deadline, f"it did not become true within {timeout} s (last: {found!r})"
        pause.wait(every)
    return found
