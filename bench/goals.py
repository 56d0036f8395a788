"""What must be seen, what is aimed at, and whether it was."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Values = Mapping[str, Sequence[float]]
"""What was measured, each several times, by name."""


@dataclass(frozen=True)
class Goal:
    """The median of ``what``, or its ratio to that of ``against``, must reach ``least`` and should reach ``aim``.

    ``at_most``: it must not exceed them. ``unit`` stands behind the number, where it is no ratio.
    """

    work: str
    what: str
    against: str | None = None
    least: float | None = None
    aim: float | None = None
    at_most: bool = False
    unit: str = ""
    note: str = ""

    def row(self, values: Values) -> list[str] | None:
        """Work, figure, demand, whether met, aim, whether met; None where something it needs was not measured."""
        if self.what not in values or (self.against is not None and self.against not in values):
            return None
        seen = statistics.median(values[self.what])
        if self.against is not None:
            seen /= statistics.median(values[self.against])
        work = f"{self.work} ({self.note})" if self.note else self.work
        return [work, self._text(seen), *self._judged(seen, self.least), *self._judged(seen, self.aim)]

    def _judged(self, seen: float, demanded: float | None) -> list[str]:
        if demanded is None:
            return ["", ""]
        # Judged as it is shown: 4.00 meets 4.
        met = round(seen, 2) <= demanded if self.at_most else round(seen, 2) >= demanded
        return [f"{'≤' if self.at_most else '≥'} {demanded:g}{self._behind}", "met" if met else "**not met**"]

    def _text(self, seen: float) -> str:
        return f"{seen:.2f}{self._behind}"

    @property
    def _behind(self) -> str:
        return f" {self.unit or '×'}"


HEAD = ["work", "seen", "at least", "", "aim", ""]
