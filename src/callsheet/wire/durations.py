"""Durations as people write them, in configuration files, options of ``on`` and on the command line: one grammar for all.

A number of seconds, or a number with a unit: ``90``, ``"500ms"``, ``"2m"``, ``"1.5h"``, ``"14d"``.
"""

import re
from numbers import Real
from typing import Any, Optional

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
GRAMMAR = 'seconds, or a text such as "500ms", "30s", "2m", "1h" or "14d"'

_TEXT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|m|h|d|w)?\s*").fullmatch


def seconds_of(value: Any) -> Optional[float]:
    """The seconds that ``value`` means, which may be infinite or below 0 where it is a number; None where it is no duration."""
    if isinstance(value, str):
        found = _TEXT(value)
        return float(found.group(1)) * UNITS[found.group(2) or "s"] if found else None
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return float(value)


def written(seconds: float) -> str:
    """A duration in the largest unit that it is a whole number of: 300 → ``5m``."""
    if not seconds:
        return "0"
    unit = next((name for name in ("d", "h", "m", "s") if seconds % UNITS[name] == 0), "ms")
    return f"{seconds / UNITS[unit]:g}{unit}"
