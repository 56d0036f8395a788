"""Acting as another user of this machine, for what only that shows: rights, and whose a file is."""

from __future__ import annotations

import grp  # noqa: F401 - which another user might not be able to import
import os
import pwd  # noqa: F401 - as above
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534
"""A user and a group that own nothing."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as another user")


@contextmanager
def acting_as(user: int, groups: tuple[int, ...] = (), *, through: Path | None = None) -> Iterator[None]:
    """This process acts as that user, in these groups alone. ``through``: a folder that it may enter, with all above it."""
    for folder in [] if through is None else [through, *through.parents]:
        if not folder.stat().st_mode & 0o1:
            folder.chmod(folder.stat().st_mode | 0o1)
    before = os.getgroups()
    os.setgroups(groups)
    os.setegid(groups[0] if groups else NOBODY)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)
