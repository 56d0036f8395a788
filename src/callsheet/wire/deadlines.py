"""A deadline for a whole request: the time-out of a socket is for one read, and an answer that trickles never meets it.

A thread of this process cuts the connections of a request that takes too long, and whoever waits for it gets ``socket.timeout``.
"""

import contextlib
import os
import socket
import threading
from time import monotonic as _monotonic  # as it is now: plugins put other things in its place
from types import TracebackType
from typing import Any, Callable, Dict, Iterable, List, Optional, Type

LONGEST = 2.0
"""How many times the time-out of its socket a request may take as a whole: to connect, to be sent, to be answered."""

TIMEOUT = 60.0
"""Seconds taken for the time-out of a socket that has none."""

SLOWEST = 16 * 1024
"""Bytes per second: a transfer of known size may take as much longer as it takes at that rate."""

AGAIN = 0.25
"""Seconds after which what a request that takes too long has opened since is cut, too."""

UNSIZED = 3600.0
"""Seconds more for a transfer whose size is not told."""


class Deadline:
    """Of one request, in the thread that makes it: ``with Deadline(30) as deadline: …``. Raises socket.timeout at the end if it has
    passed.
    """

    def __init__(self, timeout: Optional[float], sockets: Callable[[], Iterable[Any]] = tuple) -> None:
        """``timeout``: of its socket; None: that of new sockets. ``sockets``: gives those to be cut beside the ones that follow."""
        self.seconds = LONGEST * (timeout or socket.getdefaulttimeout() or TIMEOUT)
        self.due = _monotonic() + self.seconds
        self.passed = False
        self._sockets = sockets
        self._followed: List[Any] = []
        self._lock = threading.Lock()
        self._over = False
        self._outer: Optional[Deadline] = None

    def __enter__(self) -> "Deadline":
        self._outer = current()
        _mine.deadline = self
        _watchdog.add(self)
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        _mine.deadline = self._outer
        _watchdog.remove(self)
        with self._lock:  # from here on nothing is cut any more: the connection may be the next request's
            self._over = True
        if self.passed and (error is None or isinstance(error, Exception)):
            raise self.timeout() from error

    def follow(self, sock: Any) -> None:
        """Cut this socket as well, once time is up. Raises socket.timeout if it is."""
        self._followed.append(sock)
        if self.passed:
            raise self.timeout()

    def extend(self, seconds: float) -> None:
        """Allow more, unless it has passed."""
        if not self.passed:
            self.seconds += seconds
            self.due += seconds

    def allow(self, size: Optional[int]) -> None:
        """Allow what a transfer of that many bytes takes; None: of nobody knows how many."""
        self.extend(UNSIZED if size is None else size / SLOWEST)

    def timeout(self) -> OSError:
        """What is raised once it has passed."""
        return socket.timeout(f"timed out: not over after {self.seconds:g} seconds, though there is still something coming")

    def cut(self) -> None:
        """Time is up. Called by the watchdog."""
        with self._lock:
            if self._over:
                return
            self.passed = True
            for one in [*self._followed, *self._sockets()]:
                with contextlib.suppress(OSError, TypeError):  # closed, or not connected yet, or none
                    # The method of the plain socket: that of one with TLS drops its layer under whoever reads from it.
                    socket.socket.shutdown(one, socket.SHUT_RDWR)


def current() -> Optional[Deadline]:
    """The deadline of the request that this thread makes; None if it makes none."""
    return getattr(_mine, "deadline", None)


class _Watchdog:
    """Started with the first deadline of a process."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._deadlines: Dict[int, Deadline] = {}
        self._looks_at = 0.0
        self._started = False

    def add(self, deadline: Deadline) -> None:
        with self._changed:
            self._deadlines[id(deadline)] = deadline
            if not self._started:
                with contextlib.suppress(RuntimeError):  # no thread to be had, or the interpreter ends: time-outs must do
                    threading.Thread(target=self._watch, name="callsheet-deadlines", daemon=True).start()
                    self._started = True
            elif deadline.due < self._looks_at:
                self._changed.notify()

    def remove(self, deadline: Deadline) -> None:
        with self._changed:
            self._deadlines.pop(id(deadline), None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                due = min((one.due for one in self._deadlines.values()), default=float("inf"))
                self._looks_at = due
                left = due - _monotonic()
                if left > 0:
                    # No request is over sooner than it began to be watched, so nobody wakes this for most of them.
                    self._changed.wait(min(left, threading.TIMEOUT_MAX))
                    continue
                passed = [one for one in self._deadlines.values() if one.due <= _monotonic()]
                for one in passed:  # the client may try again by itself, over another connection
                    one.due = _monotonic() + AGAIN
            for one in passed:
                one.cut()


_mine = threading.local()
_watchdog = _Watchdog()


def _after_fork() -> None:
    # The thread that watched is not in the child, and might have held the lock.
    global _watchdog  # noqa: PLW0603 - there is one per process
    _watchdog = _Watchdog()
    _mine.deadline = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
