"""Dispatch on a real ledger, with an executor that says what the test has it say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from callsheet.domain.callback import Callback, CallbackKey, PluginKey, RetryPolicy
from callsheet.domain.delivery import DeliveryQuery, DeliveryRow, Failure, Report, Run, RunEnded, State, Verdict
from callsheet.domain.reading import Intake
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.ports import Message
from callsheet.services.dispatch import Dispatch
from tests.contracts.ledger import PLUGIN, delivery
from tests.support.events import SITE, callback

NOW = 1_000_000.0
FAILURE = Failure("ValueError", "no such shot")


class Told:
    """Implements what dispatch asks of an executor: runs nothing, and says what it is given to say."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.said: list[Message] = []

    def free(self) -> Mapping[PluginKey, int]:
        return {PLUGIN: 1}

    def submit(self, runs: Sequence[Run]) -> None:
        self.runs += runs

    def recall(self, runs: Sequence[Run]) -> None:
        pass

    def collect(self, timeout: float) -> list[Message]:
        said, self.said = self.said, []
        return said

    def wake(self) -> None:
        pass


class Cast:
    """Stands for the plugin registry: one plugin with one callback, which is tried three times."""

    def callback(self, key: CallbackKey) -> Callback:
        return callback("react", retry=RetryPolicy(attempts=3, first=60.0, jitter=0.0))

    def unserved(self, free: object) -> bool:
        return False


class Bench:
    def __init__(self, ledger: SqliteLedger) -> None:
        self.now, self.steady = NOW, 0.0
        self.ledger = ledger
        self.executor = Told()
        self.dispatch = Dispatch(
            self.executor,  # type: ignore[arg-type] # has what dispatch asks of an executor
            ledger,
            Cast(),  # type: ignore[arg-type] # has what dispatch asks of a registry
            "me",
            clock=lambda: self.now,
            steady=lambda: self.steady,
        )

    def record(self, *numbers: int) -> None:
        self.ledger.record(Intake(SITE, tuple(delivery(number) for number in numbers)), self.now)

    def step(self) -> None:
        self.steady += 1.0
        self.dispatch.step()

    def report(self, run: Run, verdict: Verdict, ended: float, failure: Failure | None = None) -> None:
        self.executor.said += [Report(run.id, run.deliveries[0].id, verdict, ended - 1, ended, failure), RunEnded(run.id)]

    def rows(self) -> list[DeliveryRow]:
        return sorted(self.ledger.deliveries(DeliveryQuery()), key=lambda one: one.event_id)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        yield Bench(ledger)


def test_what_is_tried_again_after_the_clock_was_set_back_is_due_on_todays_clock(bench: Bench) -> None:
    # Given a delivery that failed
    bench.record(1)
    bench.step()
    (run,) = bench.executor.runs
    ended = bench.now

    # When the clock is set back by a day before the report is taken in
    bench.now -= 86_400
    bench.report(run, Verdict.FAILED, ended, FAILURE)
    bench.step()

    # Then it is tried again after its pause, not after a day
    (row,) = bench.rows()
    assert row.state is State.RETRYING
    assert row.due == bench.now + 60
    bench.now += 61
    bench.step()
    assert [one.deliveries[0].event_id for one in bench.executor.runs] == [1, 1]


def test_a_report_that_lay_for_a_while_keeps_its_own_time(bench: Bench) -> None:
    bench.record(1)
    bench.step()
    bench.report(bench.executor.runs[0], Verdict.FAILED, bench.now - 20, FAILURE)
    bench.step()
    assert bench.rows()[0].due == bench.now + 40


def test_once_it_claims_no_more_what_runs_is_settled_and_nothing_begins(bench: Bench) -> None:
    bench.record(1, 2)
    bench.step()
    (run,) = bench.executor.runs
    bench.dispatch.claim_no_more()
    bench.report(run, Verdict.OK, bench.now)
    bench.step()
    bench.step()
    assert [row.state for row in bench.rows()] == [State.DONE, State.WAITING]
    assert len(bench.executor.runs) == 1


def test_what_was_said_before_the_end_is_settled_at_the_end(bench: Bench) -> None:
    bench.record(1)
    bench.step()
    (run,) = bench.executor.runs
    bench.report(run, Verdict.OK, bench.now)
    bench.dispatch.stop()
    bench.dispatch.start()
    assert bench.dispatch.join(30)
    assert [row.state for row in bench.rows()] == [State.DONE]
