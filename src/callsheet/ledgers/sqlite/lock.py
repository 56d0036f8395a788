"""One daemon per ledger: a lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

import os
import re
import sys
import time
from contextlib import suppress
from pathlib import Path

from callsheet.domain.overview import LedgerOwner
from callsheet.errors import StateError, in_words
from callsheet.state_folder import make_file

if sys.platform == "win32":
    import msvcrt

    # A locked byte can't be read by others there, so the one locked lies far behind the text.
    _FAR = 1 << 30

    def _lock(file: int, *, shared: bool = False) -> None:  # noqa: ARG001 - there are no shared ones
        os.lseek(file, _FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    _TAKEN: tuple[type[OSError], ...] = (PermissionError, BlockingIOError)
else:
    import fcntl

    def _lock(file: int, *, shared: bool = False) -> None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)

    _TAKEN = (BlockingIOError,)


TRIES, PAUSE = 10, 0.02
"""How often the lock is tried, and the seconds between: whoever only looks at it has it for a moment, too."""


def lock_path(ledger: Path) -> Path:
    """The lock file of a ledger."""
    return ledger.with_name(f"{ledger.name}.lock")


def owner_of(path: Path) -> LedgerOwner | None:
    """Who has the lock at that path at this moment; None where that can't be told."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        try:
            _lock(file, shared=True)
        except _TAKEN:
            said = re.match(r"pid (\d+),(?: (.+):\d+$)?", os.read(file, 200).decode(errors="replace"))
            pid, host = (int(said[1]), said[2]) if said else (None, None)
            return LedgerOwner(held=True, pid=pid, since=os.fstat(file).st_mtime, host=host)
        return LedgerOwner(held=False)
    except OSError:
        return None
    finally:
        os.close(file)


class OwnerLock:
    """A lock on a file of its own beside the ledger, where it never meets SQLite's locks. The file stays; only its lock matters."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._owner = ""

    def acquire(self, owner: str) -> None:
        """Take the lock, or keep it if it is ours already. StateError if another daemon has it, naming that one."""
        if self._file is not None:
            return
        try:
            make_file(self.path)
            file = os.open(self.path, os.O_RDWR)
        except OSError as error:
            raise StateError(f"The lock file {self.path} can't be opened: {in_words(error)}.") from error
        try:
            self._take(file)
        except _TAKEN as error:
            os.lseek(file, 0, os.SEEK_SET)
            holder = os.read(file, 200).decode(errors="replace").strip()
            os.close(file)
            raise StateError(
                f"Another Callsheet daemon ({holder or 'just starting'}) runs on this ledger: {self.path} is locked. "
                "Stop that one first, or give this configuration a `state` folder of its own."
            ) from error
        except OSError as error:
            os.close(file)
            raise StateError(f"{self.path} can't be locked ({error}). Put `state` on a local disk.") from error
        with suppress(OSError):  # a full disk: then another daemon can't say whose the lock is
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, f"pid {os.getpid()}, {owner}".encode())
        self._file = file
        self._owner = owner

    def _take(self, file: int) -> None:
        for _ in range(TRIES - 1):
            try:
                return _lock(file)
            except _TAKEN:
                time.sleep(PAUSE)
        return _lock(file)

    def keep(self) -> None:
        """Take the lock anew if its file was removed or replaced. StateError if another daemon was faster."""
        if self._file is None:
            return
        try:
            if os.path.samestat(os.fstat(self._file), self.path.stat()):
                return
        except FileNotFoundError:
            pass
        except OSError:  # a share that is away, a folder that nobody may look into now: that says nothing of the lock
            return
        mine, self._file = self._file, None
        try:
            self.acquire(self._owner)
        finally:
            os.close(mine)

    def release(self) -> None:
        """Give the lock back, if we have it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
