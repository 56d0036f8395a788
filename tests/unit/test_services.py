"""What all services share, and those that look after the daemon itself: heartbeat and maintenance."""

from __future__ import annotations

import itertools
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from callsheet.domain.delivery import DeliveryQuery
from callsheet.domain.overview import Condition, Heartbeat, ServiceHealth, WorkerRow
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.ports import Page, Told, quietly
from callsheet.services.heartbeat import HeartbeatService, MaintenanceService
from callsheet.services.service import FAILS_FOR, Service
from callsheet.telemetry import recording
from tests.contracts.ledger import ADAPTERS, Desk, delivery
from tests.support.intake_bench import Desk as IntakeBench
from tests.support.memory_log import MemoryLog
from tests.support.waiting import until

DAY = 86400.0
NOW = 1_700_000_000.0
BEAT = Heartbeat(1, 1.0, 1.0, "", "")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        yield ledger


def end(*services: Service) -> None:
    for service in services:
        service.stop()
    assert all(service.join(30) for service in services)


class SlowPrune(SqliteLedger):
    """Prunes until it is told to end, as a ledger with a year's deliveries does."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.pruning, self.enough = threading.Event(), threading.Event()

    def prune(self, before: float, told: Told = quietly) -> tuple[int, int]:
        self.pruning.set()
        assert self.enough.wait(30)
        return super().prune(before, told)


def test_the_daemon_beats_while_it_prunes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callsheet.services.heartbeat.BEAT_EVERY", 0.02)
    with closing(SlowPrune(tmp_path / "ledger.db")) as ledger:
        maintenance = MaintenanceService(ledger, history=DAY)
        maintenance.start()
        assert ledger.pruning.wait(30)
        clock = map(float, itertools.count())
        heartbeat = HeartbeatService(ledger, BEAT, list, pid_file=None, stop=lambda _: None, clock=lambda: next(clock))
        heartbeat.start()
        until(lambda: (beat := ledger.overview().heartbeat) is not None and beat.at > 3)
        ledger.enough.set()
        end(maintenance, heartbeat)


def test_the_last_beat_says_that_the_daemon_ended_in_order(ledger: SqliteLedger) -> None:
    heartbeat = HeartbeatService(ledger, BEAT, list, pid_file=None, stop=lambda _: None, clock=lambda: 7.0)
    heartbeat.start()
    end(heartbeat)
    written = ledger.overview().heartbeat
    assert written is not None
    assert (written.at, written.stopped_at) == (7.0, 7.0)


def test_the_daemon_beats_though_a_worker_can_not_be_put_on_record(ledger: SqliteLedger) -> None:
    odd = [WorkerRow("studio", ("odd",), memory=2**70)]
    heartbeat = HeartbeatService(ledger, BEAT, list, pid_file=None, stop=lambda _: None, clock=lambda: 7.0, workers=lambda: odd)
    with pytest.raises(OverflowError):
        heartbeat.step()
    beat = ledger.overview().heartbeat
    assert beat is not None
    assert beat.at == 7.0


def test_what_is_older_than_the_history_is_forgotten_now_and_then(ledger: SqliteLedger, tmp_path: Path) -> None:
    # Given a delivery that ended two days ago, and one that ended an hour ago
    desk = Desk(ledger, tmp_path, ADAPTERS["sqlite"])
    now = 10 * DAY
    for number, ended in ((1, now - 2 * DAY), (2, now - 3600)):
        desk.now = ended
        desk.record(delivery(number))
        desk.settle_done(desk.claim_one())

    # When a day is kept
    pause = MaintenanceService(ledger, history=DAY, clock=lambda: now).step()

    # Then the first is gone, and the next look is minutes away: it walks through the ledger
    assert [one.event_id for one in ledger.deliveries(DeliveryQuery())] == [2]
    assert 60 <= pause <= 3600


class SilentLog(MemoryLog):
    """Answers once the test lets it."""

    def __init__(self) -> None:
        super().__init__([1, 2])
        self.hanging, self.answer = threading.Event(), threading.Event()

    def read(self, *args: object, **options: object) -> Page:
        self.hanging.set()
        assert self.answer.wait(30)
        return super().read(*args, **options)  # type: ignore[arg-type] # passed on as it came


def test_a_site_that_answers_after_the_ledger_was_closed_changes_and_says_nothing(tmp_path: Path) -> None:
    # Given a reading that waits for a site when the daemon ends
    log = SilentLog()
    ledger = SqliteLedger(tmp_path / "ledger.db")
    desk = IntakeBench(ledger, log=log)
    desk.enrol("plugin")
    desk.stand(0)
    desk.time = 1.0
    with recording("service.failed") as recorder:
        desk.intake.start()
        assert log.hanging.wait(30)
        desk.intake.stop()
        assert not desk.intake.join(0.0)
        ledger.close()

        # When the site answers after all
        log.answer.set()
        assert desk.intake.join(30)

    # Then nobody hears of it, and the events are read again at the next start
    assert recorder.signals == []
    with closing(SqliteLedger(tmp_path / "ledger.db")) as again:
        assert again.site("studio").cursor == 0


class FailureSummary(Service):
    """Fails at its end."""

    name = "failing"

    def step(self) -> float:
        return 60.0

    def finish(self) -> None:
        raise ValueError("at the end")


class _OfDisk(Service):
    name = "disk"

    def step(self) -> float:
        raise PermissionError(13, "Permission denied", "/mnt/x")


def test_what_a_path_does_to_a_service_is_no_defect_and_has_its_cure() -> None:
    with recording() as recorder:
        service = _OfDisk()
        service.start()
        recorder.wait_for("service.failed", service="disk")
        end(service)

    first = recorder.named("service.failed", service="disk")[0].facts
    assert not first["defect"]
    assert first["error"] == "/mnt/x: Permission denied. Give the user that runs Callsheet the right to read and write there."


def test_what_goes_wrong_at_the_end_of_a_service_is_told() -> None:
    with recording("service.failed") as recorder:
        service = FailureSummary()
        service.start()
        end(service)
    assert "at the end" in recorder.signals[0].facts["error"]


class Odd(Service):
    """Does in its next step what the test says."""

    name = "odd"

    def __init__(self) -> None:
        super().__init__()
        self.steps: queue.Queue[Callable[[], object]] = queue.Queue()
        self.done = 0

    def step(self) -> float:
        try:
            self.steps.get(timeout=30)()
        finally:
            self.done += 1
        return 0.0

    def do(self, *steps: Callable[[], object]) -> None:
        """Have these steps done; the one behind them waits."""
        until_done = self.done + len(steps)
        for step in steps:
            self.steps.put(step)
        until(lambda: self.done == until_done)


def fail() -> None:
    raise ValueError("the share is away")


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Odd]:
    monkeypatch.setattr("callsheet.services.service.FIRST_PAUSE", 0.01)
    service = Odd()
    service.start()
    yield service
    service.steps.put(service.stop)
    assert service.join(30)


def test_a_service_that_fails_says_why_and_since_when_until_its_steps_go_well_again(odd: Odd) -> None:
    odd.do(lambda: None)
    assert odd.service_health(NOW).error is None
    odd.do(fail, fail)
    until(lambda: odd.service_health(NOW).busy_since is not None)
    first = odd.service_health(NOW)
    assert first.error == "ValueError: the share is away"
    odd.do(fail)
    # The same trouble since its first failure; and a step that goes well in between does not hide it
    odd.do(lambda: None)
    later = odd.service_health(NOW + 1)
    assert later.error is not None
    assert later.error_since is not None
    assert first.error_since is not None
    assert later.error_since < first.error_since + 1.1
    # But it ends once all has gone well for some seconds
    odd.do(lambda: None)
    assert odd.service_health(NOW).error is not None
    assert odd._failing is not None
    odd._failing.at -= FAILS_FOR
    assert odd.service_health(NOW).error is None


def test_a_service_in_a_long_step_says_since_when_it_has_not_got_on(odd: Odd) -> None:
    go_on = threading.Event()
    began = threading.Event()

    def hang() -> None:
        began.set()
        assert go_on.wait(30)

    odd.steps.put(hang)
    assert began.wait(30)
    first = odd.service_health(NOW).busy_since
    assert first is not None
    odd.got_on()
    second = odd.service_health(NOW).busy_since
    assert second is not None
    assert second > first
    go_on.set()


def test_a_service_whose_thread_has_ended_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    service = Odd()
    service.start()
    service.steps.put(lambda: sys.exit("a plugin's trick"))
    assert service.join(30)
    assert service.service_health(NOW).ended


def test_each_beat_says_how_the_services_are_and_what_is_not_well(ledger: SqliteLedger) -> None:
    conditions = [Condition("mail", "No mail can be sent: \udce9 é", NOW - 5, place="relay:25")]
    heartbeat = HeartbeatService(
        ledger, BEAT, list, pid_file=None, stop=lambda _: None, services=lambda: [Odd()], conditions=lambda: conditions
    )
    heartbeat.step()
    written = ledger.overview().heartbeat
    assert written is not None
    assert written.services == (ServiceHealth("odd", Odd.limit),)
    assert written.conditions == (replace(conditions[0], what="No mail can be sent: \\udce9 é"),)
    heartbeat.finish()
    last = ledger.overview().heartbeat
    assert last is not None
    assert last.services == ()
