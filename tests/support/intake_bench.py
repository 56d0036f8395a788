"""The intake service on a real ledger, a log in memory, and plugins that are whatever the test says."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from callsheet.domain.callback import Callback, PluginKey
from callsheet.domain.delivery import DeliveryQuery, Outcome, State
from callsheet.domain.plugin import PluginFile, PluginState
from callsheet.domain.reading import Intake
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.services.intake import IntakeService
from callsheet.services.known_plugins import LateCallback, Ready
from callsheet.services.live_reader import Reading
from callsheet.services.site_health import SiteMonitor
from tests.support.events import CREATED_AT, SITE, callback
from tests.support.memory_log import MemoryLog

NOW = datetime.fromisoformat(CREATED_AT).timestamp() + 1


class Cast:
    """Stands for the Roster: the plugins that are ready."""

    def __init__(self) -> None:
        self._version = 0
        self.late: list[LateCallback] = []
        self.callbacks: dict[str, tuple[Callback, ...]] = {}

    def enter(self, *names: str, types: tuple[str, ...] = (), **options: Any) -> None:
        """Be ready from now on; ``types``: wanting these alone; ``options``: of each one's callback."""
        self._version += 1
        self.callbacks = {**self.callbacks, **{name: (callback("react", *types, plugin=name, **options),) for name in names}}

    def leave(self, name: str) -> None:
        self._version += 1
        self.callbacks = {other: one for other, one in self.callbacks.items() if other != name}

    def ready(self, _site: str) -> Ready:
        return Ready(self._version, self.callbacks)

    def take_late(self, _site: str) -> list[LateCallback]:
        late, self.late = self.late, []
        return late

    def starting(self, _site: str) -> bool:
        return False

    def state(self, _site: str, plugin: str) -> PluginState:
        return PluginState.READY if plugin in self.callbacks else PluginState.BROKEN


class Desk:
    """An intake on its ledger, with a log and a cast to change between steps."""

    def __init__(self, ledger: SqliteLedger, *, log: MemoryLog | None = None, **reading: Any) -> None:
        self.ledger = ledger
        self.log = log or MemoryLog()
        self.cast = Cast()
        self.time = 0.0
        self.intake = IntakeService(
            Reading(SITE, "http://site", **{"poll": 1.0, "page": 4, **reading}),
            ledger,
            self.cast,  # type: ignore[arg-type]  # has what the intake asks of a Roster
            log=self.log,
            monitor=SiteMonitor(SITE, "http://site", longest=1.0, tries=5, clock=lambda: NOW, steady=lambda: self.time),
            recorded=lambda: None,
            begin=lambda log: None,
            clock=lambda: NOW,
            steady=lambda: self.time,
        )

    def enrol(self, *names: str, types: tuple[str, ...] = (), **options: Any) -> None:
        files = [PluginFile(PluginKey(SITE, name), f"/plugins/{name}.py", place, 1.0) for place, name in enumerate(names)]
        self.ledger.enrol(files, PluginState.READY, NOW)
        self.cast.enter(*names, types=types, **options)

    def stand(self, cursor: int, **positions: int | None) -> None:
        self.ledger.record(Intake(SITE, cursor=cursor, positions=positions), NOW)

    def step(self, count: int = 1) -> None:
        """Let time pass, so that a poll is due, and do a step."""
        for _ in range(count):
            self.time += 1.0
            self.intake.step()

    def got(self, plugin: str) -> list[int]:
        return sorted(row.event_id for row in self.ledger.deliveries(DeliveryQuery(plugin=plugin, limit=1000)))

    def positions(self) -> dict[str, int | None]:
        return dict(self.ledger.site(SITE).positions)

    def run_all(self, plugin: str) -> None:
        """Have done all that waits for the plugin."""
        while runs := self.ledger.claim({PluginKey(SITE, plugin): 1}, 500, "me", NOW)[0]:
            outcomes = [Outcome(one.id, State.DONE, 1, 0, NOW, NOW) for run in runs for one in run.deliveries]
            self.ledger.settle(outcomes, [run.id for run in runs], NOW)
