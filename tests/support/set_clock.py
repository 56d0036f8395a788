"""The daemon's command line under a wall clock that a test can set: ``jumping FILE run CONFIG …``.

FILE holds the seconds by which the clock is wrong, as a double; whoever maps it sees a jump at once. Plugins put ``HEAD`` before
their text, so that the daemon's workers live under the same clock, as they would on a machine whose clock is set.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path

OFFSET = struct.Struct("<d")

HEAD = """
import mmap, struct
with open({file!r}, "r+b") as _file:
    _clock = mmap.mmap(_file.fileno(), 8)
_true_time = time.time
time.time = lambda: _true_time() + struct.unpack("<d", _clock[:8])[0]
"""
"""To be formatted with the file; ``time`` is imported already (see traces)."""


class JumpingClock:
    """The test's end of such a clock; right at first."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.jump(0.0)

    @property
    def command(self) -> tuple[str, ...]:
        """What runs ``callsheet`` under this clock."""
        return (sys.executable, "-m", "tests.support.set_clock", str(self.file))

    def jump(self, seconds: float) -> None:
        """Be wrong by so much from now on."""
        with self.file.open("r+b" if self.file.exists() else "wb") as file:
            file.write(OFFSET.pack(seconds))


def main() -> None:
    """Set the clock before anything of Callsheet is imported, since its services keep the function that they find."""
    with Path(sys.argv[1]).open("r+b") as file:
        clock = mmap.mmap(file.fileno(), OFFSET.size)
    del sys.argv[1]
    right = time.time
    time.time = lambda: right() + OFFSET.unpack(clock[: OFFSET.size])[0]

    from callsheet.cli import main as callsheet  # noqa: PLC0415 - see above

    callsheet()


if __name__ == "__main__":
    main()
