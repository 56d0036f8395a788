"""How fast a ledger is: ``python -m tests.contracts.ledger_bench [ADAPTER]`` prints it."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import ParamSpec, TypeVar

from callsheet.domain.delivery import Outcome, State
from callsheet.domain.operation import Verb
from tests.contracts.ledger import ADAPTERS, PLUGIN, Desk, delivery, open_desk

P = ParamSpec("P")
T = TypeVar("T")

PAGE = RUN = 500
GROUP = 200  # outcomes settled together


class Watch:
    """How long each call of each name took."""

    def __init__(self) -> None:
        self.times: defaultdict[str, list[float]] = defaultdict(list)

    def __call__(self, name: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        began = time.perf_counter()
        result = call(*args, **kwargs)
        self.times[name].append(time.perf_counter() - began)
        return result


def cycle(desk: Desk, count: int, lanes: int, slots: int = 2) -> str:
    """Record, claim and settle so many deliveries in so many lanes."""
    news = [delivery(number, lane=f"lane {number % lanes}") for number in range(1, count + 1)]
    assert all(new.event.payload for new in news)  # made when the event is read, not here
    desk.free = {PLUGIN: slots}
    watch = Watch()
    for at in range(0, count, PAGE):
        watch("record", desk.record, *news[at : at + PAGE], cursor=news[at].event.id)
    done = 0
    while runs := watch("claim", desk.claim, RUN):
        outcomes = [Outcome(one.id, State.DONE, 1, 0, desk.now, desk.now) for run in runs for one in run.deliveries]
        for at in range(0, len(outcomes), GROUP):
            ended = [run.id for run in runs] if at + GROUP >= len(outcomes) else []
            watch("settle", desk.ledger.settle, outcomes[at : at + GROUP], ended, desk.now)
        done += len(outcomes)
    assert done == count
    spent = {name: sum(times) for name, times in watch.times.items()}
    each = ", ".join(f"{name} {count / seconds:,.0f}/s" for name, seconds in spent.items())
    return f"{count:,} in {lanes:,} lanes, {slots} at a time: {count / sum(spent.values()):,.0f}/s ({each})"


def crowded(desk: Desk, waiting: int) -> str:
    """What single calls cost beside so many waiting deliveries, half of them in one lane that is held."""
    desk.record_events(*range(1, waiting // 2), lane="stuck")
    desk.settle(desk.claim_one(1), State.HELD)
    for first in range(waiting, 2 * waiting, 5000):
        desk.record(*(delivery(number, lane=f"lane {number % 997}") for number in range(first, first + 2500)))
    watch = Watch()
    for number in range(200):
        run = watch("claim", desk.claim_one, 1)
        watch("settle", desk.settle_done, run)
        watch("record", desk.record_events, 10_000_000 + number, lane="new")
    for _ in range(5):
        watch("overview", desk.ledger.overview)
    desk.free = {}
    for _ in range(200):
        watch("nothing to claim", desk.claim)
    skipped = len(watch("skip of half of them", desk.operate, Verb.SKIP, lane="stuck"))
    each = ", ".join(f"{name} {median(times) * 1e6:,.0f} µs" for name, times in watch.times.items())
    return f"beside {desk.plugin().waiting + skipped:,} waiting: {each}"


def main() -> None:
    adapter = sys.argv[1] if len(sys.argv) > 1 else next(iter(ADAPTERS))
    works: list[Callable[[Desk], str]] = [
        lambda desk: cycle(desk, 2000, 1),  # to get warm
        lambda desk: cycle(desk, 20_000, 1),
        lambda desk: cycle(desk, 20_000, 100),
        lambda desk: cycle(desk, 20_000, 100, slots=16),
        lambda desk: cycle(desk, 5000, 5000),
        lambda desk: cycle(desk, 5000, 5000, slots=32),
        lambda desk: crowded(desk, 200_000),
    ]
    for work in works:
        with tempfile.TemporaryDirectory() as folder, open_desk(adapter, Path(folder)) as desk:
            desk.now = time.time()
            sys.stdout.write(work(desk) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
