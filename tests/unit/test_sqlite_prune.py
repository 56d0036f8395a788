"""Pruning in small steps, and what goes with a delivery."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from callsheet.domain.delivery import State
from callsheet.domain.operation import Verb
from callsheet.ledgers.sqlite import SqliteLedger
from tests.contracts.ledger import ADAPTERS, Desk, delivery


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        yield Desk(ledger, tmp_path, ADAPTERS["sqlite"])


def count(desk: Desk, table: str) -> int:
    assert isinstance(desk.ledger, SqliteLedger)
    with desk.ledger._database.snapshot() as tx:
        return int(tx.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_lanes_failures_and_commands_go_with_their_deliveries(desk: Desk) -> None:
    desk.record(delivery(1, lane="a"), delivery(2, lane="b"), delivery(3, lane="c"))
    desk.settle(desk.claim_one(), State.DEAD)
    desk.settle(desk.claim_one(), State.HELD)
    desk.settle_done(desk.claim_one())
    desk.operate(Verb.RETRY, event_id=99)
    desk.now += 10
    desk.operate(Verb.RETRY, event_id=98)
    assert desk.ledger.prune(desk.now - 5) == (2, 2)
    assert [count(desk, table) for table in ("lanes", "failures", "operations", "deliveries", "events")] == [1, 1, 1, 1, 1]
    assert desk.adapter.faults(desk.folder) == []
    desk.record(delivery(4, lane="a"))
    assert desk.run_all() == [4]


def test_no_transaction_forgets_more_than_a_thousand_rows(desk: Desk) -> None:
    desk.record(*(delivery(number, lane=f"lane {number}") for number in range(1, 3501)))
    desk.free = dict.fromkeys(desk.free, 5000)
    desk.run_all()
    assert isinstance(desk.ledger, SqliteLedger)
    statements: list[str] = []
    writer = desk.ledger._database._writer
    writer.set_trace_callback(statements.append)
    desk.now += 10
    assert desk.ledger.prune(desk.now) == (3500, 3500)
    writer.set_trace_callback(None)
    transactions = "\n".join(statements).split("COMMIT")
    assert max(one.count("DELETE FROM events") for one in transactions) == 1000
    assert max(one.count("DELETE FROM lanes") for one in transactions) == 1000
    assert sum(one.count("DELETE FROM lanes") for one in transactions) == 3500


def test_a_pass_that_finds_nothing_old_looks_at_little(desk: Desk) -> None:
    desk.record(*(delivery(number) for number in range(1, 5001)))
    assert isinstance(desk.ledger, SqliteLedger)
    statements: list[str] = []
    writer = desk.ledger._database._writer
    writer.set_trace_callback(statements.append)
    assert desk.ledger.prune(desk.now - 1) == (0, 0)
    assert sum(one.startswith("SELECT id, event_id") for one in statements) == 1
