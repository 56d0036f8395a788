"""A daemon's process in a session of its own, ended with all that it started; its output is shown when a wait fails."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

from tests.support.waiting import until

Fact = TypeVar("Fact")

PATIENCE = 20.0
"""Seconds to wait for a fact at most; only a failing test waits that long."""


class Running:
    """A started command. As a context it is killed at the end, if it has not ended by then."""

    def __init__(self, command: Sequence[str], folder: Path, environ: Mapping[str, str], output: Path) -> None:
        self._output = output
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                command, cwd=folder, env=dict(environ), stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def output(self) -> str:
        """What it wrote to stdout and stderr."""
        return self._output.read_text(errors="replace")

    def until(self, fact: Callable[[], Fact], what: str, *, seconds: float = PATIENCE) -> Fact:
        """The first true value of ``fact``; AssertionError with the end of the output if there is none in time."""
        try:
            return until(fact, seconds, every=0.02)
        except AssertionError:
            state = "still runs" if self.alive else f"ended with {self._process.returncode}"
            raise AssertionError(
                f"not within {seconds:g} s: {what}. The daemon {state}; it said:\n{self.output()[-4000:]}"
            ) from None

    def paused(self, fact: Callable[[], Fact]) -> Fact:
        """``fact`` while the process stands still; it goes on only if that is not true."""
        os.kill(self.pid, signal.SIGSTOP)
        found = fact()
        if not found:
            os.kill(self.pid, signal.SIGCONT)
        return found

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self._process.terminate()
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, to the daemon alone."""
        self._process.kill()
        self.wait()

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit code, once it has ended."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon did not end within {seconds:g} s; it said:\n{self.output()[-4000:]}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.alive:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
