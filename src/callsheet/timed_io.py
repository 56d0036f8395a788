"""Access to files that may hang, as on a share whose server is away: in a thread of its own, for a limited time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")

LIMIT = 2.0
"""Seconds within which a share answers; even a busy one takes a fraction of that."""


class TimedIo:
    """Calls functions that touch files. While one hangs, all of the same key fail at once, so that nobody waits for it again."""

    def __init__(self, limit: float = LIMIT) -> None:
        """``limit``: seconds that a function may take."""
        self._limit = limit
        self._hanging: dict[Hashable, threading.Thread] = {}

    def call(self, key: Hashable, function: Callable[[], T]) -> T:
        """What ``function`` returns, or raises. ``key``: what it depends on, such as a folder. TimeoutError if that hangs."""
        before = self._hanging.get(key)
        if before is not None and before.is_alive():
            raise TimeoutError(f"{key} still does not answer")
        self._hanging.pop(key, None)
        results: list[T] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                results.append(function())
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                errors.append(error)

        thread = threading.Thread(target=work, name="callsheet-io", daemon=True)
        thread.start()
        thread.join(self._limit)
        if errors:
            raise errors[0]
        if not results:
            self._hanging[key] = thread
            raise TimeoutError(f"{key} did not answer within {self._limit:g} s")
        return results[0]
