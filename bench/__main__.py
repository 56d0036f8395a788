"""``python -m bench [--reference CHECKOUT] [--events N] [--repeat N]``: prints the figures, and writes them to bench/RESULTS.md."""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import sys
from pathlib import Path

from bench.race import NOOP, race, read, site

CALLSHEET = [str(Path(sys.executable).with_name("callsheet")), "run"]


def main() -> None:
    """Race all, in turn, as often as asked; the order within a turn stays, so that the machine's moods hit all alike."""
    options = argparse.ArgumentParser(prog="bench", description=__doc__)
    options.add_argument(
        "--reference", default=os.environ.get("REFERENCE") or None, help="a checkout of shotgunsoftware/shotgunEvents"
    )
    options.add_argument("--events", type=int, default=20_000)
    options.add_argument("--repeat", type=int, default=3)
    given = options.parse_args()
    racers = {"callsheet": CALLSHEET}
    if given.reference:
        racers["reference"] = [sys.executable, "-m", "bench.reference", given.reference]
    rates: dict[str, list[float]] = {name: [] for name in ("reading", *racers)}
    with site(given.events) as where:
        for turn in range(given.repeat):
            rates["reading"].append(read(where))
            for name, command in racers.items():
                rates[name].append(where.count / race(where, {"noop": NOOP}, command))
            print(f"turn {turn + 1}: " + ", ".join(f"{name} {values[-1]:,.0f}/s" for name, values in rates.items()), flush=True)
    lines = _table(given.events, rates)
    print("\n".join(lines))
    if not given.reference:
        print("\nWithout a reference to compare with: make bench REFERENCE=/path/to/a/checkout/of/shotgunEvents")
        return
    machine = (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} processors, {platform.system()}"
    )
    page = ["# Results", "", f"Written by `make bench REFERENCE=…`. {machine}.", "", *lines, ""]
    (Path(__file__).parent / "RESULTS.md").write_text("\n".join(page))


def _table(events: int, rates: dict[str, list[float]]) -> list[str]:
    medians = {name: statistics.median(values) for name, values in rates.items()}
    base = medians.get("reference")
    lines = [
        f"{events:,} waiting events, one no-op legacy plugin, from its first call to its last; medians of {len(rates['reading'])}.",
        "",
        "| who | events/s | against the reference | against merely reading |",
        "|---|---|---|---|",
    ]
    for name, median in medians.items():
        against = f"{median / base:.2f} ×" if base else "–"
        lines.append(f"| {name} | {median:,.0f} | {against} | {median / medians['reading']:.2f} × |")
    return lines


if __name__ == "__main__":
    main()
