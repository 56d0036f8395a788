"""One worker as the daemon sees it: what it was given, what it said, and what its death means."""

from __future__ import annotations

import time
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

from callsheet import telemetry
from callsheet.agent import protocol
from callsheet.errors import ProtocolError
from callsheet.executors import messages
from callsheet.executors.access import WorkerSetup
from callsheet.executors.handed import HandedRuns
from callsheet.executors.output import Lines
from callsheet.executors.process import Process, in_words
from callsheet.model import Callback, Failure, Manifest, PluginFile, Run, RunEnded, Verdict
from callsheet.ports import Message

END_GRACE = 10.0
"""Seconds that a worker which was told to stop, and runs nothing, may take to end."""


class Worker:
    """A started worker. Its methods are called under the executor's lock; ``heard`` and ``gone`` return what is to be collected."""

    def __init__(self, plugin: PluginFile, setup: WorkerSetup, archive: Path, ahead: int) -> None:
        """Start the process. Raises OSError when that can't be done."""
        self.plugin = plugin
        self.process = Process(archive, setup.python, setup.environ)
        self.manifest: Manifest | None = None
        self.passing = False
        """Its trouble is of the sort that goes away by itself."""
        self.fruitful = False
        """A delivery came to an end in it, be it the worker's own: then it is the retry policy that says when to go on."""
        self._setup = setup
        self._handed = HandedRuns()
        self._callbacks: Mapping[str, Callback] = {}
        self._slots = 1
        self._ahead = ahead
        self._buffer = bytearray()
        self._lines = Lines(self._printed)
        self._started = time.monotonic()
        self._stopping: str | None = None
        self._quiet_since: float | None = None
        self._killed_for: tuple[set[int], Verdict, str] | None = None
        self.process.send(protocol.encode(messages.setup_message(setup, plugin)))
        self._emit("worker.started", pid=self.process.pid)

    @property
    def ready(self) -> bool:
        """Whether it takes runs at all."""
        return self.manifest is not None and self.manifest.problem is None and not self._stopping and not self._killed_for

    @property
    def free(self) -> int:
        """How many more runs it takes. Some wait in the worker, so that it does not wait for the daemon."""
        return self._slots + self._ahead - len(self._handed) if self.ready else 0

    def give(self, run: Run) -> None:
        """Hand a run to it."""
        self._handed.add(run)
        self.process.send(messages.run_frame(run, self._callbacks))

    def stop(self, why: str) -> None:
        """Let it finish what it runs, give back the rest, and end. One that is still loading has nothing to finish."""
        if self._stopping is None:
            self._stopping = why
            self.process.send(messages.STOP)
            if self.manifest is None:
                self.kill()

    def kill(self, culprits: set[int] | None = None, verdict: Verdict = Verdict.CRASHED, why: str = "") -> None:
        """Kill it; of the deliveries it runs, ``culprits`` are to blame (none: nobody is)."""
        if self._killed_for is None:
            self._killed_for = (culprits or set(), verdict, why)
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
            culprits = {head.id for head in self._handed.heads()}
            self.kill(culprits, Verdict.CRASHED, f"The worker of {self.plugin.key} was killed, since it talked nonsense: {error}")
        return said

    def printed(self, data: bytes) -> None:
        """Take in bytes from the pipe of what the plugin prints; empty at its end."""
        if data:
            self._lines.feed(data)
        else:
            self._lines.close()

    def tend(self, now: float, loading_time: float) -> float:
        """Keep deadlines at the monotonic time ``now``; returns when to look again (inf: not before something happens)."""
        if self._killed_for:
            return inf
        if self.manifest is None:
            if self._started + loading_time <= now:
                self.kill(why=f"loading took longer than {loading_time:g} s")
            return self._started + loading_time
        if self._stopping is not None and not self._handed:
            if self._quiet_since is None:
                self._quiet_since = now
            if self._quiet_since + END_GRACE <= now:
                self.kill()
            return self._quiet_since + END_GRACE
        late, soonest = self._handed.overdue(self._callbacks, now)
        if late:
            self.kill({one.id for one in late}, Verdict.TIMEOUT, "It took longer than its timeout.")
        return soonest

    def gone(self, code: int) -> tuple[list[Message], str | None]:
        """Settle its affairs after it ended with ``code``: what to collect, and how it was lost (None: as it should)."""
        how = in_words(code)
        self._lines.close()
        heads = self._handed.heads()
        if self._killed_for is None:
            culprits, verdict, why = {head.id for head in heads}, Verdict.CRASHED, ""
        else:
            culprits, verdict, why = self._killed_for
        kind = "Timeout" if verdict is Verdict.TIMEOUT else "WorkerLost"
        text = why or f"The worker {how} during this delivery. Look at the plugin's log for its last words."
        said = self._handed.lost(culprits, verdict, Failure(kind, text))
        broken = self.manifest is not None and self.manifest.problem is not None
        if not culprits and (self._stopping is not None or broken):
            self._emit("worker.retired", pid=self.process.pid, why=self._stopping or "its plugin could not be loaded")
            return said, None
        self.fruitful = self.fruitful or bool(culprits)
        blamed = next((head.id for head in heads if head.id in culprits), None)
        self._emit("worker.lost", pid=self.process.pid, how=why or how, delivery_id=blamed)
        return said, why or how

    def _take(self, message: protocol.Message, said: list[Message]) -> None:
        kind = message["is"]
        if kind == "report":
            report = messages.report(message)
            self._handed.reported(report)
            self.fruitful = True
            said.append(report)
        elif kind == "begun":
            self._handed.begun(message["run"])
        elif kind == "ended":
            self._handed.ended(message["run"])
            said.append(RunEnded(message["run"]))
        elif kind == "record":
            self._emit("plugin.record", record=message)
        elif kind == "emails":
            self._emit("plugin.emails", emails=message["emails"])
        elif kind == "manifest":
            self.manifest = messages.manifest(message, self._setup, self.plugin)
            self.passing = bool(message["passing"])
            self._slots = int(message["slots"])
            self._callbacks = {callback.key.name: callback for callback in self.manifest.callbacks}
        else:
            raise ProtocolError(f"it said {kind!r}")

    def _printed(self, text: str) -> None:
        self._emit("plugin.output", stream="output", text=text)

    def _emit(self, signal: str, **facts: Any) -> None:
        telemetry.emit(signal, site=self.plugin.key.site, plugin=self.plugin.key.name, **facts)
