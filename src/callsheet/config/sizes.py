"""Amounts of memory as values of settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from callsheet.config.kinds import ParseContext
from callsheet.config.mistakes import BadValueError, unfit

UNITS = {"KB": 2**10, "MB": 2**20, "GB": 2**30}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(KB|MB|GB)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes, written as text such as "512MB", of ``least`` or more."""

    least: int
    expected: ClassVar[str] = 'an amount of memory such as "512MB" or "2GB"'

    def of_text(self, text: str) -> object:
        """See Kind."""
        return text

    def parse(self, value: object, around: ParseContext) -> int:  # noqa: ARG002 - all kinds have one signature
        """See Kind."""
        match = _SIZE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise unfit(self.expected, value)
        size = int(float(match[1]) * UNITS[match[2].upper()])
        if size < self.least:
            raise BadValueError(f"expected {self.expected}, at least {self.least // 2**20}MB; found {value!r}", cured=False)
        return size
