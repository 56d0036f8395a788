"""All sessions of this machine: opened when wanted, renewed when what they are made of changes, ended to make room."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Report, Run, RunEnded
from callsheet.domain.plugin import PluginFile
from callsheet.domain.toolkit_entities import Project
from callsheet.errors import ToolkitError
from callsheet.ports import Message
from callsheet.runtimes.session_spec import SessionSpec
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.workers.exits import WorkerExit, ended
from callsheet.workers.loaded_plugins import passes
from callsheet.workers.sessions import deadlock, refusals, session_signals
from callsheet.workers.sessions.admission import Places
from callsheet.workers.sessions.background import Search
from callsheet.workers.sessions.session import (
    AHEAD,
    ENDING,
    QueuedRun,
    Session,
    SessionKey,
    SessionLimits,
    abandon,
    is_given_up,
    is_stale,
    search,
)
from callsheet.workers.sessions.session_calls import Call, Calls
from callsheet.workers.worker import Worker


class Sessions:
    """Called under the executor's lock throughout."""

    def __init__(
        self,
        setups: Mapping[str, WorkerConfig],
        archive: Path,
        search: Search,
        limits: SessionLimits,
        *,
        publish: Callable[[Iterable[Message]], None],
        add: Callable[[Worker], None],
        mark_writable: Callable[[Worker], None],
    ) -> None:
        """``publish`` takes what is to be collected, ``add`` a started worker, ``mark_writable`` one that was written to."""
        self._setups = setups
        self._archive = archive
        self._search = search
        self._limits = limits
        self._publish = publish
        self._add = add
        self._mark_writable = mark_writable
        self._sessions: dict[SessionKey, Session] = {}
        self._slot_of_worker: dict[Worker, Session] = {}
        self._places = Places(limits.most)
        self._calls = Calls(mark_writable, time.monotonic)
        self.under_way = self._calls.under_way
        self._closed = False

    @property
    def all(self) -> Iterable[Session]:
        """Of every project that was asked for."""
        return self._sessions.values()

    def room_for(self, key: PluginKey) -> int:
        """How many more runs of a plugin are taken."""
        return AHEAD - sum(one.held(key) for one in self._sessions.values())

    def submit(self, plugin: PluginFile, run: Run, project: int | None) -> None:
        """Have a run carried out in a project's session."""
        if project is None:
            self._publish(refusals.no_project(run))
        else:
            self._want(self._session(SessionKey(run.plugin.site, project)), QueuedRun(plugin, run))

    def call(self, project: int | str, call: Call) -> None:
        """Have a function called in the session of a project, by id or name."""
        site = call.caller.site
        if self._closed or call.caller.process.commands < 0:  # or the caller died while its project was looked for
            self._calls.failed(call, "SessionLost", ENDING, lost=True)
        elif isinstance(project, int):
            self._want_answer(self._session(SessionKey(site, project)), call)
        elif (known := self._known(site, project)) is not None:
            self._want_answer(known, call)
        else:
            self._search.name(site, project, lambda found: self._named(site, project, found, call))

    def warm(self, site: str, project: int | str) -> None:
        """Open a project's session ahead of time; by name, once it is known which that is."""
        if isinstance(project, str):
            self._search.name(site, project, lambda found: self._named(site, project, found))
            return
        session = self._session(SessionKey(site, project))
        session.warm = True
        session.forgive()
        self._advance(session)

    def retire(self, site: str, project: int | str, why: str, *, at_once: bool = False) -> None:
        """End a project's session, by id or name, after what it runs. What waits for it, or comes later, gets a new one."""
        session = self._known(site, project)
        if session is not None:
            session.warm = False
            self._stop(session, why)
            if at_once and session.worker is not None:
                session.worker.kill(ended(session.worker.heads()))

    def forget(self, plugin: PluginKey, why: str) -> None:
        """The plugin was unloaded, or loaded anew: what waits comes back, and no session keeps its old code."""
        for session in self._sessions.values():
            self._publish(RunEnded(run.id) for run in session.take_back(lambda one: one.plugin == plugin))
            session.forgive(plugin)
            if session.hosts(plugin):
                self._stop(session, why)

    def recall(self, runs: Iterable[Run]) -> None:
        """Have nothing more of these begun."""
        ids = {run.id: run.plugin for run in runs}
        for session in self._sessions.values():
            back = {run.id for run in session.take_back(lambda one: one.id in ids)}
            self._publish(map(RunEnded, back))
            for number, plugin in ids.items():
                if number not in back and session.worker is not None and session.hosts(plugin):
                    session.worker.recall(plugin, [number])
                    self._mark_writable(session.worker)

    def close(self, why: str) -> None:
        """End all; what waits comes back."""
        self._closed = True
        self._search.close()
        for session in self._sessions.values():
            self._publish(RunEnded(run.id) for run in session.take_back(lambda _: True))
            for one in session.waiting:
                if isinstance(one, Call):  # as all that are left
                    self._calls.failed(one, "SessionLost", ENDING, lost=True)
            session.waiting.clear()
            self._stop(session, why)

    def tick(self, now: float) -> float:
        """Start who is due, end who has outlived itself or takes too long. Returns when to look again."""
        soonest = inf
        for session in list(self._sessions.values()):
            if session.due and not self._closed:
                self._start(session)
            wanted_at = session.wanted_at()
            if wanted_at > now:
                soonest = min(soonest, wanted_at)
            elif session.waiting and not session.searching:
                self._advance(session)
            worker = session.worker
            if worker is None:
                continue
            why = session.outlived(self._limits, now)
            if why is not None:
                self._stop(session, why)
            soonest = min(soonest, self._calls.keep_deadlines(worker, now))
            if session.idle:
                soonest = min(soonest, session.used_at + self._limits.idle)
        self._make_room(now)
        return soonest

    def aside(self, worker: Worker, message: Mapping[str, Any]) -> None:
        """What a session's worker says of itself, and of calls."""
        session = self._slot_of_worker.get(worker)
        if session is None or message["is"] in ("called", "answer"):
            done = self._calls.on_output(message)
            if session is not None and done is not None:
                session.calls += 1
                session.worked(done)
        elif message["is"] == "trouble" and session.opening is not None:
            search(session)
            self._search.doubt(session.opening, refusals.of_worker(message), lambda found: self._found(session, found))
        else:
            session_signals.said(session, message)

    def on_output(self, worker: Worker, said: Iterable[Message]) -> bool:
        """What a worker's messages mean for its session; False if it is no session's worker."""
        session = self._slot_of_worker.get(worker)
        if session is None:
            return False
        session.calls += sum(1 for one in said if type(one) is Report)
        session.worked(*worker.worked)
        worker.worked = {}
        session.used_at = time.monotonic()
        self._serve(session)
        self._admit()
        return True

    def on_exit(self, worker: Worker, loss: WorkerExit) -> bool:
        """Take note of a worker's end; False if it is no session's."""
        called = self._calls.lost(worker, loss)
        for one in self._sessions.values():
            abandon(one, worker)
        session = self._slot_of_worker.pop(worker, None)
        if session is None:
            return False
        session.worker, session.since = None, time.time()
        if loss.how is not None:
            session_signals.lost(session, worker, loss, session.lost(worker, loss, called))
            if worker.opened is None:
                self._failed(session, refusals.died_opening(session, loss.how))
            elif loss.loading is not None and called.plugin is None:  # else it waits behind a call
                self._fail(session, refusals.died_loading(session, loss.loading.key, loss.how), loss.loading.key)
        for call in called.back:
            self.call(session.key.project, call)
        self._advance(session)
        self._admit()
        return True

    def _known(self, site: str, project: int | str) -> Session | None:
        return next((one for one in self._sessions.values() if one.key.site == site and project in one.called), None)

    def _session(self, key: SessionKey) -> Session:
        return self._sessions.setdefault(key, Session(key))

    def _want_answer(self, session: Session, call: Call) -> None:
        why = deadlock.closes(call, session, self._sessions.values(), self._calls.pairs(), self._limits.most)
        if why is None:
            self._want(session, call)
        else:
            self._calls.failed(call, "SessionLost", f"The function was not called: {why}.", lost=True)

    def _want(self, session: Session, one: QueuedRun | Call) -> None:
        session.waiting.append(one)
        session.used_at = time.monotonic()
        self._advance(session)

    def _advance(self, session: Session) -> None:
        """Bring a session one step nearer to serving what waits for it."""
        if self._closed:
            return
        if session.worker is not None:
            self._serve(session)
        elif session.trouble is not None and is_given_up(session):
            self._fail(session, session.trouble)
        elif time.monotonic() >= session.wanted_at() and not session.live:
            if self._places.ask(session, self._live()):
                self._find(session)
            else:
                self._make_room(time.monotonic())

    def _admit(self) -> None:
        if not self._closed:
            for session in self._places.admitted(self._live()):
                self._find(session)
            self._make_room(time.monotonic())

    def _make_room(self, now: float) -> None:
        displaced = self._places.displaced(self._sessions.values(), now)
        if displaced is not None:
            self._stop(displaced, "another project needs its place, and it was the least recently used")

    def _live(self) -> int:
        return sum(1 for one in self._sessions.values() if one.live)

    def _find(self, session: Session) -> None:
        search(session)
        session.warm = False
        session_signals.opening(session)
        self._search.find(*session.key, lambda found: self._found(session, found))

    def _found(self, session: Session, found: SessionSpec | ToolkitError) -> None:
        session.searching = False
        if isinstance(found, ToolkitError):
            self._failed(session, found)
            self._admit()
        else:
            session.opening, session.due, session.name = found, True, str(found.project)

    def _named(self, site: str, project: str, found: Project | ToolkitError, call: Call | None = None) -> None:
        if isinstance(found, Project):
            if call is None:
                self.warm(site, found.id)
            else:
                self.call(found.id, call)
        elif call is None:
            session_signals.failed(site, project, found)
        else:
            self._calls.failed(call, "ToolkitError", str(found), traceback=found.traceback, lost=found.passing)

    def _start(self, session: Session) -> None:
        opening = session.opening
        assert opening is not None
        session.due = False
        try:
            worker = Worker(self._setups[session.key.site], self._archive, AHEAD, opening)
        except OSError as error:
            self._found(session, refusals.can_not_start(session, opening, error))
            return
        session.worker, session.since = worker, time.time()
        session.looked_at = session.used_at = time.monotonic()
        self._slot_of_worker[worker] = session
        self._add(worker)

    def _serve(self, session: Session) -> None:
        """Give the worker what waits, once it is open, and known to be up to date."""
        worker = session.worker
        if worker is None or session.opening is None or not session.open or session.searching:
            return
        if session.wanted_at() <= time.monotonic() and is_stale(session):
            search(session)
            self._search.look(session.key.site, session.opening, lambda changed: self._looked(session, changed))
            return
        for one in session.ready():
            if isinstance(one, Call):
                self._calls.give(one, worker)
            elif worker.loaded_plugins.ready(one.plugin.key):
                worker.give(one.run)
            else:
                self._publish(refusals.not_loaded(one.run, session, worker))
                if passes(worker.loaded_plugins, one.plugin.key):
                    self._stop(session, f"the plugin {one.plugin.key.name} could not be loaded in it, and may be in the next one")
        self._mark_writable(worker)

    def _looked(self, session: Session, changed: str | None) -> None:
        session.searching = False
        session.looked_at = time.monotonic()
        if changed is not None:
            session_signals.outdated(session, changed)
            self._stop(session, f"{changed} has changed")
        self._advance(session)
        self._admit()

    def _stop(self, session: Session, why: str) -> None:
        worker = session.worker
        if worker is not None and not worker.leaving:
            worker.stop(why)
            self._mark_writable(worker)

    def _failed(self, session: Session, trouble: ToolkitError) -> None:
        session.fails(trouble)
        session_signals.failed(*session.key, trouble)
        self._fail(session, trouble)

    def _fail(self, session: Session, trouble: ToolkitError, only: PluginKey | None = None) -> None:
        """Nothing comes of what waits: all of it, or what is of one plugin."""
        for one in [one for one in session.waiting if only in (None, one.plugin.key)]:
            session.waiting.remove(one)
            if isinstance(one, Call):
                self._calls.failed(one, "ToolkitError", str(trouble), traceback=trouble.traceback, lost=trouble.passing)
            else:
                self._publish(refusals.failed(one.run, trouble, begun=only is not None))
