"""The files of an open ledger, watched: the system lets anybody remove or replace one of them, and tells nobody."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from callsheet.domain.overview import DiskSpace
from callsheet.timed_io import TimedIo


def disk_spaces(folders: Iterable[str]) -> tuple[DiskSpace, ...]:
    """What is left on the disks of these folders, each disk once; without those that are away or do not answer."""
    found: dict[int, DiskSpace] = {}
    io = TimedIo()
    for folder in folders:
        with suppress(OSError):
            device, space = io.call(folder, partial(_disk_space, folder))
            found.setdefault(device, space)
    return tuple(found.values())


def _disk_space(folder: str) -> tuple[int, DiskSpace]:
    known = os.statvfs(folder)
    files = known.f_favail if known.f_files else None
    return os.stat(folder).st_dev, DiskSpace(folder, known.f_bavail * known.f_frsize, known.f_blocks * known.f_frsize, files)  # noqa: PTH116 - a text already


class _Identity(NamedTuple):
    device: int
    inode: int


class LedgerFiles:
    """Which files the ledger has. To be made once it is open; SQLite makes the -wal and -shm file with the first transaction."""

    def __init__(self, path: Path) -> None:
        self._main, *self._companions = (path.with_name(path.name + ending) for ending in ("", "-wal", "-shm"))
        self._known: dict[Path, _Identity] = {}
        self.lost()

    def lost(self) -> str | None:
        """What is no longer there, or is another file by now, in words; None while all is as it was."""
        try:
            for path in (self._main, *self._companions):
                now = _identity(path)
                before = self._known.get(path)
                if before is not None and now != before:
                    return f"{path} was {'removed' if now is None else 'replaced by another file'}"
                if now is not None:
                    self._known[path] = now
            return f"{self._main} was emptied" if self._main.stat().st_size == 0 else None
        except OSError:  # a share that hangs, a folder that nobody may look into now: that says nothing of the files
            return None

    def is_replaced(self) -> bool:
        """Whether another file stands in the place of the ledger's own."""
        with suppress(OSError):
            return _identity(self._main) not in {None, self._known[self._main]}
        return True

    def remove_companions(self) -> None:
        """Remove what still stands beside a file that is gone: it belongs to no other."""
        for path in self._companions:
            with suppress(OSError):
                if _identity(path) == self._known.get(path):
                    path.unlink()


def _identity(path: Path) -> _Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - it is asked for at every beat
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _Identity(found.st_dev, found.st_ino)
