"""Folders and files that Callsheet makes: whose they are, who may read and write them, and what can't be made at all.

What workers run, what was read of a site and what plugins said stands in the state folder: it is its owner's, and of the group that
the configuration names, if any.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from callsheet.errors import StateError, in_words

LEDGER = "ledger.db"
"""The ledger's file in the state folder."""

TOOLKIT = "toolkit"
"""The folder in it that sessions have."""

OWN_FOLDER, SHARED_FOLDER = 0o700, 0o3770
"""Shared with a group: what is made in it is the group's, and only who made a file can put another one in its place."""

OWN_FILE, SHARED_FILE = 0o600, 0o660

_SHARED = stat.S_ISGID | stat.S_IWGRP


def prepare(state: Path, group: int | None) -> None:
    """Make the state folder, or see that the one that is there can be trusted; ``group``: number of the group to share it with.

    Raises StateError.
    """
    try:
        state.mkdir(mode=OWN_FOLDER, parents=True, exist_ok=True)
        problem = _distrust(state, group) or unusable(state)
        if problem is None and group is not None:
            problem = _share(state, group)
    except OSError as error:
        problem = f"can't be made: {in_words(error)}"
    if problem is not None:
        raise StateError(f"The state folder {state} {problem}.")


def examine(state: Path, group: int | None) -> str | None:
    """What ``prepare`` would raise, in words that go on from the folder's path; makes and changes nothing."""
    try:
        return (_distrust(state, group) if state.exists() else None) or unusable(state)
    except OSError as error:
        return f"can't be made: {in_words(error)}"


def is_shared(folder: Path) -> bool:
    """Whether a state folder is shared with a group, by its mode."""
    return folder.stat().st_mode & _SHARED == _SHARED


def make_file(path: Path) -> None:
    """Make an empty file in a state folder, unless it is there, with the mode that the folder asks for whatever the umask."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, OWN_FILE)
    try:
        if is_shared(path.parent):
            with suppress(PermissionError):  # it is another user's, who has seen to that
                os.fchmod(descriptor, SHARED_FILE)
    finally:
        os.close(descriptor)


def unusable(path: Path, *, file: bool = False) -> str | None:
    """Why nothing can be made in the folder ``path``, or the ``file`` of that path can't be written, in words; makes nothing.

    None: as far as can be told without doing it, it can.
    """
    try:
        error = _obstacle(path, file=file)
    except OSError as raised:
        error = raised
    if error is None:
        return None
    return f"can't be {'written' if file or path.exists() else 'made'}: {in_words(error)}"


def may(path: Path, how: int) -> bool:
    """Whether this process may do that with a file or folder: a sum of ``os.R_OK``, ``os.W_OK`` and ``os.X_OK``."""
    return os.access(path, how, effective_ids=os.access in os.supports_effective_ids)


def owner_of(path: Path) -> str:
    """The name of the user whose file or folder this is; its number where it has none. Raises OSError."""
    return user_name(path.stat().st_uid)


def user_name(number: int) -> str:
    """The name of a user, its number where it has none."""
    import pwd  # noqa: PLC0415 - not on every system

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"  # as sudo -u takes it


def group_name(number: int) -> str:
    """The name of a group, its number where it has none."""
    import grp  # noqa: PLC0415 - as above

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _distrust(state: Path, group: int | None) -> str | None:
    found, me = state.stat(), os.geteuid()
    if not stat.S_ISDIR(found.st_mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    if found.st_uid not in {me, 0}:  # root can do anything anyway
        owner, user = user_name(found.st_uid), user_name(me)
        return (
            f"belongs to user {owner}, and Callsheet runs as {user}: whose the folder is can put any code in the place of what "
            f"workers run. Run Callsheet as that user (`sudo -u {owner} callsheet ...`), give {user} the folder (`chown -R {user} "
            f"{state}`), or name another one"
        )
    is_of_group = group is not None and found.st_gid == group
    if found.st_mode & (stat.S_IWOTH if is_of_group else stat.S_IWOTH | stat.S_IWGRP):
        return (
            f"can be written by others (mode {stat.S_IMODE(found.st_mode):04o}), who can so put any code in the place of what "
            f"workers run. Take that right away: `chmod go-w {state}`. Where operators need to write there, name their group with "
            "`group`"
        )
    return None


def _share(state: Path, group: int) -> str | None:
    if state.stat().st_uid == os.geteuid():  # else root's, who has given it to the group
        try:
            os.chown(state, -1, group)
        except PermissionError as error:
            name, user = group_name(group), user_name(os.geteuid())
            text = f"The state folder {state} can't be given to group {name}, since {user} is not in it. Add {user} to that group."
            raise StateError(text) from error
        state.chmod(SHARED_FOLDER)
    for path in state.glob(f"{LEDGER}*"):
        with suppress(PermissionError, FileNotFoundError):  # another user's, who has seen to that
            os.chown(path, -1, group)
            path.chmod(SHARED_FILE)
    # Code of cores and compiled modules comes in here: whoever made it could put any there.
    code = state / TOOLKIT
    code.mkdir(mode=0o750, exist_ok=True)
    owner = code.lstat().st_uid
    if owner in {os.geteuid(), 0} and not code.is_symlink():
        return None
    return f"has a folder {code} that is not of {user_name(os.geteuid())}, but of {user_name(owner)}. Remove that one"


def _obstacle(path: Path, *, file: bool) -> OSError | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            return _error(errno.ENOENT)
        return _obstacle(path.parent, file=False)
    if stat.S_ISDIR(found.st_mode) == file:
        return _error(errno.EISDIR if file else errno.ENOTDIR)
    disk = os.statvfs(path)
    if not may(path, os.W_OK if file else os.W_OK | os.X_OK):
        return _error(errno.EROFS if disk.f_flag & os.ST_RDONLY else errno.EACCES)
    return _error(errno.ENOSPC) if disk.f_blocks and not disk.f_bavail else None


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
