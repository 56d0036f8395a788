"""What plugins print, as lines."""

from __future__ import annotations

from collections.abc import Callable

_LONGEST = 16 * 1024
"""Letters; a longer line is said in pieces, so that one without an end does not fill the memory."""


class OutputLines:
    """Cuts a stream of bytes behind line ends, and says what came: as many lines at once as there are, since a loop that prints can
    make a million of them in a second.
    """

    def __init__(self, publish: Callable[[str], None]) -> None:
        self._publish = publish
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Say the lines that ``data`` completes."""
        lines, end, self._rest = (self._rest + data).rpartition(b"\n")
        if end:
            self._publish(_text(lines))
        while len(self._rest) > _LONGEST:
            self._publish(_text(self._rest[:_LONGEST]))
            self._rest = self._rest[_LONGEST:]

    def close(self) -> None:
        """Say what is left without a line end."""
        if self._rest:
            self._publish(_text(self._rest))
            self._rest = b""


def _text(lines: bytes) -> str:
    return lines.replace(b"\r\n", b"\n").removesuffix(b"\r").decode("utf-8", "replace")
