"""What plugins print, as lines."""

from __future__ import annotations

from collections.abc import Callable

_LONGEST = 16 * 1024
"""Letters; a longer line is said in pieces, so that one without an end does not fill the memory."""


class Lines:
    """Cuts a stream of bytes into lines, and says each."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Say the lines that ``data`` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(_text(line))
        while len(self._rest) > _LONGEST:
            self._say(_text(self._rest[:_LONGEST]))
            self._rest = self._rest[_LONGEST:]

    def close(self) -> None:
        """Say what is left without a line end."""
        if self._rest:
            self._say(_text(self._rest))
            self._rest = b""


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
