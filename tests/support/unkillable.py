"""A process that SIGKILL does not end, as one that sleeps in the kernel on a share that hangs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_TRACE = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
SEIZE, TRACE_EXIT = 0x4206, 0x40
print(libc.ptrace(SEIZE, int(sys.argv[1]), None, TRACE_EXIT if sys.argv[2] == "alive" else 0), flush=True)
sys.stdin.read()
"""


@contextmanager
def unkillable(pid: int, how: str = "alive") -> Iterator[None]:
    """While the block runs, a kill does not end the process: a tracer holds it on its way out.

    ``how``: ``alive``: it stays as a process that has not ended; ``dead``: it has ended, and nobody but the tracer can reap it.
    """
    tracer = subprocess.Popen(
        [sys.executable, "-c", _TRACE, str(pid), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert tracer.stdout is not None
        if tracer.stdout.readline() != "0\n":
            pytest.skip("this system lets nobody trace a process (ptrace)")
        yield
    finally:
        tracer.kill()
        tracer.wait()
