"""The event log: the poll, ids that are missing, late or far ahead, and many events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsheet.sandbox import Sandbox

POLLED = ["id", "event_type", "attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at"]
RISING = [{"field_name": "id", "direction": "asc"}]


def ids(found: list[dict[str, Any]]) -> list[int]:
    return [one["id"] for one in found]


def poll(sg: Any, *filters: Any, limit: int = 500, operator: str = "all") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sg.find("EventLogEntry", list(filters), POLLED, [dict(one) for one in RISING], operator, limit)
    return found


def test_the_newest_id_is_found_as_the_daemon_asks_for_it(sandbox: Sandbox, sg: Any) -> None:
    made = sandbox.add_events(10)

    assert sg.find_one("EventLogEntry", [], ["id"], [{"column": "id", "direction": "desc"}])["id"] == made[-1]


def test_the_poll_gives_full_pages_in_the_order_of_ids(sandbox: Sandbox, sg: Any) -> None:
    made = sandbox.add_events(1200)

    pages = [poll(sg, ["id", "greater_than", after]) for after in (made[0] - 1, made[499], made[999], made[-1])]

    assert [len(page) for page in pages] == [500, 500, 200, 0]
    assert [number for page in pages for number in ids(page)] == list(made)


def test_a_poll_may_ask_for_gaps_in_the_same_request(sandbox: Sandbox, sg: Any) -> None:
    # Given gaps at 12-13 and 17
    sandbox.add_events(10)
    sandbox.skip_event_id(2)
    sandbox.add_events(3)
    sandbox.withhold(next=1)
    sandbox.add_events(5)
    assert ids(sandbox.events(11)) == [14, 15, 16, 18, 19, 20, 21]
    # When one of them appears
    sandbox.release(17)
    # Then
    found = poll(sg, ["id", "between", 12, 13], ["id", "is", 17], ["id", "greater_than", 20], operator="any")
    assert ids(found) == [17, 21]


def test_thousands_of_gaps_fit_into_one_request(sandbox: Sandbox, sg: Any) -> None:
    sandbox.add_events(10_000)

    gaps = [["id", "between", number, number + 1] for number in range(2, 9000, 4)]
    found = poll(sg, *gaps, ["id", "greater_than", 9990], operator="any")

    assert ids(found)[:5] == [2, 3, 6, 7, 10]
    assert len(found) == 500


def test_ids_used_up_never_appear(sandbox: Sandbox) -> None:
    first = sandbox.add_event("A")

    assert sandbox.skip_event_id(3) == first + 4
    assert sandbox.add_event("B") == first + 4


def test_a_transaction_that_is_undone_uses_up_ids_as_on_a_site(sandbox: Sandbox, sg: Any) -> None:
    # Given
    first = sandbox.add_event("A")
    # When
    wrong = {"request_type": "update", "entity_type": "Shot", "entity_id": 101, "data": {"sg_status_list": "nope"}}
    right = {"request_type": "update", "entity_type": "Shot", "entity_id": 101, "data": {"sg_cut_in": 5}}
    with pytest.raises(Exception, match="rolled back"):
        sg.batch([right, wrong])
    # Then
    assert sandbox.add_event("B") == first + 2


def test_the_next_id_can_jump_ahead_but_not_back(sandbox: Sandbox) -> None:
    sandbox.set_next_event_id(5_000_000)

    assert sandbox.add_event("A") == 5_000_000
    with pytest.raises(ValueError, match="only grow"):
        sandbox.set_next_event_id(5_000_000)


@pytest.mark.parametrize("early", [True, False])
def test_a_withheld_event_appears_under_the_id_it_has_had(sandbox: Sandbox, sg: Any, early: bool) -> None:
    # Given
    number = sandbox.site.log.next_id
    if early:
        sandbox.withhold(number)
    assert sandbox.add_event("Late") == number
    if not early:
        sandbox.withhold(number)
    later = sandbox.add_event("Later")
    assert ids(poll(sg, ["id", "greater_than", number - 1])) == [later]
    assert sandbox.withheld() == [number]
    # When
    assert sandbox.release(number) == [number]
    # Then
    assert ids(poll(sg, ["id", "greater_than", number - 1])) == [number, later]
    assert sandbox.release(number) == []


def test_events_of_real_writes_can_be_withheld_and_all_released(sandbox: Sandbox, sg: Any) -> None:
    sandbox.withhold(next=2)
    sg.update("Shot", 101, {"sg_cut_in": 5, "sg_cut_out": 6, "sg_cut_duration": 2})

    assert ids(sandbox.events(1)) == [4]
    assert sandbox.release() == [2, 3]
    assert ids(sandbox.events(1)) == [2, 3, 4]


def test_an_event_can_be_written_with_everything_said(sandbox: Sandbox) -> None:
    fields = {
        "attribute_name": "x",
        "meta": "a JSON string is possible",
        "entity": {"type": "Shot", "id": 424242},
        "user": None,
        "project": {"type": "Project", "id": 98},
        "session_uuid": "u",
        "created_at": "2020-02-02T02:02:02Z",
        "description": "d",
    }

    number = sandbox.add_event("Shotgun_Shot_Change", **fields)

    entity = {"type": "Shot", "id": 424242, "name": "Shot 424242"}
    project = {"type": "Project", "id": 98, "name": "Night Ferry"}
    event = sandbox.events(number - 1)[0]
    assert event == {
        "type": "EventLogEntry",
        "id": number,
        "event_type": "Shotgun_Shot_Change",
        **fields,
        "entity": entity,
        "project": project,
    }


def test_many_events_can_each_be_made(sandbox: Sandbox) -> None:
    made = sandbox.add_events(3, "X", make=lambda n: {"entity": {"type": "Task", "id": 1000 + n}, "created_at": 86400 * n})

    events = sandbox.events(made[0] - 1)
    assert [one["entity"]["id"] for one in events] == [1000, 1001, 1002]
    assert events[1]["created_at"] == "1970-01-02T00:00:00Z"
    with pytest.raises(ValueError, match="an event has no colour"):
        sandbox.add_event("X", colour="red")


def test_events_can_be_asked_for_by_type_project_time_and_dotted_path(sandbox: Sandbox, sg: Any) -> None:
    one = sandbox.add_event(
        "Shotgun_Task_Change", entity={"type": "Task", "id": 301}, attribute_name="sg_status_list", created_at=10
    )
    two = sandbox.add_event("Shotgun_Shot_Change", entity={"type": "Shot", "id": 117}, created_at=20)

    def found(*filters: Any, **options: Any) -> list[int]:
        return ids(sg.find("EventLogEntry", [["id", "greater_than", one - 1], *filters], POLLED, **options))

    assert found(["event_type", "is", "Shotgun_Task_Change"]) == [one]
    assert found(["event_type", "not_in", ["Shotgun_Task_Change"]]) == [two]
    assert found(["event_type", "starts_with", "shotgun_shot"]) == [two]
    assert found(["attribute_name", "is", None]) == [two]
    assert found(["project", "is", {"type": "Project", "id": 98}]) == [two]
    assert found(["entity", "type_is", "Task"]) == [one]
    assert found(["entity.Task.entity.Shot.code", "is", "LIT0010"]) == [one]
    assert found(["created_at", "greater_than", "1970-01-01T00:00:15Z"]) == [two]
    assert found(order=[{"field_name": "created_at", "direction": "desc"}]) == [two, one]
    # When its entity is retired
    sg.delete("Shot", 117)
    assert two not in found(["entity", "is", {"type": "Shot", "id": 117}])
    assert two in found(["entity", "is", None])


@pytest.fixture(scope="module")
def history() -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """The client, and 300 events of all sorts as it reads them, some of entities in the trash."""
    with Sandbox() as sandbox:
        sg = sandbox.connect()
        types, attributes = ["Shotgun_Task_Change", "Shotgun_Task_New", "Tool_X"], ["sg_status_list", None]
        entities = [{"type": "Task", "id": 301}, {"type": "Shot", "id": 117}, None, {"type": "Shot", "id": 118}]
        sandbox.add_events(
            300,
            make=lambda n: {
                "event_type": types[n % 3],
                "attribute_name": attributes[n % 2],
                "entity": entities[n % 4],
                "created_at": 10 * n,
            },
        )
        sg.delete("Shot", 118)
        sandbox.skip_event_id(5)
        yield sg, sg.find("EventLogEntry", [], POLLED)


def linked(value: Any, wanted: Any) -> bool:
    return value is None if wanted is None else bool(value) and (value["type"], value["id"]) == (wanted["type"], wanted["id"])


def plainly(row: dict[str, Any], condition: Any) -> bool:
    if isinstance(condition, dict):
        together = all if condition["filter_operator"] == "all" else any
        return together(plainly(row, one) for one in condition["filters"])
    name, relation, *wanted = condition
    if isinstance(wanted[0], list):
        wanted = wanted[0]
    value = row[name]
    if name in ("project", "entity"):
        return any(linked(value, one) for one in wanted) == (relation in ("is", "in"))
    if relation in ("between", "not_between"):
        return bool(wanted[0] <= value <= wanted[1]) is (relation == "between")
    if relation == "starts_with":
        return bool(value.startswith(wanted[0]))
    if relation in ("less_than", "greater_than"):
        return bool(value < wanted[0] if relation == "less_than" else value > wanted[0])
    return (value in wanted) is (relation in ("is", "in"))


numbers = st.integers(0, 320)
links = st.sampled_from([{"type": "Task", "id": 301}, {"type": "Shot", "id": 117}, {"type": "Shot", "id": 118}, None])
conditions = st.one_of(
    st.tuples(st.just("id"), st.sampled_from(["is", "is_not", "less_than", "greater_than"]), numbers),
    st.tuples(st.just("id"), st.sampled_from(["between", "not_between"]), numbers, numbers),
    st.tuples(st.just("id"), st.sampled_from(["in", "not_in"]), st.lists(numbers, min_size=1, max_size=5)),
    st.tuples(
        st.just("event_type"), st.sampled_from(["is", "is_not", "starts_with"]), st.sampled_from(["Tool_X", "Shotgun_Task_New"])
    ),
    st.tuples(st.just("attribute_name"), st.sampled_from(["is", "is_not"]), st.sampled_from(["sg_status_list", None])),
    st.tuples(st.just("project"), st.sampled_from(["is", "is_not"]), st.sampled_from([{"type": "Project", "id": 97}, None])),
    st.tuples(st.just("entity"), st.sampled_from(["is", "is_not"]), links),
    st.tuples(st.just("entity"), st.sampled_from(["in", "not_in"]), st.lists(links.filter(bool), min_size=1, max_size=3)),
).map(list)
groups = st.recursive(
    conditions,
    lambda inner: st.builds(
        lambda operator, some: {"filter_operator": operator, "filters": some},
        st.sampled_from(["all", "any"]),
        st.lists(inner, min_size=1, max_size=4),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(groups, max_size=4), st.sampled_from(["all", "any"]), st.sampled_from(["asc", "desc"]))
def test_random_filters_over_events_agree_with_a_plain_evaluation(
    history: tuple[Any, list[dict[str, Any]]], some: list[Any], operator: str, direction: str
) -> None:
    # Part of such a filter is told by SQL, part by spans of ids, part in Python: together they must not differ from this.
    sg, rows = history
    expected = [row["id"] for row in rows if plainly(row, {"filter_operator": operator, "filters": some})]
    if direction == "desc":
        expected.reverse()

    found = sg.find("EventLogEntry", some, ["id"], [{"field_name": "id", "direction": direction}], operator)
    prepared = sg.find("EventLogEntry", some, POLLED, [{"field_name": "id", "direction": direction}], operator, limit=50)

    assert ids(found) == expected
    assert ids(prepared) == expected[:50]


def test_many_events_do_not_slow_the_poll(sandbox: Sandbox, sg: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures are printed, not asserted: the machine is shared."""

    def seconds(action: Any) -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    filling = seconds(lambda: sandbox.add_events(100_000))
    newest = sandbox.events(100_000)[-1]["id"]
    early, late = (seconds(lambda after=after: poll(sg, ["id", "greater_than", after])) for after in (10, newest - 500))
    gaps = seconds(lambda: poll(sg, ["id", "between", 5, 9], ["id", "greater_than", newest - 400], operator="any"))

    with capsys.disabled():
        pages = f"a page at the beginning {early * 1e3:.0f} ms, at the end {late * 1e3:.0f} ms, with a gap {gaps * 1e3:.0f} ms"
        print(f"\n100,000 events written in {filling:.2f} s; {pages} (the client's own work included)")  # noqa: T201 - the figures
    assert newest == 100_001


def test_bulk_events_take_each_field_from_make_the_type_too(sandbox: Sandbox) -> None:
    ids = sandbox.add_events(4, make=lambda number: {"event_type": f"Studio_Type_{number % 2}", "description": str(number)})
    made = sandbox.events(after=ids[0] - 1)
    assert [(one["event_type"], one["description"]) for one in made] == [(f"Studio_Type_{n % 2}", str(n)) for n in range(4)]
