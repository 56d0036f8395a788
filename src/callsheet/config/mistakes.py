"""Mistakes in a configuration: gathered, put in the order of the file, and said in one line each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callsheet.errors import ConfigError

LONGEST = 60
"""Characters of a value that a message repeats."""


class BadValueError(Exception):
    """A value can't be used. ``texts`` says why, a line each; where ``cured`` is false, an example of the setting is added."""

    def __init__(self, *texts: str, cured: bool = True) -> None:
        self.texts = texts
        self.cured = cured
        super().__init__("; ".join(texts))


def unfit(expected: str, found: Any) -> BadValueError:
    """The usual mistake: a value of the wrong kind or out of range."""
    return BadValueError(f"expected {expected}, found {shown(found)}", cured=False)


@dataclass(slots=True)
class Findings:
    """What is wrong with, and what is to be said of, the file at ``path``. Line 0 stands for the file as a whole."""

    path: Path
    _problems: list[tuple[int, str]] = field(default_factory=list)
    _notes: list[tuple[int, str]] = field(default_factory=list)

    def problem(self, line: int, label: str, text: str) -> None:
        """Add a mistake; ``label`` is the place as the file writes it, such as ``[log] level``."""
        self._problems.append((line, self._said(line, label, text)))

    def note(self, line: int, label: str, text: str) -> None:
        """Add a remark that stops nobody."""
        self._notes.append((line, self._said(line, label, text)))

    @property
    def notes(self) -> tuple[str, ...]:
        """All remarks, in the order of the file."""
        return tuple(text for _, text in sorted(self._notes, key=_line))

    def raise_if_any(self) -> None:
        """Raise ConfigError with all mistakes, if there are any."""
        if self._problems:
            raise ConfigError([text for _, text in sorted(self._problems, key=_line)])

    def _said(self, line: int, label: str, text: str) -> str:
        place = f"{self.path}:{line}" if line else str(self.path)
        return f"{place}: {label}: {text}" if label else f"{place}: {text}"


def _line(finding: tuple[int, str]) -> int:
    return finding[0]


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` was probably meant to be."""
    by_lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def shown(value: Any) -> str:
    """A value as a message repeats it, in few words."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = " ".join(value.split())
        text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
        return f'"{text}"' if text else "nothing"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, list):
        return "a list"
    return "a table" if isinstance(value, dict) else "a date or time"
