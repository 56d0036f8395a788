"""What the daemon takes: memory, processor time while idle, and time to its first delivery."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.calls import NOTING, calls
from bench.goals import Goal
from callsheet.sandbox import Sandbox
from tests.support.running import children
from tests.support.studio import SITE, Studio
from tests.support.traces import legacy

BEHIND = 500_000
WATCHED = 30.0
"""Seconds: of idling whose processor time is taken, and of catching up whose highest memory is taken."""

MEGABYTE = 1024.0
"""In the kB that /proc speaks of."""

RESTING_GOALS = (
    Goal("memory of the daemon, idle", "idle", least=60, at_most=True, unit="MB", note="PSS"),
    Goal("memory per worker", "worker", least=40, at_most=True, unit="MB", note="PSS, after its first deliveries"),
    Goal("idle CPU with a 1 s poll", "cpu", least=1, at_most=True, unit="% of a core", note="the daemon"),
    Goal("idle CPU with a 1 s poll", "all cpu", at_most=True, unit="% of a core", note="with its 5 workers"),
)
BEHIND_GOALS = (
    Goal(
        "memory of the daemon, 500,000 events behind",
        "behind",
        least=90,
        at_most=True,
        unit="MB",
        note="highest PSS while catching up",
    ),
)
FIRST_GOALS = (
    Goal("first delivery after `run`", "again", least=1.5, aim=1, at_most=True, unit="s", note="a restart"),
    Goal(
        "first delivery after `run`",
        "anew",
        least=1.5,
        aim=1,
        at_most=True,
        unit="s",
        note="the very first, from an empty state folder",
    ),
)
WORKERS = 5


@contextmanager
def _studio(**site: Any) -> Iterator[Studio]:
    with tempfile.TemporaryDirectory(prefix="callsheet-bench-") as folder, Sandbox() as sandbox:
        studio = Studio(Path(folder), {SITE: sandbox})
        studio.configure(**site)
        yield studio


def resting() -> dict[str, list[float]]:
    """One turn of a daemon with five legacy plugins that had something to do, and have nothing now."""
    with _studio(poll=1) as studio:
        for number in range(WORKERS):
            studio.write(f"plugin_{number}", legacy())
        with studio.started() as daemon:
            studio.sandbox.add_events(20)
            daemon.until(lambda: studio.states() == {"done": 20 * WORKERS})
            daemon.watch(2)
            workers = children(daemon.pid)
            before = [_cpu(one) for one in (daemon.pid, *workers)]
            began = time.monotonic()
            daemon.watch(WATCHED)
            seconds = time.monotonic() - began
            used = [100 * (_cpu(one) - start) / seconds for one, start in zip((daemon.pid, *workers), before, strict=True)]
            return {
                "idle": [pss(daemon.pid)],
                "worker": [pss(one) for one in workers],
                "cpu": used[:1],
                "all cpu": [sum(used)],
            }


def behind() -> dict[str, list[float]]:
    """One turn of a daemon that catches up with 500,000 events, of which a legacy plugin wants every one."""
    with _studio() as studio:
        studio.write("plugin", legacy())
        with studio.started():
            pass
        studio.sandbox.add_events(BEHIND)
        with studio.start() as daemon:
            deadline = time.monotonic() + WATCHED
            highest = 0.0

            def look() -> bool:
                nonlocal highest
                highest = max(highest, pss(daemon.pid))
                return time.monotonic() > deadline

            daemon.until(look, WATCHED + 10)
            done = studio.states().get("done", 0)
            assert 1000 < done < BEHIND, f"{done} done: it was not behind all the time"
            return {"behind": [highest]}


def first_delivery() -> dict[str, list[float]]:
    """One turn of seconds from the start of ``run`` to the end of the first callback, with an event waiting."""
    with _studio() as studio:
        studio.write("plugin", NOTING)
        event = studio.sandbox.add_event("Shotgun_Task_Change")
        anew = _until_called(studio, event, "--from", str(event))
        again = _until_called(studio, studio.sandbox.add_event("Shotgun_Task_Change"))
        return {"anew": [anew], "again": [again]}


def _until_called(studio: Studio, event: int, *arguments: str) -> float:
    began = time.monotonic()
    with studio.launch(*arguments) as daemon:
        daemon.until(lambda: event in calls(studio), running=False)
        daemon.until(lambda: studio.states().keys() == {"done"})
        assert daemon.stop() == 0
    return calls(studio)[event] - began


def pss(pid: int | None) -> float:
    """Megabytes of memory, shared pages in proportion; None: of this process."""
    lines = Path(f"/proc/{pid or 'self'}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / MEGABYTE


def _cpu(pid: int) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
