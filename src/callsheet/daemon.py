"""Builds the daemon out of its settings: the only place that knows which adapter serves which port."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence

from shotgun_api3.shotgun import __version__ as api_version

from callsheet import telemetry
from callsheet.composition import finder, worker_setups
from callsheet.domain.callback import PluginKey
from callsheet.domain.operation import DaemonCommand, Verb
from callsheet.domain.overview import Heartbeat
from callsheet.errors import LedgerLostError, StateError
from callsheet.first_start import FirstStart
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.pid_file import pid_file
from callsheet.ports import EventLog
from callsheet.services.dispatch import Dispatch
from callsheet.services.heartbeat import HeartbeatService, MailHealth, MaintenanceService
from callsheet.services.intake import IntakeService
from callsheet.services.live_reader import Reading
from callsheet.services.plugin_registry import PluginRegistry
from callsheet.services.replay_service import ReplayService
from callsheet.services.schema_check import SchemaCheckService
from callsheet.services.script_check import ScriptCheckService
from callsheet.services.service import Service
from callsheet.services.site_health import SiteMonitor
from callsheet.settings import Settings, SiteSettings
from callsheet.site.client import SiteClient
from callsheet.site.event_log import SiteEventLog
from callsheet.site.prefetch import Prefetch
from callsheet.site.schema import SiteSchema
from callsheet.site.scripts import SiteScripts
from callsheet.state_folder import LEDGER, prepare
from callsheet.version import __version__
from callsheet.workers.local_executor import LocalExecutor
from callsheet.workers.sessions.session import SessionLimits

STEP_ENDS = 5.0
"""Seconds within which a step of a service ends that waits for nothing but the disk."""

SETTLING_ENDS = 20.0
"""Seconds within which the last outcomes are settled, though another process may have the ledger for up to 15."""

RUNS_AHEAD = 16
"""Runs that wait in a worker behind those it executes: where each is one delivery of a lane of its own, the worker need not wait
for the ledger after each."""

DRAIN_LOOK = 0.02
"""Seconds between two looks at whether a drain has come to its end."""


class Daemon:
    """One daemon over one state folder. ``run`` blocks until ``stop`` is called, from a signal or another thread."""

    def __init__(self, settings: Settings, *, drain: bool = False, start_from: int | None = None) -> None:
        """``drain``: handle all that the sites show now, then end. ``start_from``: the first event id for sites never read."""
        self._settings = settings
        self._drain = drain
        self._start_from = start_from
        self._stopped = threading.Event()
        self._reason = ""
        self._look: Callable[[], None] = lambda: None
        self._owner = f"{socket.gethostname()}:{os.getpid()}"

    def stop(self, reason: str) -> None:
        """Finish what is running, and end. Returns at once."""
        self._reason = self._reason or reason
        self._stopped.set()

    def look(self) -> None:
        """Look for plugins that have changed now rather than within a second. Returns at once."""
        self._look()

    def run(self) -> None:
        """Serve until stopped, or until all is drained.

        Raises StateError if the ledger can't be had, LedgerLostError if it was lost meanwhile, and the end is in order otherwise.
        """
        began = time.time()
        prepare(self._settings.state, self._settings.group)
        ledger = SqliteLedger(self._settings.state / LEDGER, anew=self._start_from is not None)
        try:
            ledger.lock(self._owner)
            first_start = FirstStart(self._settings, ledger, self._start_from)
            first_start.refuse()
            with pid_file(self._settings.pid_file):
                telemetry.emit(
                    "daemon.started",
                    version=__version__,
                    api_version=api_version,
                    pid=os.getpid(),
                    config=str(self._settings.source),
                    state=str(self._settings.state),
                )
                self._serve(ledger, first_start, began)
        except StateError:
            if ledger.guard.lost() is None:
                raise
        finally:
            problem = ledger.guard.lost()
            saved = None if problem is None else ledger.guard.save()
            ledger.close()
        telemetry.emit("daemon.stopped", seconds=time.time() - began)
        if problem is not None:
            raise LedgerLostError(f"The ledger was lost while the daemon ran: {problem}. {saved}")

    def _serve(self, ledger: SqliteLedger, first_start: FirstStart, began: float) -> None:
        ledger.recover(self._owner, time.time())
        setups = worker_setups(self._settings)
        executor = LocalExecutor(
            setups,
            self._settings.state,
            ahead=RUNS_AHEAD,
            groups={
                PluginKey(site.name, name): one.group
                for site in self._settings.sites
                for name, one in self._settings.plugins.items()
                if one.group is not None
            },
            workers=self._settings.workers,
            memory=self._settings.memory,
            finder=lambda archive: finder(self._settings, setups, archive),
            limits=SessionLimits(self._settings.toolkit.sessions, self._settings.toolkit.idle, self._settings.toolkit.memory),
            loading_time=self._settings.loading,
        )
        for site in self._settings.sites:
            for project in self._settings.toolkit.prewarm:
                executor.warm(site.name, int(project) if project.isdecimal() else project)
        sites = self._settings.sites
        in_turn = {site.name for site in sites if site.order == "global"}
        intakes: list[IntakeService] = []
        registry = PluginRegistry(
            {site.name: site.plugins for site in sites},
            executor,
            ledger,
            in_turn=in_turn,
            answers=lambda name: any(intake.answers for site, intake in zip(sites, intakes, strict=False) if site.name == name),
        )
        self._look = registry.wake
        replays: list[ReplayService] = []
        dispatch = Dispatch(
            executor,
            ledger,
            registry,
            self._owner,
            settled=lambda: _make_room([*intakes, *replays]),
            stopped=lambda: {site.name for site, intake in zip(sites, intakes, strict=True) if intake.stopped},
            reading=lambda name: next(intake for site, intake in zip(sites, intakes, strict=True) if site.name == name),
        )
        intakes += [self._intake(site, ledger, registry, dispatch.wake, first_start) for site in sites]
        replays += [_replay(site, ledger, registry, dispatch.wake, intake) for site, intake in zip(sites, intakes, strict=True)]
        mail = MailHealth()
        heartbeat = HeartbeatService(
            ledger,
            Heartbeat(os.getpid(), began, began, __version__, str(self._settings.source), folders=self._settings.log.folders),
            lambda: [intake.health() for intake in intakes],
            workers=executor.workers,
            asked=lambda one: _carry_out(executor, registry, one),
            pid_file=self._settings.pid_file,
            stop=self.stop,
            lost=ledger.guard.lost,
            services=lambda: (*feeding, dispatch, heartbeat),
            conditions=lambda: (*registry.findings.conditions(), *mail.conditions(), *scripts.conditions()),
        )
        schemas = {one.name: SiteSchema(SiteClient.of(one), self._settings.state / f"schema-{one.name}.json") for one in sites}
        scripts = ScriptCheckService(registry, {site.name: (site.script, SiteScripts(SiteClient.of(site))) for site in sites})
        beside = [MaintenanceService(ledger, history=self._settings.history), SchemaCheckService(registry, schemas), scripts]
        feeding = [registry, *intakes, *replays, *beside]
        for service in (*feeding, dispatch, heartbeat):
            service.start()
        try:
            self._wait(dispatch, intakes, replays)
        finally:
            telemetry.emit("daemon.stopping", reason=self._reason)
            self._end(feeding, dispatch, executor, heartbeat)
            mail.close()

    def _end(self, feeding: Sequence[Service], dispatch: Dispatch, executor: LocalExecutor, heartbeat: HeartbeatService) -> None:
        """Take on nothing more; let what runs finish, and settle each as it does; beat until that is over."""
        for service in feeding:
            service.stop()
        dispatch.claim_no_more()
        executor.close(self._settings.grace)
        dispatch.stop()
        if not dispatch.join(SETTLING_ENDS):
            error = "The ledger did not take the last outcomes in time; these deliveries are run again at the next start."
            telemetry.emit("service.failed", service=dispatch.name, error=error, retry_in=0.0, defect=False)
        heartbeat.stop()
        heartbeat.join(STEP_ENDS)
        for service in feeding:
            service.join(0.0)  # one that hangs at a site or a share has nothing to lose

    def _wait(self, dispatch: Dispatch, intakes: list[IntakeService], replays: list[ReplayService]) -> None:
        if not self._drain:
            self._stopped.wait()
            return
        while not self._stopped.wait(DRAIN_LOOK):
            if _drained(dispatch, [*intakes, *replays], self._stopped):
                self.stop("all that the site shows is handled")
            elif any(intake.another_log for intake in intakes):
                self.stop("a site shows another event log than before, and a drain does not wait for an operator")
            elif any(intake.out_of_reach for intake in intakes):
                self.stop("a site does not answer, and a drain does not wait for it")
            elif dispatch.unanswered >= max(site.retries for site in self._settings.sites):
                self.stop("a site does not answer what plugins ask, and a drain does not wait for it")

    def _intake(
        self,
        site: SiteSettings,
        ledger: SqliteLedger,
        registry: PluginRegistry,
        recorded: Callable[[], None],
        first_start: FirstStart,
    ) -> IntakeService:
        def connect() -> EventLog:
            return _log(site)

        intake = IntakeService(
            Reading(
                site.name,
                site.url,
                site.poll,
                site.page,
                site.gaps,
                site.gap_window,
                site.most_waiting,
                site.max_away,
                site.timeout,
            ),
            ledger,
            registry,
            log=Prefetch(connect, site.pages_ahead),
            monitor=SiteMonitor(site.name, site.url, longest=site.retry_sleep, tries=site.retries),
            recorded=recorded,
            begin=lambda log: first_start.begin(site, log),
        )
        if self._drain:
            intake.drain()
        return intake


def _carry_out(executor: LocalExecutor, registry: PluginRegistry, asked: DaemonCommand) -> None:
    if asked.verb is Verb.RELOAD:
        registry.reload(asked.site, asked.plugin)
    elif asked.site is not None and asked.project is not None:
        act = {Verb.WARM: executor.warm, Verb.RETIRE: executor.retire, Verb.END: executor.end}[asked.verb]
        act(asked.site, asked.project)


def _log(site: SiteSettings) -> EventLog:
    return SiteEventLog.of(site)


def _replay(
    site: SiteSettings, ledger: SqliteLedger, registry: PluginRegistry, recorded: Callable[[], None], intake: IntakeService
) -> ReplayService:
    return ReplayService(
        site.name,
        ledger,
        registry,
        _log(site),
        page=site.page,
        most_waiting=site.most_waiting,
        recorded=recorded,
        timeout=site.timeout,
        readable=lambda: intake.readable,
    )


Reader = IntakeService | ReplayService


def _make_room(readers: Sequence[Reader]) -> None:
    for reader in readers:
        if reader.crowded:
            reader.wake()


def _drained(dispatch: Dispatch, readers: Sequence[Reader], stopped: threading.Event) -> bool:
    """Whether nothing is left to read or to run: once dispatch finds nothing, a whole step of each reader must find nothing too."""
    if not _still(dispatch, readers):
        return False
    before = [reader.steps for reader in readers]
    for reader in readers:
        reader.wake()
    # Two steps: the first may have begun before dispatch was idle.
    while any(reader.steps < steps + 2 for reader, steps in zip(readers, before, strict=True)):
        if stopped.wait(DRAIN_LOOK / 4) or not dispatch.idle:
            return False
        for reader in readers:
            reader.wake()
    return _still(dispatch, readers)


def _still(dispatch: Dispatch, readers: Sequence[Reader]) -> bool:
    return dispatch.idle and all(reader.caught_up for reader in readers)
