"""Signals that a running daemon heeds: SIGTERM and Ctrl-C end it in order, SIGHUP reopens its logs and has it look at its plugins.

They are caught from the first moment of `callsheet run` on, long before there is a daemon, and until the process is gone. Whatever
comes in between is kept.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

HEEDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_heard: SimpleQueue[int] = SimpleQueue()
"""What came and was not acted on yet. To put something there is safe wherever a signal interrupts a thread; to set an event, whose
lock that thread may have, is not."""


def catch() -> None:
    """Catch them from now on, for good: this process is a daemon's, and ends after it."""
    for number in HEEDED:
        signal.signal(number, _hear)


@contextmanager
def acting(act: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Have ``act`` called, in a thread of its own, for each signal that comes, or came since ``catch``.

    A second Ctrl-C ends the process at once. Behind the block, SIGTERM and SIGHUP end nothing any more where ``catch`` had been
    called; else all is as it was before.
    """
    caught = signal.getsignal(signal.SIGTERM) is _hear
    before = {number: signal.signal(number, _hear) for number in HEEDED if signal.getsignal(number) is not _hear}

    def work() -> None:
        while number := _heard.get():
            act(signal.Signals(number))

    thread = threading.Thread(target=work, name="callsheet-signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        _heard.put(0)
        thread.join()
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            # The interpreter restores what it finds, on its way out, unless a signal is ignored.
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)


def _hear(number: int, _frame: FrameType | None) -> None:
    if number == signal.SIGINT:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _heard.put(number)
