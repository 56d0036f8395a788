"""The pid file of a daemon, as service managers and shotgunEvents have it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from callsheet.errors import StateError, in_words
from callsheet.timed_io import TimedIo


@contextmanager
def pid_file(path: Path | None) -> Iterator[None]:
    """The pid file while the daemon runs. An old one is overwritten: the ledger's lock tells whether a daemon is alive."""
    if path is None:
        yield
        return
    _write(path)
    try:
        yield
    finally:
        with suppress(OSError):  # a share that hangs, too
            TimedIo().call(path, lambda: _remove_own(path))


def _write(path: Path) -> None:
    try:
        if path.exists() and not re.fullmatch(rb"\s*\d*\s*", path.read_bytes()):
            raise StateError(f"The pid file {path} holds something else than a process id. Name a file of its own for `pid_file`.")
        if path.exists() and _is_shotgun_events(path.read_text().strip()):
            raise StateError(
                f"shotgunEvents still runs, as the process {path.read_text().strip()} that the pid file {path} names: both would "
                "deliver every event. Stop it, then start Callsheet."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise StateError(f"The pid file {path} can't be written: {in_words(error)}.") from error


def _is_shotgun_events(pid: str) -> bool:
    """Whether that process is the daemon that this one takes the place of."""
    try:
        return bool(pid) and any(Path(one).name == "shotgunEventDaemon.py" for one in psutil.Process(int(pid)).cmdline())
    except (psutil.Error, ValueError, OverflowError):  # there is no such process, or it is nobody's business
        return False


def _remove_own(path: Path) -> None:
    if path.read_text().strip() == str(os.getpid()):
        path.unlink()
