"""Which ids of a replay are read next. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from callsheet.domain.reading import Gap, Replay

Ranges = tuple[tuple[int, int], ...]
_RANGE = re.compile(r"([0-9]{1,18})(?:\.\.([0-9]{1,18}))?")


@dataclass(frozen=True, slots=True)
class Piece:
    """What one request asks for: ids behind ``after`` up to ``until``, and those of ``besides``. All of it is read at ``reach``."""

    after: int
    until: int
    besides: tuple[Gap, ...]
    reach: int


def ranges(words: Iterable[str]) -> Ranges:
    """``["12", "20..30", "13"]`` as ranges, ascending and apart: ``((12, 13), (20, 30))``. ValueError, naming it, for another."""
    found = []
    for word in words:
        match = _RANGE.fullmatch(word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 0 < first <= last:
            raise ValueError(word)
        found.append((first, last))
    joined: list[tuple[int, int]] = []
    for first, last in sorted(found):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def piece(replay: Replay, most: int, page: int) -> Piece | None:
    """The next request of at most ``page`` events, none of them behind the id ``most``; None when all is read."""
    left = [(max(first, replay.position + 1), min(last, most)) for first, last in replay.ranges]
    left = [(first, last) for first, last in left if first <= last]
    if not left:
        return None
    first, last = left[0]
    together = _together(left, page)
    besides = tuple(Gap(one, other, 0.0) for one, other in together[1:])
    return Piece(first - 1, last, besides, reach=together[-1][1] if together else last)


def _together(left: Sequence[tuple[int, int]], page: int) -> Sequence[tuple[int, int]]:
    """As many of the first ranges as one page surely holds."""
    room = page
    for count, (first, last) in enumerate(left):
        room -= last - first + 1
        if room < 0:
            return left[:count]
    return left
