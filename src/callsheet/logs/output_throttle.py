"""What plugins print, folded when it floods. Pure but for a lock: the time is an argument."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST = 500
"""Lines of one plugin within one second that are logged; a loop that prints must not fill the disk."""


@dataclass(slots=True)
class _Second:
    facts: Mapping[str, Any]
    began: float
    lines: int = 0

    @property
    def left_out(self) -> int:
        return max(0, self.lines - MOST)


class OutputThrottle:
    """Lets ``MOST`` lines a second of each plugin pass and counts the rest."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str], _Second] = {}
        self._lock = threading.Lock()

    def admit(self, facts: Mapping[str, Any], now: float) -> list[str]:
        """The lines to log for a ``plugin.output``: itself, what was left out before it, or nothing."""
        key = (facts["site"], facts["plugin"])
        texts = []
        with self._lock:
            second = self._seconds.get(key)
            if second is None or not 0 <= now - second.began < 1:
                if second is not None and second.left_out:
                    texts.append(_told(second))
                second = self._seconds[key] = _Second(facts, now)
            lines = str(facts["text"]).removesuffix("\n").split("\n")
            before = second.lines
            second.lines += len(lines)
            texts += [f"[{facts['stream']}] {line.rstrip()}" for line in lines[: max(0, MOST - before)]]
            if before <= MOST < second.lines:
                texts.append(f"The plugin printed more than {MOST} lines in a second; the rest of that second is left out.")
        return texts

    def rest(self) -> list[tuple[Mapping[str, Any], str]]:
        """At the end: what was left out and not yet told, with the facts of its plugin."""
        with self._lock:
            return [(second.facts, _told(second)) for second in self._seconds.values() if second.left_out]


def _told(second: _Second) -> str:
    return f"{second.left_out} printed lines were left out."
