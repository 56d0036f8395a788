"""The figures as a page."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.goals import HEAD, Goal, Values
from bench.scenarios import Scenario

FILE = Path(__file__).parent / "RESULTS.md"
REFERENCES = ("reference", "merely reading")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def judged(goals: Iterable[Goal], values: Values) -> list[list[str]]:
    """A row for each goal whose figures were measured."""
    return [row for goal in goals if (row := goal.row(values)) is not None]


def rates(scenario: Scenario, values: Values) -> list[str]:
    """How fast each entry was, and against whom it is measured."""
    medians = {who: statistics.median(found) for who, found in values.items()}
    others = [who for who in REFERENCES if who in medians]
    head = ["who", "events/s", *(f"against {who}" for who in others)]
    rows = [[who, f"{rate:,.0f}", *(f"{rate / medians[other]:.2f} ×" for other in others)] for who, rate in medians.items()]
    return ["", f"### {scenario.title}", "", *table(head, rows)]


def write(rows: Sequence[Sequence[str]], races: Iterable[str], repeat: int) -> None:
    """Write the page."""
    told = [
        "# Results",
        "",
        f"Written by `make bench REFERENCE=…`: medians of {repeat}, all in one run. {machine()}",
        "",
        *table(HEAD, rows),
        "",
        "The reference is shotgunEvents, on the same pretend site, with the same plugins. × is how many times as many events a",
        "second; of a cost, how many times as much. Memory is PSS: what a process has alone, and its share of what it has with",
        "others. The time of a live event runs from the arrival of the poll that shows it at the site, or from its making if a",
        "poll was in hand then.",
        "",
        "## The races",
        "",
        "Timed from the first call to the last.",
        *races,
        "",
    ]
    FILE.write_text("\n".join(told))


def machine() -> str:
    """What these figures were seen on."""
    cpu = next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal:")), 0)
    parts = [
        f"{os.cpu_count()} processors{f' ({cpu})' if cpu else ''}",
        f"{memory / 1024 / 1024:.0f} GiB",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
    ]
    return f"Machine: {', '.join(parts)}."


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
