"""One worker as the daemon sees it: what it was given, what it said, and what its death means."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

from callsheet import telemetry
from callsheet.agent import stdio
from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Delivery, Failure, Run, RunEnded, Verdict
from callsheet.domain.plugin import PluginFile
from callsheet.errors import ProtocolError
from callsheet.ports import Message
from callsheet.runtimes.session_spec import SessionSpec
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.wire import frames
from callsheet.workers import exits, worker_messages
from callsheet.workers.exits import KillReason, WorkerExit
from callsheet.workers.in_flight import InFlightRuns
from callsheet.workers.loaded_plugins import LoadedPlugins, imported, on_main_thread
from callsheet.workers.memory_limit import Memory
from callsheet.workers.output_lines import OutputLines
from callsheet.workers.process import Process, in_words

END_GRACE = 10.0
"""Seconds that a worker which was told to stop, and runs nothing, may take to end."""

KILL_TIME = 5.0
"""Seconds that a killed worker may take to be gone; one that sleeps in the kernel, on a share that hangs, outlives any signal."""

STACK_TIME = 0.25
"""Seconds that a worker past a deadline gets to write its stacks before it is killed."""

EXIT_TIME = 0.25
"""Seconds that a worker may live on once it has closed its pipe of reports, as it does when it ends."""


class Worker:
    """A started worker. Its methods are called under the executor's lock.

    ``on_output`` and ``on_exit`` return what is to be collected.
    """

    def __init__(self, setup: WorkerConfig, archive: Path, ahead: int, opening: SessionSpec | None = None) -> None:
        """Start the process, without plugins yet; ``opening``: the Toolkit that it has. Raises OSError when that can't be done."""
        self.loaded_plugins = LoadedPlugins(setup)
        if opening is None:
            self.process = Process(archive, setup.python, setup.process_environ())
        else:
            self.process = Process(archive, opening.python or setup.python, opening.environ)
        self.opened: frames.Message | None = None
        """What its Toolkit is, once it has one."""
        self.session_messages: list[frames.Message] = []
        """What it said of calls and of its Toolkit; whoever takes note of it empties this."""
        self.calls_under_way = 0
        self.site = setup.site
        self.project = None if opening is None else opening.project.id
        self.calls = 0
        """Deliveries that it reported."""
        self.memory = Memory(self.process)
        self.since = time.time()
        self._setup = setup
        self._opening = opening
        self._in_flight = InFlightRuns()
        self._ahead = ahead
        self._buffer = bytearray()
        self._lines = OutputLines(self._on_print)
        self._loading_since = self._stirred = time.monotonic()
        self.silent_since: float | None = None
        """When it closed its pipe of reports: it ends, or a plugin did that, and it is of no use any more."""
        self.worked: dict[PluginKey, float] = {}
        """Plugins whose deliveries came to an end, and for how many seconds these ran, until somebody takes note."""
        self.longest = self._in_flight.longest
        self.next_deadline = self._next_deadline
        self._stopping: str | None = None
        self._quiet_since: float | None = None
        self._late: tuple[frozenset[int], float] | None = None
        self._killed: KillReason | None = None
        self.stuck_at = inf
        """The monotonic time at which nobody waits for its end any more, though it was killed."""
        self.process.send(frames.encode(worker_messages.setup_message(setup, opening.told if opening else None)))
        if opening is not None:
            self._emit("worker.started", pid=self.process.pid)

    @property
    def name(self) -> str:
        """Its plugins' names; of a session's, its project's."""
        if self._opening is not None:
            return f"Toolkit of {self._opening.project.name}"
        return "+".join(key.name for key in self.loaded_plugins.keys)

    @property
    def leaving(self) -> bool:
        """It takes no runs any more."""
        return self._stopping is not None or self._killed is not None

    @property
    def occupied(self) -> bool:
        """It has something to do."""
        return len(self._in_flight) > 0 or self.calls_under_way > 0 or self.loaded_plugins.loading is not None

    @property
    def running(self) -> int:
        """How many runs it has."""
        return len(self._in_flight)

    def load(self, plugin: PluginFile) -> None:
        """Have it load a plugin, in addition to those it has."""
        if self.loaded_plugins.loading is None:
            self._loading_since = time.monotonic()
        first = not self.loaded_plugins.keys and self._opening is None
        self.loaded_plugins.add(plugin)
        self.process.send(frames.encode(worker_messages.load_message(self._setup, plugin)))
        if first:
            self._emit("worker.started", pid=self.process.pid)

    def free(self, key: PluginKey) -> int:
        """How many more runs of that plugin it takes."""
        return 0 if self.leaving else self.loaded_plugins.free(key, self._ahead)

    def give(self, run: Run) -> None:
        """Hand a run to it."""
        if not self._in_flight:
            self._stirred = time.monotonic()
        calls = worker_messages.calls_of(run, self.loaded_plugins.callbacks)
        self._in_flight.add(run, calls)
        self.loaded_plugins.given(run.plugin)
        self.process.send(worker_messages.run_frame(run, self.loaded_plugins.callbacks, calls))

    def recall(self, plugin: PluginKey, runs: Sequence[int]) -> None:
        """Take back what it has not begun of these runs, each of which it may have ended by now."""
        if not self.leaving and self.loaded_plugins.ready(plugin):
            self.process.send(worker_messages.recall_frame(plugin.name, runs))

    def stop(self, why: str) -> None:
        """Let it finish what it runs, give back the rest, and end. One that only loads has nothing to finish."""
        if self._stopping is None:
            self._stopping = why
            self.process.send(worker_messages.STOP)
            if self._getting_ready and not self._in_flight and not self.calls_under_way:
                self.kill()

    def kill(self, why: KillReason | None = None) -> None:
        """Kill it."""
        self._note_kill(why or KillReason())
        self.process.kill()

    def on_output(self, data: bytes) -> list[Message]:
        """Take in bytes from the pipe of reports. A worker that talks nonsense is killed."""
        self._buffer += data
        self._stirred = time.monotonic()
        said: list[Message] = []
        try:
            for message in frames.split(self._buffer):
                self._take(message, said)
        except Exception as error:  # noqa: BLE001 - whatever it says, and however odd, it is its own end and nobody else's
            self._buffer.clear()
            self.kill(exits.nonsense(self.heads(), self.name, error))
        return said

    def on_print(self, data: bytes) -> None:
        """Take in bytes from the pipe of what the plugins print; empty at its end."""
        if data:
            self._lines.feed(data)
        else:
            self._lines.close()

    def tick(self, now: float, loading_time: float) -> float:
        """Keep deadlines at the monotonic time ``now``; returns when to look again (inf: not before something happens)."""
        if self._killed:
            return self.stuck_at
        soonest = min(self.memory.look(now), self._keep_deadlines(now), self._keep_going(now, loading_time))
        if self._stopping is not None and not self._in_flight and not self.calls_under_way:
            self._quiet_since = self._quiet_since or now
            soonest = min(soonest, self._quiet_since + END_GRACE)
            if self._quiet_since + END_GRACE <= now:
                self.kill()
        return soonest

    def heads(self) -> list[Delivery]:
        """The deliveries that are being called in it."""
        return self._in_flight.heads()

    def on_exit(self, code: int | None) -> WorkerExit:
        """Settle its affairs after it ended with ``code``; None: it was killed, does not end, and is given up."""
        if code is None:
            self._emit("worker.stuck", pid=self.process.pid, seconds=KILL_TIME)
            code = -signal.SIGKILL
        how = in_words(code)
        heads, loading = self._in_flight.heads(), self.loaded_plugins.loading
        killed = self._killed
        if killed is None or (killed.kind == exits.CLOSED and code != -signal.SIGKILL):  # or it was only slow in ending
            killed = exits.hung_up(heads) if code == stdio.CUT_OFF else KillReason(frozenset(head.id for head in heads))
        suspects: list[Delivery] = []
        culprits = killed.culprits
        if killed.verdict is Verdict.CRASHED and len(culprits) + (loading is not None) > 1:
            culprits, suspects = frozenset(), [head for head in heads if head.id in culprits]
        text = killed.why or f"The worker {how} during this delivery. Look at the plugin's log for its last words."
        stacks = self.process.stacks()
        said = self._in_flight.lost(culprits, killed.verdict, Failure(killed.kind, text, stacks))
        if not culprits and not suspects and (self._stopping is not None or self._of_no_use):
            self._emit("worker.retired", pid=self.process.pid, why=self._stopping or "its plugin could not be loaded")
            return WorkerExit(said, stacks=stacks)
        blamed = next((head for head in heads if head.id in culprits), None)
        self._emit("worker.lost", pid=self.process.pid, how=killed.why or how, delivery_id=blamed.id if blamed else None)
        return WorkerExit(
            said,
            killed.why or how,
            suspects,
            None if heads else loading,
            blamed.callback.plugin if blamed else None,
            late=killed.verdict is Verdict.TIMEOUT,
            stacks=stacks,
        )

    def _note_kill(self, why: KillReason) -> None:
        if self._killed is None:
            self._killed, self.stuck_at = why, time.monotonic() + KILL_TIME

    @property
    def _getting_ready(self) -> bool:
        return self.loaded_plugins.loading is not None or (self._opening is not None and self.opened is None)

    @property
    def _of_no_use(self) -> bool:
        return bool(self.loaded_plugins.keys) and self.loaded_plugins.broken and self._opening is None

    def _next_deadline(self, now: float) -> float:
        late, soonest = self._in_flight.overdue(self.loaded_plugins.callbacks, now)
        return now if late else soonest

    def _keep_deadlines(self, now: float) -> float:
        late, soonest = self._in_flight.overdue(self.loaded_plugins.callbacks, now)
        if not late:
            self._late = None
            return soonest
        ids = frozenset(one.id for one in late)
        if self._late is None or not self._late[0] <= ids:
            self._late = (ids, now + STACK_TIME)
            self.process.ask_for_stacks()
        if self._late[1] <= now:
            self.kill(exits.too_late(late))
        return min(soonest, self._late[1])

    def _keep_going(self, now: float, patience: float) -> float:
        """Kill it if it can't be expected to do anything any more. Returns when to look again."""
        heads = self._in_flight.heads()
        due, why = inf, exits.begins_nothing(patience)
        if self.silent_since is not None:
            due, why = self.silent_since + EXIT_TIME, exits.hung_up(heads)
        elif self.calls_under_way:
            return inf
        elif self._getting_ready:
            # Behind a call on the main thread the plugin is not being loaded yet.
            if not any(on_main_thread(self.loaded_plugins, head.callback.plugin) for head in heads):
                patience = self._opening.patience if self._opening is not None and self.opened is None else patience
                due, why = self._loading_since + patience, exits.loading_too_long(patience)
        elif self._in_flight and not heads:
            due = self._stirred + patience
        if due > now:
            return due
        if self.silent_since is not None:  # what it left behind may go on
            self._note_kill(why)
            self.process.kill_alone()
        else:
            self.kill(why)
        return inf

    def _take(self, message: frames.Message, said: list[Message]) -> None:
        kind = message["is"]
        if kind == "report":
            report = worker_messages.report(message, self.since)
            plugin = self._in_flight.reported(report)
            self.worked[plugin] = self.worked.get(plugin, 0.0) + report.ended - report.started
            self.calls += 1
            said.append(report)
        elif kind == "begun":
            self._in_flight.begun(message["run"])
        elif kind == "ended":
            plugin = self._in_flight.ended(message["run"])
            self.loaded_plugins.ended(plugin)
            if on_main_thread(self.loaded_plugins, plugin):
                self._loading_since = time.monotonic()
            said.append(RunEnded(message["run"]))
        elif kind in ("record", "emails"):
            self._tell(message)
        elif kind == "imported":
            said.append(imported(self.loaded_plugins, message))
        elif kind == "manifest":
            was_loading = self.loaded_plugins.loading is not None  # else the plugin has registered one more callback
            self._loading_since = time.monotonic()
            said.append(self.loaded_plugins.take(message))
            if was_loading and self.loaded_plugins.loading is None:
                self.memory.settle()
        elif kind in worker_messages.ASIDES:
            self._take_session_message(message)
        else:
            raise ProtocolError(f"it said {kind!r}")

    def _tell(self, message: frames.Message) -> None:
        if message["is"] == "record":
            record = worker_messages.record(message, self.since)
            telemetry.emit("plugin.record", site=self.site, plugin=str(message.get("plugin") or self.name), record=record)
        else:
            telemetry.emit("plugin.emails", site=self.site, plugin=str(message["plugin"]), emails=worker_messages.emails(message))

    def _take_session_message(self, message: frames.Message) -> None:
        self.session_messages.append(worker_messages.aside(message))
        if message["is"] == "opened":
            self.opened = message
            self._loading_since = time.monotonic()
            self.memory.settle()
        elif message["is"] == "trouble":
            self._stopping = "its Toolkit could not be opened"
        elif message["is"] == "spoiled":
            self._stopping = f"the plugin {message['plugin']} {message['problem']}"

    def _on_print(self, text: str) -> None:
        telemetry.emit("plugin.output", site=self.site, plugin=self._speaker(), stream="output", text=text)

    def _speaker(self) -> str:
        """Whose plugin prints: the one that runs, as far as that can be told from outside."""
        names = {head.callback.plugin.name for head in self._in_flight.heads()}
        if len(names) == 1:
            return names.pop()
        loading = self.loaded_plugins.loading
        return loading.key.name if loading else next((key.name for key in self.loaded_plugins.keys), self.name)

    def _emit(self, signal: str, **facts: Any) -> None:
        telemetry.emit(signal, site=self.site, plugin=self.name, **facts)
