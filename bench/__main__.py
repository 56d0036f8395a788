"""``python -m bench [SCENARIO…] [--reference CHECKOUT] [--repeat N]``: prints the figures, and writes them to bench/RESULTS.md."""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.race import race, read, site
from bench.scenarios import SCENARIOS, Scenario

CALLSHEET = [str(Path(sys.executable).with_name("callsheet")), "run"]
Racer = Callable[[], float]
"""Runs once; returns events per second."""


def main() -> None:
    """Race all, in turn, as often as asked; the order within a turn stays, so that the machine's moods hit all alike."""
    options = argparse.ArgumentParser(prog="bench", description=__doc__)
    options.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; all if none is named")
    options.add_argument(
        "--reference", default=os.environ.get("REFERENCE") or None, help="a checkout of shotgunsoftware/shotgunEvents"
    )
    options.add_argument("--repeat", type=int, default=3)
    given = options.parse_args()
    lines: list[str] = []
    for name in given.scenarios or SCENARIOS:
        rates = _run(name, given.reference, given.repeat)
        lines += _table(SCENARIOS[name], rates)
        print("\n".join(_table(SCENARIOS[name], rates)), flush=True)
    if not given.reference:
        print("Without a reference to compare with: make bench REFERENCE=/path/to/a/checkout/of/shotgunEvents")
    elif not given.scenarios:
        _write(lines, given.repeat)


def _run(name: str, reference: str | None, repeat: int) -> dict[str, list[float]]:
    scenario = SCENARIOS[name]
    with site(name) as where:

        def racer(command: list[str], *, new_style: bool = False) -> Racer:
            plugins = scenario.new_style if new_style else scenario.plugins
            return lambda: scenario.events / race(where, plugins, command)

        racers: dict[str, Racer] = {"merely reading": lambda: read(where)} if scenario.reading else {}
        racers["callsheet"] = racer(CALLSHEET)
        if scenario.new_style:
            racers["callsheet, new style"] = racer(CALLSHEET, new_style=True)
        if reference:
            racers["reference"] = racer([sys.executable, "-m", "bench.reference", reference])
        rates: dict[str, list[float]] = {who: [] for who in racers}
        for turn in range(repeat):
            for who, run in racers.items():
                rates[who].append(run())
            shown = ", ".join(f"{who} {values[-1]:,.0f}/s" for who, values in rates.items())
            print(f"{name}, turn {turn + 1}: {shown}", flush=True)
    return rates


def _table(scenario: Scenario, rates: dict[str, list[float]]) -> list[str]:
    medians = {who: statistics.median(values) for who, values in rates.items()}
    others = [who for who in ("reference", "merely reading") if who in medians]
    head = ["who", "events/s", *(f"against {who}" for who in others)]
    rows = [[who, f"{rate:,.0f}", *(f"{rate / medians[other]:.2f} ×" for other in others)] for who, rate in medians.items()]
    return ["", f"## {scenario.title}", "", _row(head), _row(["---"] * len(head)), *map(_row, rows), ""]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _write(lines: list[str], repeat: int) -> None:
    machine = (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} processors, {platform.system()}"
    )
    head = [
        "# Results",
        "",
        f"Written by `make bench REFERENCE=…`: medians of {repeat}, timed from the first call to the last. {machine}.",
    ]
    (Path(__file__).parent / "RESULTS.md").write_text("\n".join([*head, *lines]))


if __name__ == "__main__":
    main()
