"""What SQLite's errors mean for whoever runs the daemon, and what to do about them."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from callsheet.errors import StateError, in_words

_WITHOUT = (
    "Without a backup, move it aside with what begins with its name, and start with `callsheet run --from ID`, at the first event "
    "that is still to be delivered: a start without --from begins at the newest event"
)
# The start of SQLite's name for the error → what happened, what to do. The first that fits counts.
_CURES = (
    ("SQLITE_FULL", "the disk is full", "Free some space; nothing is half-written, and the work goes on once there is room"),
    ("SQLITE_BUSY", "another process has kept it locked for too long", "Find who holds it with `fuser`, and end that process"),
    (
        "SQLITE_CORRUPT",
        "the file is damaged",
        f"Stop the daemon, and restore a backup of the file with its -wal and -shm. {_WITHOUT}",
    ),
    (
        "SQLITE_NOTADB",
        "the file is not an SQLite database",
        f"Restore a backup of it, or point `state` to another folder. {_WITHOUT}",
    ),
    (
        "SQLITE_READONLY",
        "it can't be written",
        "Give the daemon's user the right to write the file and its folder, or run as that user",
    ),
    ("SQLITE_PERM", "no permission", "Run as the daemon's user"),
    ("SQLITE_CANTOPEN", "it can't be opened", "See that its folder exists, on a local disk, and that this user may write there"),
    ("SQLITE_IOERR", "the disk reported an error", "Look at the system's log for that disk; nothing is half-written"),
    (
        "SQLITE_PROTOCOL",
        "it could not be locked",
        "Put `state` on a local disk: SQLite's locks do not work on network file systems",
    ),
)


def explain(error: sqlite3.Error, path: Path) -> StateError | None:
    """A StateError that names the cure; None where the error is a mistake of ours and not the machine's."""
    name = getattr(error, "sqlite_errorname", None)
    if name is None and isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return StateError(f"The ledger {path} is closed.")
    if name is not None and name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")) and _is_read_only_disk(path):
        return StateError(f"The ledger {path} can't be used: {in_words(OSError(errno.EROFS, os.strerror(errno.EROFS)))}.")
    for prefix, what, cure in _CURES:
        if name is not None and name.startswith(prefix):
            return StateError(f"The ledger {path} can't be used: {what} ({error}). {cure}.")
    return None


def _is_read_only_disk(path: Path) -> bool:
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except (AttributeError, OSError):  # not on this system, or not there
        return False
