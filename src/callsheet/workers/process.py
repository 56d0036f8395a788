"""One agent process and its four pipes. Nothing here waits for it."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import psutil

from callsheet.agent import stacks

CHUNK = 1 << 16
_PIPE = 1 << 18
"""Bytes that a pipe is asked to hold, so that a run goes through at once, and reports while the daemon is busy."""


class Process:
    """A started agent. ``commands``, ``reports`` and ``output`` are descriptors that never block; -1 once closed."""

    def __init__(self, archive: Path, python: str | None, environ: Mapping[str, str] | None) -> None:
        """Start it, with this environment (None: the daemon's own).

        Raises OSError when there is no such interpreter, or no room for a process.
        """
        (theirs_in, self.commands), (self.reports, theirs_out), (self.output, theirs_err), (self._stacks, theirs_stacks) = _pipes(4)
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - the interpreter is configured, the archive is ours
                [python or sys.executable, str(archive), str(theirs_stacks)],
                pass_fds=(theirs_stacks,),
                stdin=theirs_in,
                stdout=theirs_out,
                stderr=theirs_err,
                # Ctrl-C at the daemon's terminal goes to its session; a worker finishes what it runs.
                start_new_session=True,
                env=environ,
            )
        except BaseException:
            self.exit = -1
            self.close()
            self.close_output()
            raise
        finally:
            for descriptor in (theirs_in, theirs_out, theirs_err, theirs_stacks):
                os.close(descriptor)
        for descriptor in (self.commands, self.reports, self.output, self._stacks):
            _prepare(descriptor)
        self.pid = self._popen.pid
        self.exit = _exit_descriptor(self.pid)
        """Readable once the process has ended; -1 where the system has no such thing."""
        self._measured = psutil.Process(self.pid)
        self._unsent: deque[memoryview] = deque()

    @property
    def unsent(self) -> bool:
        """Whether something is left over that the pipe did not take."""
        return bool(self._unsent)

    def send(self, frame: bytes) -> None:
        """Write as much as the pipe takes now, and keep the rest."""
        self._unsent.append(memoryview(frame))
        self.flush()

    def flush(self) -> None:
        """Write more of what was left over."""
        while self._unsent:
            frame = self._unsent[0]
            try:
                written = os.write(self.commands, frame)
            except BlockingIOError:
                return
            except OSError:  # it has ended, which is noticed elsewhere; nobody is left to read this
                self._unsent.clear()
                return
            if written < len(frame):
                self._unsent[0] = frame[written:]
                return
            self._unsent.popleft()

    def read(self, descriptor: int) -> bytes | None:
        """What came through ``reports`` or ``output``; None when there is nothing now, empty at the end."""
        try:
            return os.read(descriptor, CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def ask_for_stacks(self) -> None:
        """Have it write down what its threads are doing, in place of what it wrote at an earlier deadline."""
        self.stacks()
        if self._popen.poll() is None:
            self._popen.send_signal(stacks.SIGNAL)

    def stacks(self) -> str:
        """What it has written of that, and of a crash; empty if nothing."""
        written = b""
        while more := self.read(self._stacks):
            written += more
        return written.decode("utf-8", "replace")

    def memory(self) -> int | None:
        """Bytes of it in the machine's memory; None where that can't be told, such as once it has ended."""
        try:
            return int(self._measured.memory_info().rss)
        except psutil.Error:
            return None

    def ended(self) -> int | None:
        """The exit code, negative for a signal; None while it lives. Reaps it."""
        return self._popen.poll()

    def kill(self) -> None:
        """Kill it and what it started, unless that moved to a session of its own."""
        if self._popen.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def kill_alone(self) -> None:
        """Kill it, and leave what it started."""
        self._popen.kill()

    def close(self) -> None:
        """Close its descriptors, save ``output``: programs that the plugin left behind may still write to that."""
        for name in ("commands", "reports", "exit", "_stacks"):
            self._close(name)

    def close_exit(self) -> None:
        """Close ``exit``: it tells nothing any more."""
        self._close("exit")

    def close_output(self) -> None:
        """Close that as well."""
        self._close("output")

    def _close(self, name: str) -> None:
        descriptor = getattr(self, name)
        if descriptor >= 0:
            os.close(descriptor)
            setattr(self, name, -1)


def in_words(code: int) -> str:
    """An exit code as a person would say it."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"was killed by signal {-code}"
    return f"was killed by signal {-code} ({name})"


def _pipes(count: int) -> list[tuple[int, int]]:
    """So many pipes, or none: what is left of a process's descriptors is needed for other things."""
    pipes: list[tuple[int, int]] = []
    try:
        pipes.extend(os.pipe() for _ in range(count))  # those made before one fails are in it, too
    except OSError:
        for descriptor in itertools.chain(*pipes):
            os.close(descriptor)
        raise
    return pipes


def _prepare(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    with contextlib.suppress(OSError, AttributeError):  # not on every system, nor beyond a user's share
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)


def _exit_descriptor(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except (OSError, AttributeError):
        return -1
