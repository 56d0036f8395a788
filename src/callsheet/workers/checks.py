"""What a worker says, checked: of the right type, finite, of a size that can be kept. Each returns it, or raises Finding."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from callsheet.agent.options import LONGEST, MOST
from callsheet.wire.texts import short_name, storable

LONGEST_WORD = 10_000
"""Letters of an event type, an attribute, a path."""

CLOCK_STEP = 60.0
"""Seconds by which a worker's time may be off: the machine's clock may be set while it works."""


class Finding(Exception):  # noqa: N818 - it is found in what a worker says, and told as that worker's failure
    """A value that can't be meant: what it is called, what it is, and what it has to be."""

    def __init__(self, name: str, value: object, wanted: str) -> None:
        super().__init__(storable(f"its {name} is {_shown(value)}, and has to be {wanted}"))


def told(name: str, value: object, most: int = 1000) -> str:
    """A text for people, in a form that can be kept, its end cut where it has more than ``most`` letters."""
    if not isinstance(value, str):
        raise Finding(name, value, "a text")
    return storable(value, most)


def word(name: str, value: object) -> str:
    """A text as it is: it is compared with what a site says."""
    if not isinstance(value, str) or len(value) > LONGEST_WORD:
        raise Finding(name, value, f"a text of {LONGEST_WORD} letters at most")
    return value


def words(name: str, value: object) -> tuple[str, ...]:
    """Several of them."""
    if not isinstance(value, list):
        raise Finding(name, value, "a list of texts")
    return tuple(word(name, one) for one in value)


def name(what: str, value: object) -> str:
    """A name by which something is found again: not empty, and in a form that stays the same wherever it is kept."""
    if not isinstance(value, str) or not value or value != short_name(value):
        raise Finding(what, value, "a short text without half characters")
    return value


def whole(name: str, value: object, least: int | None = 0, most: int | None = MOST) -> int:
    """A whole number from ``least`` to ``most``; None: without that limit."""
    if not is_whole(value, least, most):
        raise Finding(name, value, f"a whole number from {least} to {most}")
    assert isinstance(value, int)
    return value


def is_whole(value: object, least: int | None = 0, most: int | None = MOST) -> bool:
    """Whether it is such a number."""
    return type(value) is int and (least is None or value >= least) and (most is None or value <= most)


def is_moment(value: Any) -> bool:
    """Whether it is a time that a file can have, in seconds (epoch)."""
    return type(value) in (int, float) and abs(value) <= LONGEST * 1000


def is_path(value: object) -> bool:
    """Whether it is an absolute path that the system can be asked for."""
    try:
        return isinstance(value, str) and Path(value).is_absolute() and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def seconds(name: str, value: Any) -> float:
    """A number of seconds, 0 or more, that may pass in somebody's life."""
    if type(value) not in (int, float) or not 0 <= value <= LONGEST:
        raise Finding(name, value, f"a number of seconds from 0 to {LONGEST:.0f}")
    return float(value)


def _shown(value: object) -> str:
    try:
        return f"{value!r:.100}"
    except (ValueError, RecursionError):  # a number of 5,000 digits, lists in lists in lists
        return f"of type {type(value).__name__}"
