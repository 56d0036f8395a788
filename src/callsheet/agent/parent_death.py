"""Ties a worker's life to the daemon's, and to nothing else."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
from typing import Any

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


_SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")


def tie() -> None:
    """End with the daemon, whatever holds the interpreter; and end by no signal that is meant for the daemon.

    The thread that reads commands ends the worker when its pipe closes. A C extension that keeps the interpreter's lock could hold
    that thread up, so on Linux the kernel is asked as well.

    A service manager sends SIGTERM to all processes of a service at once, yet the daemon promises to finish what is running. The
    handlers do nothing, rather than being SIG_IGN: programs that a plugin starts then have the default again, and so has what it
    forks, since ``multiprocessing`` ends its children with SIGTERM.
    """
    _handle(_stay, _stay)
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(before=_hold_back, after_in_parent=_let_through, after_in_child=_let_go)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # no libc to be found; the pipe must do
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


_forking = threading.local()


def _hold_back() -> None:
    # A signal for the child that came before its handlers are the default again would be lost.
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {getattr(signal, name) for name in _SIGNALS})


def _let_through() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _let_go() -> None:
    try:
        _handle(signal.SIG_DFL, signal.default_int_handler)
    finally:
        _let_through()


def _handle(others: Any, interrupt: Any) -> None:
    for name in _SIGNALS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None:
            signal.signal(number, interrupt if name == "SIGINT" else others)


def _stay(_number: int, _frame: Any) -> None:
    """Go on: the daemon decides when a worker ends."""
