"""What the ledger's statements cost does not grow with what lies in it: seen in SQLite's plans and in the steps that it takes.

Steps of SQLite's virtual machine are counted, not time: the same on every machine.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import DeliveryQuery, Run, State
from callsheet.domain.operation import Verb
from callsheet.ledgers.sqlite import SqliteLedger, delivery_queries, lane_heads, overview_queries, runs
from tests.contracts.ledger import PLUGIN, Adapter, Desk, delivery, file
from tests.support.events import SITE


@contextmanager
def desk_in(folder: Path) -> Iterator[Desk]:
    folder.mkdir()
    with closing(SqliteLedger(folder / "ledger.db")) as ledger:
        yield Desk(ledger, folder, Adapter(lambda place: SqliteLedger(place / "ledger.db"), lambda _: []))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_in(tmp_path / "desk") as one:
        one.record_events(1)
        yield one


def writer(desk: Desk) -> sqlite3.Connection:
    assert isinstance(desk.ledger, SqliteLedger)
    return desk.ledger._database._writer


def steps(desk: Desk, call: Callable[[], object]) -> int:
    """How many steps of SQLite's machine the call takes on the writing connection."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    writer(desk).set_progress_handler(count, 1)
    try:
        call()
    finally:
        writer(desk).set_progress_handler(None, 1)
    return taken


def plan(desk: Desk, sql: str, params: Any = ()) -> list[str]:
    """Each table that SQLite walks for this statement, and by which index."""
    rows = writer(desk).execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall()
    return [row[3] for row in rows]


@contextmanager
def filled(folder: Path, *, waiting: int = 40, stuck: int = 2, lane_count: int = 4, others: int = 1) -> Iterator[Desk]:
    """A plugin with so much waiting in free lanes, so much more in one held lane, and other plugins with work but no slots."""
    with desk_in(folder) as desk:
        desk.record_events(*range(1, stuck + 1), lane="stuck")
        desk.settle(desk.claim_one(most=1), State.HELD)
        numbers = range(10_000_000, 10_000_000 + waiting)
        desk.record(*(delivery(number, lane=f"lane {number % lane_count}") for number in numbers))
        desk.record(*(delivery(1, plugin=f"other {number}") for number in range(others)))
        yield desk


def cost_of_a_run(desk: Desk) -> tuple[int, int]:
    """Steps to claim a run of one delivery, and to settle it."""
    taken: list[Run] = []
    claim = steps(desk, lambda: taken.append(desk.claim_one(most=1)))
    return claim, steps(desk, lambda: desk.settle_done(taken[0]))


@pytest.mark.parametrize(
    "more",
    [{"waiting": 4000}, {"stuck": 4000}, {"lane_count": 400, "waiting": 400}, {"others": 400}],
    ids=["waiting deliveries", "deliveries in a stuck lane", "lanes", "plugins without free slots"],
)
def test_a_claim_and_its_end_cost_the_same_however_much_there_is(tmp_path: Path, more: dict[str, int]) -> None:
    with filled(tmp_path / "few") as desk:
        few_claim, few_settle = cost_of_a_run(desk)
    with filled(tmp_path / "more", **more) as desk:
        more_claim, more_settle = cost_of_a_run(desk)
    assert more_claim <= few_claim + 20
    assert more_settle <= few_settle + 20


def test_recording_costs_the_same_however_much_waits(tmp_path: Path) -> None:
    costs = []
    page = [delivery(number, lane=f"lane {number % 4}") for number in range(20_000_000, 20_000_100)]
    for waiting in (50, 5000):
        with filled(tmp_path / str(waiting), waiting=waiting) as desk:
            costs.append(steps(desk, partial(desk.record, *page)))
    assert costs[1] <= costs[0] * 1.05


def test_one_finished_delivery_is_one_row_written(desk: Desk) -> None:
    """And a run of many is one row more for its lane, one for the counts of its plugin, and one for the time of its callback."""
    desk.record_events(*range(2, 101))
    before = writer(desk).total_changes
    run = desk.claim_one(most=100)
    assert writer(desk).total_changes - before == 2  # the lane, the number of the run
    before = writer(desk).total_changes
    desk.settle_done(run)
    assert writer(desk).total_changes - before == 100 + 3


def test_a_claim_finds_all_it_needs_by_index(desk: Desk) -> None:
    due = plan(desk, runs._DUE, {"plugins": "[1]", "now": 1.0})
    assert [line for line in due if line.startswith(("SEARCH", "SCAN"))] == [
        "SCAN json_each VIRTUAL TABLE INDEX 1:",
        "SEARCH lanes USING INDEX lanes_ready (plugin_id=?)",
        "SEARCH lanes USING INDEX lanes_ready (plugin_id=? AND due>?)",
        "SEARCH holds USING COVERING INDEX holds_of_plugin (plugin_id=? AND lane=?)",
    ]
    assert [line for line in plan(desk, runs._READY, (1, 1.0, 1)) if line.startswith(("SEARCH", "SCAN"))] == [
        "SEARCH lanes USING INDEX lanes_ready (plugin_id=? AND due<?)",
        "SEARCH holds USING COVERING INDEX holds_of_plugin (plugin_id=? AND lane=?)",
    ]
    assert plan(desk, runs._OPEN, (1, 1, 500)) == [
        "SEARCH d USING INDEX deliveries_open (lane_id=?)",
        "SEARCH e USING INDEX sqlite_autoindex_events_1 (site_id=? AND id=?)",
    ]
    assert plan(desk, "SELECT id FROM lanes WHERE run = ?", (1,)) == ["SEARCH lanes USING COVERING INDEX lanes_run (run=?)"]


