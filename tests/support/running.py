"""A real daemon as a process of its own, judged from outside: exit code, log, ledger, site, the plugins' trace."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.support.waiting import until

CALLSHEET = (str(Path(sys.executable).with_name("callsheet")),)
ROOT = Path(__file__).parent.parent.parent
T = TypeVar("T")


class RunningDaemon:
    """``callsheet run CONFIG …`` in a session of its own; what it says on stderr goes to a file that failures show.

    To be used in a ``with`` block, which kills whatever is left of it.
    """

    def __init__(
        self,
        config: Path,
        log: Path,
        *,
        arguments: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        command: Sequence[str] = CALLSHEET,
    ) -> None:
        """``log``: the file for stderr, appended to. ``environ``: in addition to this process's. ``command``: what runs it."""
        self.log_file = log
        self._log = log.open("ab")
        self._began = self._log.tell()
        self._process = subprocess.Popen(
            [*command, "run", str(config), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, **(environ or {})},
            cwd=ROOT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def log(self) -> str:
        """All that this daemon has said so far."""
        with self.log_file.open("rb") as file:
            file.seek(self._began)
            return file.read().decode(errors="replace")

    def said(self, text: str) -> bool:
        """Whether a line of the log has that text."""
        return text in self.log

    def until(self, fact: Callable[[], T], timeout: float = 30.0, *, running: bool = True) -> T:
        """Wait for ``fact`` to become true, and return it. AssertionError, with the log, when it doesn't in time.

        ``running``: a daemon that ended meanwhile fails at once.
        """

        def look() -> T:
            found = fact()
            ended = self._process.poll()
            assert found or ended is None or not running, f"the daemon ended with {ended} meanwhile"
            return found

        try:
            return until(look, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None

    def watch(self, seconds: float) -> None:
        """Let it go on for so long: only to see that something does *not* happen. Fails if the daemon ends."""
        deadline = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= deadline, seconds + 10)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, as by the kernel out of memory; returns once it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def terminate(self) -> None:
        """SIGTERM, as by a service manager; returns at once."""
        self.signal(signal.SIGTERM)

    def wait(self, timeout: float = 30.0) -> int:
        """The exit code, negative for a signal. AssertionError, with the log, if it goes on."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon still runs after {timeout} s\n{self.tail()}") from None

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM, and wait: the exit code."""
        self.terminate()
        return self.wait(timeout)

    def tail(self, lines: int = 40) -> str:
        """The end of the log, for messages."""
        return "\n".join(["--- the daemon's log ends:", *self.log.splitlines()[-lines:]])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._process.poll() is None:
            self.kill()
        self._log.close()


def alive(pid: int) -> bool:
    """Whether that process runs; one that has ended and was not reaped by its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += [int(one) for one in (thread / "children").read_text().split()]
    return sorted(found)


def bare_python(folder: Path) -> Path:
    """A Python of this one's version, in which nothing is installed."""
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"
