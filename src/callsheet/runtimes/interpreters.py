"""Which Python a session has: the first that is named and can run an agent."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

OLDEST = (3, 7)
"""What the agent needs."""
_ASKED = "import sys; print('{}.{}'.format(*sys.version_info))"


class Interpreter(NamedTuple):
    """A Python, the two numbers of its version, and who named it."""

    path: str
    version: tuple[int, ...]
    said_by: str


def choose(named: Iterable[tuple[str | None, str]]) -> Interpreter:
    """The first of these that runs and is 3.7 or later. Configurations of old name a Python 2, which was never changed there."""
    tried: list[Interpreter] = []
    for path, said_by in named:
        if path is None:
            continue
        one = Interpreter(path, version_of(path), said_by)
        if one.version >= OLDEST:
            return one
        tried.append(one)
    return tried[-1]


def version_of(path: str) -> tuple[int, ...]:
    """The two numbers of its version; () if it can't be run."""
    try:
        stat = os.stat(path)
    except OSError:
        return ()
    return _asked(path, stat.st_mtime_ns, stat.st_ino)


def numbers(version: str) -> tuple[int, ...]:
    """``3.9`` as numbers."""
    return tuple(int(one) for one in re.findall(r"\d+", version)[:2])


@lru_cache(maxsize=64)
def _asked(path: str, _modified: int, _inode: int) -> tuple[int, ...]:
    try:
        done = subprocess.run(  # noqa: S603 - it is what sessions would be started with
            [path, "-S", "-c", _ASKED], capture_output=True, text=True, check=False, timeout=20, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return numbers(done.stdout) if done.returncode == 0 else ()
