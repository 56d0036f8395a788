"""A storm of the same error as one mail at once and one with the count afterwards. Pure: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

from callsheet.logs.mail_message import MailMessage

MOST_KINDS = 1000
"""Different errors remembered at once; a thousand-and-first is not folded."""


@dataclass(slots=True)
class _Kind:
    """One error: when its window ends, and what came within it."""

    until: float
    more: int = 0
    first: float = 0.0
    last: MailMessage | None = None


class ErrorDedup:
    """Which letters go at once, and which are counted. A storm that lasts brings one summary per window. Not thread-safe."""

    def __init__(self, window: float) -> None:
        """``window`` in seconds; 0: nothing is folded."""
        self._window = window
        self._kinds: dict[tuple[object, ...], _Kind] = {}

    def admit(self, letter: MailMessage, now: float) -> bool:
        """Whether ``letter`` is the first of its kind and is to be sent now; if not, it is counted."""
        if self._window <= 0:
            return True
        likeness = letter.likeness()
        kind = self._kinds.get(likeness)
        if kind is None:
            if len(self._kinds) < MOST_KINDS:
                self._kinds[likeness] = _Kind(now + self._window)
            return True
        kind.more += 1
        kind.first = kind.first or letter.created
        kind.last = letter
        return False

    def due(self, now: float) -> list[MailMessage]:
        """Summaries of the windows that have ended. An error that came again gets a new window; one that did not is forgotten."""
        letters = []
        for likeness, kind in list(self._kinds.items()):
            if kind.until > now:
                continue
            if kind.last is None:
                del self._kinds[likeness]
            else:
                letters.append(kind.last.summing_up(kind.more, kind.first))
                self._kinds[likeness] = _Kind(now + self._window)
        return letters

    def next_due(self) -> float | None:
        """When the next window ends."""
        return min((kind.until for kind in self._kinds.values()), default=None)

    def rest(self) -> list[MailMessage]:
        """At the end: all summaries not yet due."""
        return [kind.last.summing_up(kind.more, kind.first) for kind in self._kinds.values() if kind.last is not None]
