"""A storm: events without end, a site that fails, and kills at random; then calm, until nothing is left to do."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.chaos import plugins
from tests.chaos.judge import Judgement, Kill, judge, read_trace
from tests.support.disk import Disk
from tests.support.running import RunningDaemon, children
from tests.support.set_clock import JumpingClock
from tests.support.studio import Studio
from tests.support.waiting import until

CALM = 60.0
"""Seconds that the daemon may take to finish once the storm is over."""

MOST_PER_BATCH = 150
DISK = "256m"
"""Where the state lies, if a disk is to fill up: more than a storm needs."""

STRIKES = {"daemon killed": 3, "worker killed": 5, "daemon stopped": 1, "plugin reloaded": 2, "disk full": 1, "clock jumped": 1}
"""What may strike, and how often in proportion."""

WRONG = (-3600.0, 400.0)
"""Seconds by which the clock may be wrong: from … to. No further ahead than the window of gaps: seen from there, a missing id is
one that nobody need wait for.
"""

PAUSES = (0.05, 0.4, 1.0, 2.0, 3.5)
KILLING = (0.05, 0.3, 0.6, 1.0)
"""Seconds between two strikes, one of these; the second, where it is about the number of kills."""

BUSY = 0.8
"""Share of the strikes that come just after a full batch, so that they find work in hand."""


class Storm:
    """One storm over a studio that has four plugins. Its ``seed`` decides what is done; the machine decides the rest."""

    def __init__(
        self, studio: Studio, seed: int, *, events: int, seconds: float = 60.0, kills: int = 0, disk: Disk | None = None
    ) -> None:
        """``kills``: rather than for so many seconds, until daemon and workers were killed so often each. ``disk``: the studio's
        state lies there; without it, no disk fills up.
        """
        self.studio = studio
        self.strikes = {kind: often for kind, often in STRIKES.items() if disk is not None or kind != "disk full"}
        self.kills: list[Kill] = []
        self.late: set[int] = set()
        self.done: Counter[str] = Counter()
        """How often the storm did what."""
        self._seed = seed
        self._random = random.Random(seed)
        # Each kind once, so that a short storm is one, too.
        self._coming = self._random.sample(list(self.strikes), len(self.strikes))
        self._events = events
        self._seconds = seconds
        self._wanted = kills
        if kills:
            self.strikes |= {"daemon killed": 6, "worker killed": 7}
        self._disk = disk
        self._clock = JumpingClock(studio.folder / "clock")
        self._pause = threading.Event()
        self._releases: list[tuple[float, Callable[[], object]]] = []
        self._began = 0

    def run(self) -> Judgement:
        """Rage, calm down, judge. AssertionError if the daemon fails by itself or can't be stopped."""
        self.studio.configure({"grace": 5}, page=100, most_waiting=1000, gap_window=600)
        plugins.install(self.studio, self._clock, self._seed)
        daemon = self._launch()
        try:
            daemon.until(lambda: self.studio.site().cursor is not None)
            # Every plugin has been met before the first kill: what a new plugin is due begins with the day it is met.
            self._began = self.studio.sandbox.add_event("Shotgun_Task_Change", **_change(self.studio))
            daemon.until(lambda: self.studio.states() == {"done": len(plugins.SLOTS)})
            with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C ends the storm early, and it is judged all the same
                self._rage(daemon)
            self._calm(self._launch() if self.studio.daemons[-1].ended else self.studio.daemons[-1])
        finally:
            for one in self.studio.daemons:
                one.__exit__(None, None, None)
        return self.judge()

    def judge(self) -> Judgement:
        """Judge what stands now."""
        shown = [one for one in self.studio.sandbox.events(self._began - 1) if one["event_type"] == "Shotgun_Task_Change"]
        return judge(shown, self.late, read_trace(self.studio.trace.folder / "trace"), self.kills, plugins.SLOTS)

    # -- the storm

    def _rage(self, daemon: RunningDaemon) -> None:
        began = time.monotonic()
        strike_at = began + self._random.uniform(0.3, 2.0)
        while (gone := self._gone(now := time.monotonic(), began)) < 1:
            owed = int(self._events * gone) - self.done["events"]
            if owed > (MOST_PER_BATCH if self._wanted else 0):
                self._write(min(owed, self._random.randint(1, MOST_PER_BATCH)))
            self._trouble_the_site(now)
            if now >= strike_at:
                if self._random.random() < BUSY:
                    self._make_busy(daemon)
                daemon = self._strike(daemon)
                strike_at = time.monotonic() + self._random.choice(KILLING if self._wanted else PAUSES)
            assert not daemon.ended, f"the daemon ended by itself\n{daemon.tail()}"
            self._pause.wait(self._random.uniform(0.01, 0.08))

    def _make_busy(self, daemon: RunningDaemon) -> None:
        """See that there is work in hand."""
        if not self._wanted:
            self._write(MOST_PER_BATCH)
            self._pause.wait(self._random.uniform(0.05, 0.4))
            return
        # Where it is about the number of kills, the events are to be had for all of them.
        self._write(max(1, self._events // (3 * self._wanted)))
        trace = self.studio.trace.folder / "trace"
        before = trace.stat().st_size
        with contextlib.suppress(AssertionError):  # the site may not answer just now
            until(lambda: trace.stat().st_size > before, 3.0, every=0.002)
        self._pause.wait(self._random.uniform(0.0, 0.02))

    def _gone(self, now: float, began: float) -> float:
        """How much of the storm is over."""
        if not self._wanted:
            return (now - began) / self._seconds
        killed = Counter(kill.what.split()[0] for kill in self.kills)
        return min(killed["daemon"], killed["worker"]) / self._wanted

    def _write(self, count: int) -> None:
        sandbox = self.studio.sandbox
        if self._random.random() < 0.1:
            sandbox.skip_event_id(self._random.randint(1, 5))
            self.done["ids skipped"] += 1
        if self._random.random() < 0.2:
            following = sandbox.skip_event_id(0)
            held = self._random.sample(range(following, following + count), min(count, self._random.randint(1, 3)))
            for event in held:
                sandbox.withhold(event)
                self._later(self._random.uniform(0.05, 6.0), partial(sandbox.release, event))
            self.late.update(held)
        sandbox.add_events(count)
        self.done["events"] += count

    def _trouble_the_site(self, now: float) -> None:
        for due, release in [one for one in self._releases if one[0] <= now]:
            release()
            self._releases.remove((due, release))
        faults, count = self.studio.sandbox.faults, self._random.randint(1, 3)
        # One at a time: heaped up, they would keep the site down, and every kill would find an idle daemon.
        if self._random.random() > 0.06 or faults.active():
            return
        kind = self._random.choice(["drop before", "drop after", "500", "503", "429", "truncated", "hang", "slow"])
        if kind.isdigit():
            faults.status(int(kind), count=count)
        elif kind == "truncated":
            faults.truncate(count=count)
        elif kind == "slow":
            faults.slow(0.2, 0.15, count=count)
        elif kind == "hang":
            faults.hang(count=1)
            self._later(self._random.uniform(0.1, 1.0), faults.release)
        else:
            faults.drop(after=kind.endswith("after"), count=count)
        self.done["faults"] += 1

    def _later(self, seconds: float, what: Callable[[], object]) -> None:
        self._releases.append((time.monotonic() + seconds, what))

    def _strike(self, daemon: RunningDaemon) -> RunningDaemon:
        kind = self._coming.pop() if self._coming else self._random.choices(list(self.strikes), list(self.strikes.values()))[0]
        if kind == "plugin reloaded":
            file = self.studio.plugins / f"{self._random.choice(list(plugins.SLOTS))}.py"
            file.touch()
        elif kind == "worker killed":
            workers = children(daemon.pid)
            if not workers:  # a young daemon has none yet
                self._coming.append(kind)
                return daemon
            self._kill_worker(self._random.choice(workers))
        elif kind == "daemon killed":
            self.kills.append(Kill("daemon", daemon.pid, time.monotonic()))
            daemon.kill()
        elif kind == "clock jumped":
            self._clock.jump(self._random.uniform(*WRONG))
        elif kind == "disk full":
            self._fill_the_disk(daemon)
        else:
            code = daemon.stop()
            # Killed before it had its handlers, the daemon ends by the signal; from then on it must end well.
            assert code == 0 or not daemon.said("is ready"), f"exit code {code} after SIGTERM\n{daemon.tail()}"
        self.done[kind] += 1
        return self._launch() if daemon.ended else daemon

    def _fill_the_disk(self, daemon: RunningDaemon) -> None:
        """For a moment; the daemon may be killed in it."""
        assert self._disk is not None
        filler = self._disk.fill()
        since = time.monotonic()
        self._pause.wait(self._random.uniform(0.2, 1.5))
        if self._random.random() < BUSY:
            self.kills.append(Kill("daemon on a full disk", daemon.pid, time.monotonic(), since))
            daemon.kill()
        filler.unlink()

    def _launch(self) -> RunningDaemon:
        return self.studio.launch(command=self._clock.command)

    def _kill_worker(self, pid: int) -> None:
        self.kills.append(Kill("worker", pid, time.monotonic()))
        with contextlib.suppress(ProcessLookupError):  # it was on its way out
            os.kill(pid, signal.SIGKILL)

    # -- the calm

    def _calm(self, daemon: RunningDaemon) -> None:
        """End all trouble, and let the daemon go on until it has nothing open; what it can't finish in time counts as lost."""
        sandbox = self.studio.sandbox
        sandbox.faults.clear()
        sandbox.release()
        last = sandbox.events(self._began - 1)[-1]["id"]
        daemon.until(lambda: daemon.said("is ready"))  # a younger one ends by the signal
        with contextlib.suppress(AssertionError):
            daemon.until(lambda: self._settled(last), CALM)
        assert daemon.stop() == 0, daemon.tail()

    def _settled(self, last: int) -> bool:
        site = self.studio.site()
        waited_for = any(gap.first <= event <= gap.last for gap in site.gaps for event in self.late)
        behind = any(position is not None for position in site.positions.values())
        return (
            site.cursor is not None
            and site.cursor >= last
            and not waited_for
            and not behind
            and set(self.studio.states()) == {"done"}
        )

    def ledger_is_sound(self) -> bool:
        """SQLite's own opinion of the ledger."""
        connection = sqlite3.connect(self.studio.state / "ledger.db")
        try:
            return bool(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok")
        finally:
            connection.close()


def _change(studio: Studio) -> dict[str, Any]:
    """The fields of an event that all three plugins want."""
    return {
        "attribute_name": "sg_status_list",
        "entity": {"type": "Task", "id": studio.sandbox.connect().find_one("Task", [])["id"]},
    }


def summary(storm: Storm, found: Judgement) -> list[str]:
    """All figures: a line for each class of kills, then one for the whole."""
    lines = []
    for what, number in Counter(kill.what for kill in storm.kills).items():
        doubled = {kill: firsts for kill, firsts in found.doubled.items() if kill.what == what}
        most = max(map(len, doubled.values()), default=0)
        oldest = max((min(kill.at, kill.since) - one.end for kill, firsts in doubled.items() for one in firsts), default=0.0)
        lines.append(
            f"{what} killed {number} times: {sum(map(len, doubled.values()))} calls made again, at most {most} by one kill; "
            f"the oldest had ended {max(0.0, oldest) * 1000:.1f} ms before"
        )
    did = ", ".join(f"{count} {what}" for what, count in sorted(storm.done.items()))
    again = sum(map(len, found.doubled.values()))
    whole = (
        f"{did}, {len(storm.late)} late; {found.calls} calls, {found.raised} raised, {found.torn} torn; lost {len(found.lost)}, "
        f"out of order {len(found.disordered)}, overlapping {len(found.overlapping)}, doubled {again}, "
        f"unexplained {len(found.unexplained)}"
    )
    return [*lines, whole]
