"""All sessions of this machine: opened when wanted, renewed when what they are made of changes, ended to make room."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from math import inf
from pathlib import Path
from threading import RLock
from typing import Any

from callsheet.errors import ToolkitError
from callsheet.executors.access import WorkerSetup
from callsheet.executors.loss import Loss, too_large
from callsheet.executors.opening import Opening
from callsheet.executors.sessions import answers, circles, telling
from callsheet.executors.sessions.calls import Call, Calls
from callsheet.executors.sessions.places import Places
from callsheet.executors.sessions.search import Search
from callsheet.executors.sessions.session import Limits, Session, SessionKey, Wanted
from callsheet.executors.worker import Worker
from callsheet.model import PluginFile, PluginKey, Report, Run, RunEnded
from callsheet.ports import Message
from callsheet.projects import Project

LOOK_AGAIN = 1.0
"""Seconds for which a session is taken to be up to date after a look at what it is made of."""

GRUDGE = 2.0
"""Seconds for which a project that could not be opened is not tried again: what comes for it meanwhile fails in the same way."""

_ENDING = "The daemon ends, and opens no session any more."

AHEAD = 64
"""Runs of a plugin that wait for sessions or are in them. More would only be taken from the ledger to wait here."""


class Sessions:
    """Called under the executor's lock throughout; what others find out in threads of their own takes the lock first."""

    def __init__(
        self,
        setups: Mapping[str, WorkerSetup],
        archive: Path,
        search: Search,
        limits: Limits,
        lock: RLock,
        *,
        say: Callable[[Iterable[Message]], None],
        hire: Callable[[Worker], None],
        touched: Callable[[Worker], None],
        ring: Callable[[], None],
    ) -> None:
        """``say`` takes what is to be collected, ``hire`` a started worker into the crew, ``touched`` one that was written to;
        ``ring`` has ``tend`` called soon, by the thread that starts workers.
        """
        self._setups = setups
        self._archive = archive
        self._search = search
        self._limits = limits
        self._lock = lock
        self._say = say
        self._hire = hire
        self._touched = touched
        self._ring = ring
        self._sessions: dict[SessionKey, Session] = {}
        self._sitting: dict[Worker, Session] = {}
        self._places = Places(limits.most)
        self._calls = Calls(touched, time.monotonic)
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
            self._say(answers.no_project(run))
        else:
            self._want(self._session(SessionKey(run.plugin.site, project)), Wanted(plugin, run))

    def call(self, project: int | str, call: Call) -> None:
        """Have a function called in the session of a project, by id or name."""
        site = call.caller.site
        if self._closed:
            self._calls.failed(call, "SessionLost", _ENDING, lost=True)
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
        session.warm, session.troubled_at = True, -inf  # whoever asks has mended what was wrong
        self._advance(session)

    def retire(self, site: str, project: int | str, why: str) -> None:
        """End a project's session, by id or name, after what it runs. What waits for it, or comes later, gets a new one."""
        session = self._known(site, project)
        if session is not None:
            session.warm = False
            self._stop(session, why)

    def forget(self, plugin: PluginKey, why: str) -> None:
        """The plugin was unloaded, or loaded anew: what waits comes back, and no session keeps its old code."""
        for session in self._sessions.values():
            for one in [one for one in session.waiting if isinstance(one, Wanted) and one.plugin.key == plugin]:
                session.waiting.remove(one)
                self._say([RunEnded(one.run.id)])
            if session.hosts(plugin):
                self._stop(session, why)

    def recall(self, runs: Iterable[Run]) -> None:
        """Have nothing more of these begun."""
        for run in runs:
            for session in self._sessions.values():
                waiting = next((one for one in session.waiting if isinstance(one, Wanted) and one.run.id == run.id), None)
                if waiting is not None:
                    session.waiting.remove(waiting)
                    self._say([RunEnded(run.id)])
                elif session.worker is not None and session.hosts(run.plugin):
                    session.worker.recall(run.plugin, [run.id])
                    self._touched(session.worker)

    def close(self, why: str) -> None:
        """End all; what waits comes back."""
        self._closed = True
        self._search.close()
        for session in self._sessions.values():
            while session.waiting:
                one = session.waiting.popleft()
                if isinstance(one, Wanted):
                    self._say([RunEnded(one.run.id)])
                else:
                    self._calls.failed(one, "SessionLost", _ENDING, lost=True)
            self._stop(session, why)

    def tend(self, now: float) -> float:
        """Start who is due, end who has outlived itself or takes too long. Returns when to look again."""
        soonest = inf
        for session in list(self._sessions.values()):
            if session.due and not self._closed:
                self._start(session)
            worker = session.worker
            if worker is None:
                continue
            limit = self._limits.memory
            if limit is not None and worker.memory.far_past(limit):
                worker.kill(too_large(worker.heads(), worker.memory.size or 0, limit))
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
        session = self._sitting.get(worker)
        if session is None or message["is"] in ("called", "answer"):
            self._calls.heard(message)
            if session is not None and message["is"] == "answer":
                session.calls += 1
        elif message["is"] == "opened":
            session.opens()
            telling.opened(session, message)
        else:
            self._failed(session, answers.of_worker(message))

    def heard(self, worker: Worker, said: Iterable[Message]) -> bool:
        """What a worker's messages mean for its session; False if it is no session's worker."""
        session = self._sitting.get(worker)
        if session is None:
            return False
        session.calls += sum(1 for one in said if type(one) is Report)
        session.used_at = time.monotonic()
        self._serve(session)
        self._admit()
        return True

    def gone(self, worker: Worker, loss: Loss) -> bool:
        """Take note of a worker's end; False if it is no session's."""
        self._calls.lost(worker, loss)
        session = self._sitting.pop(worker, None)
        if session is None:
            return False
        session.worker, session.since = None, time.time()
        if loss.how is not None:
            session.losses += 1
            if worker.opened is None:
                self._failed(session, answers.died_opening(session, loss.how))
            elif loss.loading is not None:
                self._fail(session, answers.died_loading(session, loss.loading.key, loss.how), loss.loading.key)
        self._advance(session)
        self._admit()
        return True

    def _known(self, site: str, project: int | str) -> Session | None:
        return next((one for one in self._sessions.values() if one.key.site == site and project in one.called), None)

    def _session(self, key: SessionKey) -> Session:
        return self._sessions.setdefault(key, Session(key))

    def _want_answer(self, session: Session, call: Call) -> None:
        why = circles.closes(call, session, self._sessions.values(), self._calls.pairs(), self._limits.most)
        if why is None:
            self._want(session, call)
        else:
            self._calls.failed(call, "SessionLost", f"The function was not called: {why}.", lost=True)

    def _want(self, session: Session, one: Wanted | Call) -> None:
        session.waiting.append(one)
        session.used_at = time.monotonic()
        self._advance(session)

    def _advance(self, session: Session) -> None:
        """Bring a session one step nearer to serving what waits for it."""
        if self._closed:
            return
        if session.worker is not None:
            self._serve(session)
        elif session.trouble is not None and time.monotonic() - session.troubled_at < GRUDGE:
            self._fail(session, session.trouble)
        elif (session.waiting or session.warm) and not session.live:
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
        session.searching, session.warm = True, False
        telling.opening(session)
        self._search.find(*session.key, lambda found: self._found(session, found))

    def _found(self, session: Session, found: Opening | ToolkitError) -> None:
        with self._lock:
            session.searching = False
            if isinstance(found, ToolkitError):
                self._failed(session, found)
                self._admit()
            else:
                session.opening, session.due, session.name = found, True, str(found.project)
            self._ring()

    def _named(self, site: str, project: str, found: Project | ToolkitError, call: Call | None = None) -> None:
        with self._lock:
            if isinstance(found, Project):
                if call is None:
                    self.warm(site, found.id)
                else:
                    self.call(found.id, call)
            elif call is None:
                telling.failed(site, project, found)
            else:
                self._calls.failed(call, "ToolkitError", str(found), traceback=found.traceback, lost=found.passing)
            self._ring()

    def _start(self, session: Session) -> None:
        opening = session.opening
        assert opening is not None
        session.due = False
        try:
            worker = Worker(self._setups[session.key.site], self._archive, AHEAD, opening)
        except OSError as error:
            self._failed(session, answers.can_not_start(session, opening, error))
            self._admit()
            return
        session.worker, session.since = worker, time.time()
        session.looked_at = session.used_at = time.monotonic()
        self._sitting[worker] = session
        self._hire(worker)

    def _serve(self, session: Session) -> None:
        """Give the worker what waits, once it is open, and known to be up to date."""
        worker = session.worker
        if worker is None or session.opening is None or not session.open or not session.waiting or session.searching:
            return
        if time.monotonic() - session.looked_at > LOOK_AGAIN:
            session.searching = True
            self._search.look(session.key.site, session.opening, lambda changed: self._looked(session, changed))
            return
        for one in session.ready():
            if isinstance(one, Call):
                self._calls.give(one, worker)
            elif worker.guests.ready(one.plugin.key):
                worker.give(one.run)
            else:
                self._say(answers.not_loaded(one.run, session, worker))
        self._touched(worker)

    def _looked(self, session: Session, changed: str | None) -> None:
        with self._lock:
            session.searching = False
            session.looked_at = time.monotonic()
            if changed is not None:
                telling.outdated(session, changed)
                self._stop(session, f"{changed} has changed")
            self._advance(session)
            self._admit()
            self._ring()

    def _stop(self, session: Session, why: str) -> None:
        worker = session.worker
        if worker is not None and not worker.leaving:
            worker.stop(why)
            self._touched(worker)

    def _failed(self, session: Session, trouble: ToolkitError) -> None:
        session.fails(trouble)
        telling.failed(*session.key, trouble)
        self._fail(session, trouble)

    def _fail(self, session: Session, trouble: ToolkitError, only: PluginKey | None = None) -> None:
        """Nothing comes of what waits: all of it, or what is of one plugin."""
        for one in [one for one in session.waiting if only in (None, one.plugin.key)]:
            session.waiting.remove(one)
            if isinstance(one, Call):
                self._calls.failed(one, "ToolkitError", str(trouble), traceback=trouble.traceback, lost=trouble.passing)
            else:
                self._say(answers.failed(one.run, trouble))
