"""``python -m bench [NAME…] [--reference CHECKOUT] [--repeat N]``: prints the figures; those of all go to bench/RESULTS.md."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import footprint, live, results, toolkit
from bench.goals import HEAD, Goal, Values
from bench.race import Course, course, race, read, site
from bench.scenarios import SCENARIOS

CALLSHEET = [str(Path(sys.executable).with_name("callsheet")), "run"]
MEASURES: dict[str, tuple[Callable[[], dict[str, list[float]]], tuple[Goal, ...]]] = {
    "live": (live.measure, live.GOALS),
    "resting": (footprint.resting, footprint.RESTING_GOALS),
    "behind": (footprint.behind, footprint.BEHIND_GOALS),
    "first": (footprint.first_delivery, footprint.FIRST_GOALS),
    "toolkit": (toolkit.measure, toolkit.GOALS),
}
"""What is no race: one turn of each, and its goals."""

Racer = Callable[[], float]
"""Runs once; returns events per second."""


def main() -> None:
    """Measure all, in turn, as often as asked; the order within a turn stays, so that the machine's moods hit all alike."""
    names = [*SCENARIOS, *MEASURES]
    options = argparse.ArgumentParser(prog="bench", description=__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all if none is named")
    options.add_argument(
        "--reference", default=os.environ.get("REFERENCE") or None, help="a checkout of shotgunsoftware/shotgunEvents"
    )
    options.add_argument("--repeat", type=int, default=3)
    given = options.parse_args()
    rows: list[list[str]] = []
    races: list[str] = []
    for name in given.names or names:
        if name in SCENARIOS:
            values = _race(name, given.reference, given.repeat)
            races += results.rates(SCENARIOS[name], values)
            goals = SCENARIOS[name].goals
        else:
            measure, goals = MEASURES[name]
            values = _measure(name, measure, given.repeat)
        rows += results.judged(goals, values)
    print("\n".join([*races, "", *results.table(HEAD, rows)]))
    if not given.reference:
        print("Without a reference to compare with: make bench REFERENCE=/path/to/a/checkout/of/shotgunEvents")
    elif not given.names:
        results.write(rows, races, given.repeat)


def _race(name: str, reference: str | None, repeat: int) -> Values:
    scenario = SCENARIOS[name]
    with site(name) as where, ExitStack() as prepared:

        def racer(on: Course, command: list[str]) -> Racer:
            return lambda: scenario.events / race(on, command)

        courses = {who: prepared.enter_context(course(where, entry)) for who, entry in scenario.entries.items()}
        racers: dict[str, Racer] = {"merely reading": partial(read, where)} if scenario.reading else {}
        racers |= {who: racer(on, CALLSHEET) for who, on in courses.items()}
        if reference and "callsheet" in courses:
            racers["reference"] = racer(courses["callsheet"], [sys.executable, "-m", "bench.reference", reference])
        rates: dict[str, list[float]] = {who: [] for who in racers}
        for turn in range(repeat):
            for who, run in racers.items():
                rates[who].append(run())
            shown = ", ".join(f"{who} {found[-1]:,.0f}/s" for who, found in rates.items())
            print(f"{name}, turn {turn + 1}: {shown}", flush=True)
    return rates


def _measure(name: str, measure: Callable[[], dict[str, list[float]]], repeat: int) -> Values:
    values: dict[str, list[float]] = {}
    for turn in range(repeat):
        found = measure()
        for what, some in found.items():
            values.setdefault(what, []).extend(some)
        shown = ", ".join(f"{what} {' '.join(f'{one:.2f}' for one in some)}" for what, some in found.items())
        print(f"{name}, turn {turn + 1}: {shown}", flush=True)
    return values


if __name__ == "__main__":
    main()
