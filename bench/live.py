"""From a live event to its callback, beyond the wait for the poll."""

from __future__ import annotations

import bisect
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.calls import NOTING, calls
from bench.goals import Goal
from callsheet.sandbox import Sandbox
from tests.support.studio import SITE, Studio

EVENTS = 400
POLL = 0.05
GAPS = (0.02, 0.08)
"""Seconds between two events: from … to, at random, so that they fall anywhere between two polls."""

GOALS = (
    Goal("live event to callback, beyond the poll interval", "p50", least=10, aim=5, at_most=True, unit="ms", note="p50"),
    Goal("live event to callback, beyond the poll interval", "p99", least=50, aim=20, at_most=True, unit="ms", note="p99"),
)


def measure(events: int = EVENTS) -> dict[str, list[float]]:
    """One turn: the median, and the 99th of a hundred, in milliseconds.

    An event's time runs from the moment when the poll that shows it arrives at the site, so it includes the site's answer; from
    the event's making where a poll was in hand at that moment. All clocks are the machine's monotonic one.
    """
    with tempfile.TemporaryDirectory(prefix="callsheet-bench-") as folder, Sandbox() as sandbox:
        studio = Studio(Path(folder), {SITE: sandbox})
        studio.configure(poll=POLL)
        studio.write("noting", NOTING)
        with studio.started() as daemon, _polls(sandbox) as polls:
            first = sandbox.add_event("Shotgun_Task_Change")  # the worker's first call imports what later ones have
            daemon.until(lambda: first in calls(studio))
            made = _make(sandbox, events)
            daemon.until(lambda: calls(studio).keys() >= made.keys())
            assert daemon.stop() == 0
        times = calls(studio)
    late = [(times[event] - _shown(at, times[event], polls)) * 1000 for event, at in made.items()]
    return {"p50": [statistics.median(late)], "p99": [statistics.quantiles(late, n=100)[98]]}


def _make(sandbox: Sandbox, events: int) -> dict[int, float]:
    chance, pause = random.Random(1), threading.Event()  # noqa: S311 - nothing secret
    made: dict[int, float] = {}
    for _ in range(events):
        pause.wait(chance.uniform(*GAPS))
        event = sandbox.add_event("Shotgun_Task_Change")
        made[event] = time.monotonic()
    return made


def _shown(made: float, called: float, polls: list[float]) -> float:
    """From when on the site could show the event: the next poll's arrival, if the event was not shown by one in hand."""
    place = bisect.bisect_left(polls, made)
    following = polls[place] if place < len(polls) else made
    return following if following < called else made


@contextmanager
def _polls(sandbox: Sandbox) -> Iterator[list[float]]:
    """The arrivals of reads at the site."""
    arrivals: list[float] = []
    count = sandbox.site.count

    def noted(method: str) -> None:
        if method == "read":
            arrivals.append(time.monotonic())
        count(method)

    sandbox.site.count = noted  # type: ignore[method-assign] # the one place through which every request goes
    try:
        yield arrivals
    finally:
        sandbox.site.count = count  # type: ignore[method-assign]
