"""One worker as the daemon sees it: what it was given, what it said, and what its death means."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from callsheet import telemetry
from callsheet.agent import protocol
from callsheet.errors import ProtocolError
from callsheet.executors import messages
from callsheet.executors.access import WorkerSetup
from callsheet.executors.guests import Guests
from callsheet.executors.handed import HandedRuns
from callsheet.executors.output import Lines
from callsheet.executors.process import Process, in_words
from callsheet.model import Delivery, Failure, PluginFile, PluginKey, Run, RunEnded, Verdict
from callsheet.ports import Message

END_GRACE = 10.0
"""Seconds that a worker which was told to stop, and runs nothing, may take to end."""

STACK_TIME = 0.25
"""Seconds that a worker past a deadline gets to write its stacks before it is killed."""

MEASURE_EVERY = 2.0
"""Seconds between two looks at a worker's memory."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What a worker's end means. ``how`` it was lost, None if it ended as it should; ``suspects``: one of them may be guilty."""

    said: list[Message]
    how: str | None = None
    suspects: Sequence[Delivery] = ()
    loading: PluginFile | None = None
    """The plugin that it was loading."""
    culprit: PluginKey | None = None
    """The plugin whose delivery is to blame."""
    late: bool = False
    """It was killed since a delivery took too long; the retry policy says when to go on."""


@dataclass(frozen=True, slots=True)
class _Kill:
    """Why a worker was killed: of the deliveries it runs, ``culprits`` are to blame (none: nobody is)."""

    culprits: frozenset[int] = frozenset()
    verdict: Verdict = Verdict.CRASHED
    kind: str = "WorkerLost"
    why: str = ""


class Worker:
    """A started worker. Its methods are called under the executor's lock; ``heard`` and ``gone`` return what is to be collected."""

    def __init__(self, setup: WorkerSetup, archive: Path, ahead: int) -> None:
        """Start the process; it has no plugins yet. Raises OSError when that can't be done."""
        self.guests = Guests(setup)
        self.process = Process(archive, setup.python, setup.environ)
        self.site = setup.site
        self.calls = 0
        """Deliveries that it reported."""
        self.memory: int | None = None
        """Bytes of it in the machine's memory when last measured."""
        self.since = time.time()
        self._setup = setup
        self._handed = HandedRuns()
        self._ahead = ahead
        self._buffer = bytearray()
        self._lines = Lines(self._printed)
        self._loading_since = time.monotonic()
        self._measure_at = 0.0
        self._base: int | None = None
        self._stopping: str | None = None
        self._quiet_since: float | None = None
        self._late: tuple[frozenset[int], float] | None = None
        self._killed: _Kill | None = None
        self.process.send(protocol.encode(messages.setup_message(setup)))

    @property
    def name(self) -> str:
        """Its plugins' names."""
        return "+".join(key.name for key in self.guests.keys)

    @property
    def leaving(self) -> bool:
        """It takes no runs any more."""
        return self._stopping is not None or self._killed is not None

    @property
    def running(self) -> int:
        """How many runs it has."""
        return len(self._handed)

    def load(self, plugin: PluginFile) -> None:
        """Have it load a plugin, in addition to those it has."""
        if self.guests.loading is None:
            self._loading_since = time.monotonic()
        first = not self.guests.keys
        self.guests.add(plugin)
        self.process.send(protocol.encode(messages.load_message(plugin)))
        if first:
            self._emit("worker.started", pid=self.process.pid)

    def free(self, key: PluginKey) -> int:
        """How many more runs of that plugin it takes."""
        return 0 if self.leaving else self.guests.free(key, self._ahead)

    def give(self, run: Run) -> None:
        """Hand a run to it."""
        self._handed.add(run)
        self.guests.given(run.plugin)
        self.process.send(messages.run_frame(run, self.guests.callbacks))

    def stop(self, why: str) -> None:
        """Let it finish what it runs, give back the rest, and end. One that only loads has nothing to finish."""
        if self._stopping is None:
            self._stopping = why
            self.process.send(messages.STOP)
            if self.guests.loading is not None and not self._handed:
                self.kill()

    def kill(self, why: _Kill | None = None) -> None:
        """Kill it."""
        if self._killed is None:
            self._killed = why or _Kill()
        self.process.kill()

    def heard(self, data: bytes) -> list[Message]:
        """Take in bytes from the pipe of reports. A worker that talks nonsense is killed."""
        self._buffer += data
        said: list[Message] = []
        try:
            for message in protocol.split(self._buffer):
                self._take(message, said)
        except (protocol.BrokenFrameError, ProtocolError, KeyError, TypeError) as error:
            self._buffer.clear()
            culprits = frozenset(head.id for head in self._handed.heads())
            self.kill(_Kill(culprits, why=f"The worker of {self.name} was killed, since it talked nonsense: {error}"))
        return said

    def printed(self, data: bytes) -> None:
        """Take in bytes from the pipe of what the plugins print; empty at its end."""
        if data:
            self._lines.feed(data)
        else:
            self._lines.close()

    def tend(self, now: float, loading_time: float) -> float:
        """Keep deadlines at the monotonic time ``now``; returns when to look again (inf: not before something happens)."""
        if self._killed:
            return inf
        if self._measure_at <= now:
            self._measure(now)
        soonest = self._measure_at
        if self.guests.loading is not None and not self._handed.heads():
            soonest = min(soonest, self._loading_since + loading_time)
            if self._loading_since + loading_time <= now:
                self.kill(_Kill(why=f"loading took longer than {loading_time:g} s"))
        if self._stopping is not None and not self._handed:
            self._quiet_since = self._quiet_since or now
            soonest = min(soonest, self._quiet_since + END_GRACE)
            if self._quiet_since + END_GRACE <= now:
                self.kill()
        return min(soonest, self._keep_deadlines(now))

    def too_large(self, limit: int) -> bool:
        """Whether it has grown past the limit; what it took to load its plugins is no growth that a new one would mend."""
        return self.memory is not None and self.calls > 0 and self.memory > max(limit, (self._base or 0) * 5 // 4)

    def kill_for_memory(self, limit: int) -> None:
        """Kill it, far above its limit: what runs is to blame."""
        why = f"The worker had grown to {_megabytes(self.memory or 0)}, far above its limit of {_megabytes(limit)}, and was killed."
        self.kill(_Kill(frozenset(head.id for head in self._handed.heads()), kind="OutOfMemory", why=why))

    def gone(self, code: int) -> Loss:
        """Settle its affairs after it ended with ``code``."""
        how = in_words(code)
        self._lines.close()
        heads, loading = self._handed.heads(), self.guests.loading
        killed = self._killed or _Kill(frozenset(head.id for head in heads))
        suspects: list[Delivery] = []
        culprits = killed.culprits
        if killed.verdict is Verdict.CRASHED and len(culprits) + (loading is not None) > 1:
            culprits, suspects = frozenset(), [head for head in heads if head.id in culprits]
        text = killed.why or f"The worker {how} during this delivery. Look at the plugin's log for its last words."
        said = self._handed.lost(culprits, killed.verdict, Failure(killed.kind, text, self.process.stacks()))
        if not culprits and not suspects and (self._stopping is not None or self.guests.broken):
            self._emit("worker.retired", pid=self.process.pid, why=self._stopping or "its plugin could not be loaded")
            return Loss(said)
        blamed = next((head for head in heads if head.id in culprits), None)
        self._emit("worker.lost", pid=self.process.pid, how=killed.why or how, delivery_id=blamed.id if blamed else None)
        return Loss(
            said,
            killed.why or how,
            suspects,
            None if heads else loading,
            blamed.callback.plugin if blamed else None,
            late=killed.verdict is Verdict.TIMEOUT,
        )

    def _keep_deadlines(self, now: float) -> float:
        late, soonest = self._handed.overdue(self.guests.callbacks, now)
        if not late:
            self._late = None
            return soonest
        ids = frozenset(one.id for one in late)
        if self._late is None or not self._late[0] <= ids:
            self._late = (ids, now + STACK_TIME)
            self.process.ask_for_stacks()
        if self._late[1] <= now:
            self.kill(_Kill(ids, Verdict.TIMEOUT, "Timeout", "It took longer than its timeout."))
        return min(soonest, self._late[1])

    def _measure(self, now: float) -> None:
        self._measure_at = now + MEASURE_EVERY
        self.memory = self.process.memory()

    def _take(self, message: protocol.Message, said: list[Message]) -> None:
        kind = message["is"]
        if kind == "report":
            report = messages.report(message)
            self._handed.reported(report)
            self.calls += 1
            said.append(report)
        elif kind == "begun":
            self._handed.begun(message["run"])
        elif kind == "ended":
            self.guests.ended(self._handed.ended(message["run"]))
            said.append(RunEnded(message["run"]))
        elif kind == "record":
            telemetry.emit("plugin.record", site=self.site, plugin=message.pop("plugin") or self.name, record=message)
        elif kind == "emails":
            telemetry.emit("plugin.emails", site=self.site, plugin=message["plugin"], emails=message["emails"])
        elif kind == "manifest":
            self._loading_since = time.monotonic()
            said.append(self.guests.described(message))
            if self.guests.loading is None:
                self._base = self.process.memory()
        else:
            raise ProtocolError(f"it said {kind!r}")

    def _printed(self, text: str) -> None:
        telemetry.emit("plugin.output", site=self.site, plugin=self._speaker(), stream="output", text=text)

    def _speaker(self) -> str:
        """Whose plugin prints: the one that runs, as far as that can be told from outside."""
        names = {head.callback.plugin.name for head in self._handed.heads()}
        if len(names) == 1:
            return names.pop()
        loading = self.guests.loading
        return loading.key.name if loading else next(iter(self.guests.keys)).name

    def _emit(self, signal: str, **facts: Any) -> None:
        telemetry.emit(signal, site=self.site, plugin=self.name, **facts)


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MB"
