"""All workers of this machine: which slot each has, which start, work and end. Decides; the I/O loop moves the bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from pathlib import Path

from callsheet import telemetry
from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Report, Run, RunEnded
from callsheet.domain.plugin import Manifest, PluginFile
from callsheet.ports import Message
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.wire import frames
from callsheet.workers import load_failures
from callsheet.workers.exits import WorkerExit, too_large
from callsheet.workers.sessions import refusals
from callsheet.workers.sessions.session import project_of
from callsheet.workers.sessions.session_calls import Call, refuse
from callsheet.workers.sessions.session_pool import Sessions
from callsheet.workers.slot import WorkerSlot
from callsheet.workers.slot_assignment import SlotAssignment
from callsheet.workers.worker import Worker

LOOK_FOR_STUCK = 1.0
"""Seconds between two looks whether a worker that was given up has ended after all."""


class WorkerPool:
    """Called under the executor's lock throughout. ``publish`` takes what is to be collected."""

    def __init__(
        self,
        setups: Mapping[str, WorkerConfig],
        archive: Path,
        publish: Callable[[Iterable[Message]], None],
        *,
        assignment: SlotAssignment,
        loading_time: float,
        ahead: int,
        memory: int | None = None,
    ) -> None:
        """``memory``: bytes past which a worker is replaced by a new one."""
        self.workers: set[Worker] = set()
        """All whose end was not noticed yet, the leaving ones included."""
        self.started: list[Worker] = []
        """Those that the pump does not watch yet."""
        self.stuck: dict[Worker, float] = {}
        """Those that were killed and given up, since they do not end, and since when (epoch)."""
        self.unsent: set[Worker] = set()
        """Those whose pipe of commands is full."""
        self._setups = setups
        self._archive = archive
        self._loading_time = loading_time
        self._ahead = ahead
        self._memory = memory
        self._publish = publish
        self._assignment = assignment
        self._slot_of_worker: dict[Worker, WorkerSlot] = {}
        self._free: dict[PluginKey, int] = {}
        self._wanting_toolkit: set[PluginKey] = set()
        self.sessions: Sessions | None = None
        """Where callbacks run that want their project's Toolkit; None: nowhere."""

    @property
    def worker_slots(self) -> Sequence[WorkerSlot]:
        """Where its plugins sit."""
        return self._assignment.worker_slots

    def load(self, plugin: PluginFile) -> None:
        """Have the plugin loaded: by a new worker if it has one, which finishes. Raises KeyError for a site without a setup."""
        if plugin.key.site not in self._setups:
            raise KeyError(f"There is no setup for site {plugin.key.site!r}, so {plugin.key} can't be loaded.")
        before = self._assignment.slot_of(plugin.key)
        if before is not None:
            self._forget(plugin.key, "a plugin in it was loaded anew")
            self._assignment.leave(plugin.key)
        slot = self._assignment.take(plugin)
        if before is not None and before is not slot:  # it had been set apart from those that it shares a worker with
            self._renew(before, "a new one was loaded")
        worker = slot.worker
        if worker is None or worker.leaving or plugin.key in worker.loaded_plugins.keys:
            self._renew(slot, "a new one was loaded")
        else:
            worker.load(plugin)
            self.mark_writable(worker)
            self._count(slot)

    def unload(self, key: PluginKey, why: str) -> None:
        """Have the plugin's worker finish and end; a new one is started for those that shared it."""
        slot = self._assignment.slot_of(key)
        if slot is None:
            return
        self._forget(key, why)
        self._assignment.leave(key)
        self._free.pop(key, None)
        self._renew(slot, why)

    def empty(self) -> None:
        """Have all workers finish and end."""
        for key in self._assignment.taken():
            self.unload(key, "the daemon stops")
        if self.sessions is not None:
            self.sessions.close("the daemon stops")

    def add(self, worker: Worker) -> None:
        """Take a started worker in."""
        self.workers.add(worker)
        self.started.append(worker)
        self.mark_writable(worker)

    def mark_writable(self, worker: Worker) -> None:
        """Something was written to the worker; what its pipe did not take is sent later."""
        if worker.process.unsent:
            self.unsent.add(worker)

    def free(self) -> dict[PluginKey, int]:
        """How many more runs each plugin can take."""
        free = dict(self._free)
        if self.sessions is not None:
            for key in self._wanting_toolkit:
                if self._is_ready(key):
                    free[key] = free.get(key, 0) + self.sessions.room_for(key)
        return {key: count for key, count in free.items() if count > 0} if self._wanting_toolkit else free

    def submit(self, runs: Sequence[Run]) -> None:
        """Hand runs out; one whose plugin has no worker now comes back at once."""
        for run in runs:
            slot = self._assignment.slot_of(run.plugin)
            worker = slot.worker if slot else None
            if slot is None or worker is None or worker.leaving or not worker.loaded_plugins.ready(run.plugin):
                self._publish([RunEnded(run.id)])
            elif worker.loaded_plugins.wants_toolkit(run):
                self._submit_to_session(slot.members[run.plugin], run)
            else:
                self._give(slot, worker, slot.quarantine.admit(run, worker.running))

    def recall(self, runs: Sequence[Run]) -> None:
        """Have workers begin nothing more of these runs; one that waits to be alone in its worker runs yet."""
        for plugin in {run.plugin for run in runs}:
            slot = self._assignment.slot_of(plugin)
            if slot is not None and slot.worker is not None:
                slot.worker.recall(plugin, [run.id for run in runs if run.plugin == plugin])
                self.mark_writable(slot.worker)
        if self.sessions is not None:
            self.sessions.recall(runs)

    def tick(self, now: float) -> float:
        """Start who is due, keep deadlines and limits. Returns the monotonic time at which to look again (inf: no need)."""
        soonest = inf
        for slot in self._assignment.worker_slots:
            if slot.start_at <= now:
                self._start(slot, now)
            if self._memory is not None and slot.worker is not None:
                self._keep_small(slot, slot.worker, self._memory)
            soonest = min(soonest, slot.start_at)
        for worker in self.workers:
            soonest = min(soonest, worker.tick(now, self._loading_time))
        self.stuck = {worker: since for worker, since in self.stuck.items() if worker.process.ended() is None}
        if self.stuck:
            soonest = min(soonest, now + LOOK_FOR_STUCK)
        return min(soonest, self.sessions.tick(now)) if self.sessions is not None else soonest

    def on_output(self, worker: Worker, data: bytes) -> bool:
        """Take in what a worker said. True when that was reports alone, so that more are to be expected at once."""
        said = worker.on_output(data)
        if worker.session_messages:
            self._take_session_messages(worker)
        slot = self._slot_of_worker.get(worker)
        if self.sessions is not None and self.sessions.on_output(worker, said):
            said = [one for one in said if type(one) is not Manifest]  # how the plugin is, its own worker says
        elif slot is not None:
            worked, worker.worked = worker.worked, {}
            for key, seconds in worked.items():
                slot.worked(key, seconds)
            said = [one for one in said if self._note(slot, worker, one)]
            self._give(slot, worker, slot.quarantine.next(worker.running) if slot.quarantine.closed else ())
        else:  # it finishes what it runs; how its plugins are, those say that came after it
            said = [one for one in said if type(one) is not Manifest]
        self._publish(said)
        return bool(said) and type(said[-1]) is Report

    def on_exit(self, worker: Worker, code: int | None) -> None:
        """Take note of a worker's end, or that it is given up (None); if it was not meant to end, another is started."""
        if code is None:
            self.stuck[worker] = time.time()
        slot = self._slot_of_worker.pop(worker, None)
        loss = worker.on_exit(code)
        self.workers.discard(worker)
        self.unsent.discard(worker)
        self._publish(loss.said)
        if self.sessions is not None:
            self.sessions.on_exit(worker, loss)
        if slot is not None:
            slot.worker = None
            self._publish(RunEnded(run.id) for run in slot.quarantine.give_up())
            slot.quarantine.suspect(loss.suspects)
            self._replace(slot, worker, loss)
            self._count(slot)

    def _replace(self, slot: WorkerSlot, worker: Worker, loss: WorkerExit) -> None:
        now = time.monotonic()
        if loss.how is None:
            if worker.loaded_plugins.passing:
                slot.try_again(now)
            return
        guilty = loss.loading.key if loss.loading else loss.culprit
        bad = slot.lost(now, loss.how, guilty, loading=loss.loading is not None, late=loss.late)
        if loss.loading is not None:
            manifest = load_failures.died_loading(loss.loading, loss.how)
            self._publish([manifest] if self._is_news(slot, manifest) else [])
        if bad and guilty is not None and len(slot.members) > 1:
            # Those that share the worker must not suffer from one that takes it down again and again.
            slot = self._assignment.apart(guilty)
            self._count(slot)
        pause = slot.start_at - now
        if pause > 0:
            names = "+".join(key.name for key in slot.members)
            facts = {"deaths": slot.backoff.in_vain, "how": loss.how, "retry_in": pause}
            telemetry.emit("worker.waiting", site=worker.site, plugin=names, **facts)

    def _loaded(self, slot: WorkerSlot, worker: Worker) -> None:
        """All its plugins are described. One of no use ends; one with a plugin whose trouble passes is followed by a new one."""
        if worker.loaded_plugins.broken:
            worker.stop("its plugin could not be loaded")
            self.mark_writable(worker)
        elif worker.loaded_plugins.passing and not worker.leaving:
            slot.try_again(time.monotonic())
        else:
            slot.backoff.ready()

    def _note(self, slot: WorkerSlot, worker: Worker, message: Message) -> bool:
        """What a message means for the slot; whether it is to be passed on."""
        if type(message) is Report:
            slot.quarantine.reported(message.delivery_id)
        elif type(message) is RunEnded:
            slot.quarantine.ended(message.run_id)
        elif type(message) is Manifest:
            if any(callback.toolkit for callback in message.callbacks):
                self._wanting_toolkit.add(message.plugin)
            if worker.loaded_plugins.loading is None:
                self._loaded(slot, worker)
            return self._is_news(slot, message)
        return True

    def _start(self, slot: WorkerSlot, now: float) -> None:
        site = next(iter(slot.members)).site
        if slot.worker is not None:
            self._renew(slot, "a plugin that could not be loaded is tried again")
        try:
            worker = Worker(self._setups[site], self._archive, self._ahead)
        except OSError as error:
            for plugin in slot.members.values():
                manifest = load_failures.can_not_start(plugin, self._setups[site], error)
                self._publish([manifest] if self._is_news(slot, manifest) else [])
            slot.try_again(now)
            slot.problem = str(error)
            return
        slot.seated(worker)
        self._slot_of_worker[worker] = slot
        for plugin in slot.members.values():
            worker.load(plugin)
        self.add(worker)

    def _keep_small(self, slot: WorkerSlot, worker: Worker, limit: int) -> None:
        if worker.memory.far_past(limit):
            worker.kill(too_large(worker.heads(), worker.memory.size or 0, limit))
        elif worker.calls > 0 and worker.memory.past(limit) and not worker.leaving:
            facts = {"pid": worker.process.pid, "memory": worker.memory.size, "limit": limit}
            telemetry.emit("worker.grown", site=worker.site, plugin=worker.name, **facts)
            self._renew(slot, f"it had grown past its memory limit of {limit / 2**20:,.0f} MB")

    def _renew(self, slot: WorkerSlot, why: str) -> None:
        """Let the slot's worker finish, and start the next one, if the slot still has members."""
        worker, slot.worker = slot.worker, None
        if worker is not None:
            del self._slot_of_worker[worker]
            self._publish(RunEnded(run.id) for run in slot.quarantine.give_up())
            self._stop(worker, why)
        slot.start_at = 0.0 if slot.members else inf
        self._count(slot)

    def _give(self, slot: WorkerSlot, worker: Worker, runs: Iterable[Run]) -> None:
        for run in runs:
            worker.give(run)
        self.mark_writable(worker)
        self._count(slot)

    def _is_ready(self, key: PluginKey) -> bool:
        slot = self._assignment.slot_of(key)
        return slot is not None and slot.worker is not None and not slot.worker.leaving and slot.worker.loaded_plugins.ready(key)

    def _count(self, slot: WorkerSlot) -> None:
        """Keep how many runs each of the slot's plugins takes, so that nobody has to ask all workers for it."""
        worker = None if slot.quarantine.closed else slot.worker
        for key in slot.members:
            count = worker.free(key) if worker else 0
            if count > 0:
                self._free[key] = count
            else:
                self._free.pop(key, None)

    def _is_news(self, slot: WorkerSlot, manifest: Manifest) -> bool:
        # Who counts how often a plugin was loaded in vain is to hear of each time.
        return manifest.plugin in slot.members and (slot.news(manifest) or manifest.passing)

    def _stop(self, worker: Worker, why: str) -> None:
        worker.stop(why)
        self.mark_writable(worker)

    def _submit_to_session(self, plugin: PluginFile, run: Run) -> None:
        if self.sessions is None:
            self._publish(refusals.no_sessions(run))
        else:
            self.sessions.submit(plugin, run, project_of(run))

    def _forget(self, key: PluginKey, why: str) -> None:
        self._wanting_toolkit.discard(key)
        if self.sessions is not None:
            self.sessions.forget(key, why)

    def _take_session_messages(self, worker: Worker) -> None:
        session_messages, worker.session_messages = worker.session_messages, []
        for message in session_messages:
            if message["is"] == "call":
                self._call(worker, message)
            elif self.sessions is not None:
                self.sessions.aside(worker, message)

    def _call(self, worker: Worker, message: frames.Message) -> None:
        slot = self._assignment.slot_of(PluginKey(worker.site, message["plugin"]))
        if self.sessions is None or slot is None:
            why = "there is no Toolkit here" if self.sessions is None else "its plugin was unloaded meanwhile"
            refuse(worker, message["call"], f"The function was not called: {why}.")
        else:
            plugin = slot.members[PluginKey(worker.site, message["plugin"])]
            function = (message["module"], message["function"], message["arguments"], message["mark"], message["timeout"])
            self.sessions.call(message["project"], Call(worker, message["call"], plugin, *function))
        self.mark_writable(worker)
