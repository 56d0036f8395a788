"""A small disk in memory, which can be filled up. Needs the right to mount it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Disk:
    """A disk in memory whose size can be changed while it is in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.folder)], check=True)

    def protect(self) -> None:
        """Let nobody write any more."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.folder)], check=True)

    def fill(self) -> Path:
        """Leave no byte free."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file:
            for piece in (1 << 16, 1 << 12, 1):
                try:
                    while file.write(b"x" * piece):
                        pass
                except OSError:
                    continue
        return filler


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Disk | None]:
    """A disk of that size (as mount has it: ``4m``) at ``folder``, which is made; None where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "callsheet-test", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
