"""All workers of this machine: who sits where, who is starting, working and leaving. Decides; the pump moves the bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from pathlib import Path

from callsheet import telemetry
from callsheet.agent import protocol
from callsheet.executors import complaints
from callsheet.executors.access import WorkerSetup
from callsheet.executors.loss import Loss, too_large
from callsheet.executors.seat import Seat
from callsheet.executors.seating import Seating
from callsheet.executors.sessions import answers
from callsheet.executors.sessions.calls import Call, refuse
from callsheet.executors.sessions.session import project_of
from callsheet.executors.sessions.sessions import Sessions
from callsheet.executors.worker import Worker
from callsheet.model import Manifest, PluginFile, PluginKey, Report, Run, RunEnded
from callsheet.ports import Message

LOOK_FOR_STUCK = 1.0
"""Seconds between two looks whether a worker that was given up has ended after all."""


class Crew:
    """Called under the executor's lock throughout. ``say`` takes what is to be collected."""

    def __init__(
        self,
        setups: Mapping[str, WorkerSetup],
        archive: Path,
        say: Callable[[Iterable[Message]], None],
        *,
        seating: Seating,
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
        self._say = say
        self._seating = seating
        self._sitting: dict[Worker, Seat] = {}
        self._free: dict[PluginKey, int] = {}
        self._wanting_toolkit: set[PluginKey] = set()
        self.sessions: Sessions | None = None
        """Where callbacks run that want their project's Toolkit; None: nowhere."""

    @property
    def seats(self) -> Sequence[Seat]:
        """Where its plugins sit."""
        return self._seating.seats

    def load(self, plugin: PluginFile) -> None:
        """Have the plugin loaded: by a new worker if it has one, which finishes. Raises KeyError for a site without a setup."""
        if plugin.key.site not in self._setups:
            raise KeyError(f"There is no setup for site {plugin.key.site!r}, so {plugin.key} can't be loaded.")
        before = self._seating.seat_of(plugin.key)
        if before is not None:
            self._forget(plugin.key, "a plugin in it was loaded anew")
            self._seating.leave(plugin.key)
        seat = self._seating.take(plugin)
        if before is not None and before is not seat:  # it had been set apart from those that it shares a worker with
            self._renew(before, "a new one was loaded")
        worker = seat.worker
        if worker is None or worker.leaving or plugin.key in worker.guests.keys:
            self._renew(seat, "a new one was loaded")
        else:
            worker.load(plugin)
            self.touched(worker)
            self._count(seat)

    def unload(self, key: PluginKey, why: str) -> None:
        """Have the plugin's worker finish and end; a new one is started for those that shared it."""
        seat = self._seating.seat_of(key)
        if seat is None:
            return
        self._forget(key, why)
        self._seating.leave(key)
        self._free.pop(key, None)
        self._renew(seat, why)

    def empty(self) -> None:
        """Have all workers finish and end."""
        for key in self._seating.taken():
            self.unload(key, "the daemon stops")
        if self.sessions is not None:
            self.sessions.close("the daemon stops")

    def hire(self, worker: Worker) -> None:
        """Take a started worker in."""
        self.workers.add(worker)
        self.started.append(worker)
        self.touched(worker)

    def touched(self, worker: Worker) -> None:
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
            seat = self._seating.seat_of(run.plugin)
            worker = seat.worker if seat else None
            if seat is None or worker is None or worker.leaving or not worker.guests.ready(run.plugin):
                self._say([RunEnded(run.id)])
            elif worker.guests.wants_toolkit(run):
                self._submit_to_session(seat.members[run.plugin], run)
            else:
                self._give(seat, worker, seat.quarantine.admit(run, worker.running))

    def recall(self, runs: Sequence[Run]) -> None:
        """Have workers begin nothing more of these runs; one that waits to be alone in its worker runs yet."""
        for plugin in {run.plugin for run in runs}:
            seat = self._seating.seat_of(plugin)
            if seat is not None and seat.worker is not None:
                seat.worker.recall(plugin, [run.id for run in runs if run.plugin == plugin])
                self.touched(seat.worker)
        if self.sessions is not None:
            self.sessions.recall(runs)

    def tend(self, now: float) -> float:
        """Start who is due, keep deadlines and limits. Returns the monotonic time at which to look again (inf: no need)."""
        soonest = inf
        for seat in self._seating.seats:
            if seat.start_at <= now:
                self._start(seat, now)
            if self._memory is not None and seat.worker is not None:
                self._keep_small(seat, seat.worker, self._memory)
            soonest = min(soonest, seat.start_at)
        for worker in self.workers:
            soonest = min(soonest, worker.tend(now, self._loading_time))
        self.stuck = {worker: since for worker, since in self.stuck.items() if worker.process.ended() is None}
        if self.stuck:
            soonest = min(soonest, now + LOOK_FOR_STUCK)
        return min(soonest, self.sessions.tend(now)) if self.sessions is not None else soonest

    def heard(self, worker: Worker, data: bytes) -> bool:
        """Take in what a worker said. True when that was reports alone, so that more are to be expected at once."""
        said = worker.heard(data)
        if worker.asides:
            self._take_asides(worker)
        seat = self._sitting.get(worker)
        if self.sessions is not None and self.sessions.heard(worker, said):
            said = [one for one in said if type(one) is not Manifest]  # how the plugin is, its own worker says
        elif seat is not None:
            worked, worker.worked = worker.worked, {}
            for key, seconds in worked.items():
                seat.worked(key, seconds)
            said = [one for one in said if self._note(seat, worker, one)]
            self._give(seat, worker, seat.quarantine.next(worker.running) if seat.quarantine.closed else ())
        self._say(said)
        return bool(said) and type(said[-1]) is Report

    def gone(self, worker: Worker, code: int | None) -> None:
        """Take note of a worker's end, or that it is given up (None); if it was not meant to end, another is started."""
        if code is None:
            self.stuck[worker] = time.time()
        seat = self._sitting.pop(worker, None)
        loss = worker.gone(code)
        self.workers.discard(worker)
        self.unsent.discard(worker)
        self._say(loss.said)
        if self.sessions is not None:
            self.sessions.gone(worker, loss)
        if seat is not None:
            seat.worker = None
            self._say(RunEnded(run.id) for run in seat.quarantine.give_up())
            seat.quarantine.suspect(loss.suspects)
            self._replace(seat, worker, loss)
            self._count(seat)

    def _replace(self, seat: Seat, worker: Worker, loss: Loss) -> None:
        now = time.monotonic()
        if loss.how is None:
            if worker.guests.passing:
                seat.try_again(now)
            return
        guilty = loss.loading.key if loss.loading else loss.culprit
        bad = seat.lost(now, loss.how, guilty, loading=loss.loading is not None, late=loss.late)
        if loss.loading is not None:
            manifest = complaints.died_loading(loss.loading, loss.how)
            self._say([manifest] if self._is_news(seat, manifest) else [])
        if bad and guilty is not None and len(seat.members) > 1:
            # Those that share the worker must not suffer from one that takes it down again and again.
            seat = self._seating.apart(guilty)
            self._count(seat)
        pause = seat.start_at - now
        if pause > 0:
            names = "+".join(key.name for key in seat.members)
            facts = {"deaths": seat.in_vain, "how": loss.how, "retry_in": pause}
            telemetry.emit("worker.waiting", site=worker.site, plugin=names, **facts)

    def _loaded(self, seat: Seat, worker: Worker) -> None:
        """All its plugins are described. One of no use ends; one with a plugin whose trouble passes is followed by a new one."""
        if worker.guests.broken:
            worker.stop("its plugin could not be loaded")
            self.touched(worker)
        elif worker.guests.passing and not worker.leaving:
            seat.try_again(time.monotonic())
        else:
            seat.loaded()

    def _note(self, seat: Seat, worker: Worker, message: Message) -> bool:
        """What a message means for the seat; whether it is to be passed on."""
        if type(message) is Report:
            seat.quarantine.reported(message.delivery_id)
        elif type(message) is RunEnded:
            seat.quarantine.ended(message.run_id)
        elif type(message) is Manifest:
            if any(callback.toolkit for callback in message.callbacks):
                self._wanting_toolkit.add(message.plugin)
            if worker.guests.loading is None:
                self._loaded(seat, worker)
            return self._is_news(seat, message)
        return True

    def _start(self, seat: Seat, now: float) -> None:
        site = next(iter(seat.members)).site
        if seat.worker is not None:
            self._renew(seat, "a plugin that could not be loaded is tried again")
        try:
            worker = Worker(self._setups[site], self._archive, self._ahead)
        except OSError as error:
            for plugin in seat.members.values():
                manifest = complaints.can_not_start(plugin, self._setups[site], error)
                self._say([manifest] if self._is_news(seat, manifest) else [])
            seat.try_again(now)
            seat.problem = str(error)
            return
        seat.seated(worker)
        self._sitting[worker] = seat
        for plugin in seat.members.values():
            worker.load(plugin)
        self.hire(worker)

    def _keep_small(self, seat: Seat, worker: Worker, limit: int) -> None:
        if worker.memory.far_past(limit):
            worker.kill(too_large(worker.heads(), worker.memory.size or 0, limit))
        elif worker.calls > 0 and worker.memory.past(limit) and not worker.leaving:
            facts = {"pid": worker.process.pid, "memory": worker.memory.size, "limit": limit}
            telemetry.emit("worker.grown", site=worker.site, plugin=worker.name, **facts)
            self._renew(seat, f"it had grown past its memory limit of {limit / 2**20:,.0f} MB")

    def _renew(self, seat: Seat, why: str) -> None:
        """Let the seat's worker finish, and start the next one, if the seat still has members."""
        worker, seat.worker = seat.worker, None
        if worker is not None:
            del self._sitting[worker]
            self._say(RunEnded(run.id) for run in seat.quarantine.give_up())
            self._stop(worker, why)
        seat.start_at = 0.0 if seat.members else inf
        self._count(seat)

    def _give(self, seat: Seat, worker: Worker, runs: Iterable[Run]) -> None:
        for run in runs:
            worker.give(run)
        self.touched(worker)
        self._count(seat)

    def _is_ready(self, key: PluginKey) -> bool:
        seat = self._seating.seat_of(key)
        return seat is not None and seat.worker is not None and not seat.worker.leaving and seat.worker.guests.ready(key)

    def _count(self, seat: Seat) -> None:
        """Keep how many runs each of the seat's plugins takes, so that nobody has to ask all workers for it."""
        worker = None if seat.quarantine.closed else seat.worker
        for key in seat.members:
            count = worker.free(key) if worker else 0
            if count > 0:
                self._free[key] = count
            else:
                self._free.pop(key, None)

    def _is_news(self, seat: Seat, manifest: Manifest) -> bool:
        return manifest.plugin in seat.members and seat.news(manifest)

    def _stop(self, worker: Worker, why: str) -> None:
        worker.stop(why)
        self.touched(worker)

    def _submit_to_session(self, plugin: PluginFile, run: Run) -> None:
        if self.sessions is None:
            self._say(answers.no_sessions(run))
        else:
            self.sessions.submit(plugin, run, project_of(run))

    def _forget(self, key: PluginKey, why: str) -> None:
        self._wanting_toolkit.discard(key)
        if self.sessions is not None:
            self.sessions.forget(key, why)

    def _take_asides(self, worker: Worker) -> None:
        asides, worker.asides = worker.asides, []
        for message in asides:
            if message["is"] == "call":
                self._call(worker, message)
            elif self.sessions is not None:
                self.sessions.aside(worker, message)

    def _call(self, worker: Worker, message: protocol.Message) -> None:
        seat = self._seating.seat_of(PluginKey(worker.site, message["plugin"]))
        if self.sessions is None or seat is None:
            why = "there is no Toolkit here" if self.sessions is None else "its plugin was unloaded meanwhile"
            refuse(worker, message["call"], f"The function was not called: {why}.")
        else:
            plugin = seat.members[PluginKey(worker.site, message["plugin"])]
            function = (message["module"], message["function"], message["arguments"], message["mark"], message["timeout"])
            self.sessions.call(message["project"], Call(worker, message["call"], plugin, *function))
        self.touched(worker)