def test_a_lane_goes_on_by_index(desk: Desk) -> None:
    found = [line for line in plan(desk, lane_heads._RESUME, {"lanes": "[1]", "now": 1.0}) if "deliveries" in line]
    assert found == [
        "SEARCH deliveries USING COVERING INDEX deliveries_troubled (state=? AND lane_id=?)",
        "SEARCH deliveries USING INDEX deliveries_open (lane_id=?)",
        "SEARCH deliveries USING INDEX deliveries_open (lane_id=?)",
    ]


def test_status_counts_nothing_that_is_done(desk: Desk) -> None:
    assert "SEARCH deliveries USING INDEX deliveries_open" in plan(desk, overview_queries._OLDEST)
    desk.run_all()
    before = steps_of_reader(desk)
    desk.record_events(*range(100, 1100))
    desk.run_all()
    assert steps_of_reader(desk) <= before + 50


def steps_of_reader(desk: Desk) -> int:
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    assert isinstance(desk.ledger, SqliteLedger)
    desk.ledger.overview()
    (reader,) = desk.ledger._database._readers
    reader.set_progress_handler(count, 1)
    desk.ledger.overview()
    reader.set_progress_handler(None, 1)
    return taken


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (DeliveryQuery(states=(State.DEAD,)), "deliveries_troubled"),
        (DeliveryQuery(states=(State.HELD, State.RETRYING)), "deliveries_troubled"),
        (DeliveryQuery(states=(State.WAITING, State.HELD)), "deliveries_open"),
        (DeliveryQuery(event_id=7), "deliveries_once"),
        (DeliveryQuery(ids=(7,)), "INTEGER PRIMARY KEY"),
        (DeliveryQuery(states=(State.DONE,)), "SCAN d"),  # from the newest on, until there are enough
    ],
)
def test_lists_begin_at_what_is_rare(desk: Desk, query: DeliveryQuery, index: str) -> None:
    desk.record_events(*range(100, 120))
    desk.run_all()
    desk.record_events(200)
    statements: list[str] = []
    connection = writer(desk)
    connection.set_trace_callback(statements.append)
    delivery_queries.rows(connection, query)
    connection.set_trace_callback(None)
    sql = statements[-1]
    assert index in next(line for line in plan(desk, sql) if line.split()[1] == "d")


@pytest.mark.parametrize("query", [DeliveryQuery(states=(State.WAITING,)), DeliveryQuery(states=(State.WAITING,), plugin="plugin")])
def test_a_list_of_what_waits_costs_the_same_however_much_waits(tmp_path: Path, query: DeliveryQuery) -> None:
    costs = []
    for waiting in (200, 4000):
        with filled(tmp_path / str(waiting), waiting=waiting) as desk:
            costs.append(steps(desk, lambda: delivery_queries.rows(writer(desk), query)))
    assert costs[1] <= costs[0] * 1.1


def test_a_plugin_with_slots_and_nothing_to_do_costs_little(desk: Desk) -> None:
    free = {PluginKey(SITE, f"idle {number}"): 1 for number in range(200)}
    desk.enrol(*(file(key.name) for key in free))
    desk.free = free
    desk.claim()
    assert steps(desk, desk.claim) < 200 * 40
    desk.free = {PLUGIN: 1}
    assert desk.claim()


def in_trouble(folder: Path, count: int, plugins: int = 20) -> Desk:
    """So many deliveries that failed for good, of so many plugins by turns, each in one of its ten lanes."""
    names = [f"plugin {number}" for number in range(plugins)]
    folder.mkdir()
    desk = Desk(SqliteLedger(folder / "ledger.db"), folder, Adapter(lambda place: SqliteLedger(place / "ledger.db"), lambda _: []))
    desk.free = {PluginKey(SITE, name): 10 for name in names}
    numbers = range(count)
    desk.record(*(delivery(one, plugin=names[one % plugins], lane=f"lane {one // plugins % 10}") for one in numbers))
    while runs := desk.claim(most=1000):
        for run in runs:
            desk.settle(run, *[State.DEAD] * len(run.deliveries))
    return desk


def test_what_status_shows_costs_the_same_however_much_has_failed(tmp_path: Path) -> None:
    costs = []
    for number, count in enumerate((200, 4000)):
        desk = in_trouble(tmp_path / str(number), count)
        with closing(desk.ledger):
            costs.append(steps_of_reader(desk))
            shown = desk.ledger.overview()
            assert [one.dead for one in shown.failing] == [count // 20] * 20
            assert {one.last for one in shown.failing} == {f"ValueError: no {last}" for last in range(count - 19, count + 1)}
    assert costs[1] <= costs[0] + 50


def test_the_last_failure_is_one_that_stands_though_the_last_was_put_away(tmp_path: Path) -> None:
    desk = in_trouble(tmp_path / "desk", 40)
    with closing(desk.ledger):
        before = steps_of_reader(desk)
        desk.operate(Verb.SKIP, ids=(40,))
        assert steps_of_reader(desk) <= before + 50
        assert "ValueError: no 20" in {one.last for one in desk.ledger.overview().failing}
        assert "ValueError: no 40" not in {one.last for one in desk.ledger.overview().failing}
