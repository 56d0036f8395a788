"""Events that no site should show, and some do: each is taken as far as it can be, told, and holds up no other."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from callsheet.domain.event import LARGEST_ID
from callsheet.errors import SiteError
from callsheet.ports import OddEvent, Page
from callsheet.sandbox import Sandbox
from callsheet.site.event_log import SiteEventLog
from callsheet.site.prefetch import Prefetch
from tests.support.gateway import Gateway

SITE = "studio"


def odd_meta(value: str) -> str:
    """A ``meta`` that has it, as JSON text, beside something that is not odd."""
    return f'{{"entity_id":5,"odd":{value}}}'


def deep(levels: int) -> str:
    return odd_meta("[" * levels + "1" + "]" * levels)


ODD = {
    "nested 150 deep": ("meta", deep(150), "nested deeper than 100"),
    "nested 900 deep": ("meta", deep(900), "nested deeper than 100"),
    "nested 3,000 deep": ("meta", deep(3_000), "nested deeper than 100"),
    "nested 100,000 deep": ("meta", deep(100_000), "nested deeper than 100"),
    "5,000 digits": ("meta", odd_meta("9" * 5_000), "a number that can't be written"),
    "not a number": ("meta", odd_meta("[NaN,-Infinity]"), "a number that can't be written"),
    "a huge text": ("meta", odd_meta(f'"{"x" * 11_000_000}"'), "a text of more than 10,000,000 letters"),
    "half a character": ("event_type", r'"Shotgun_\ud83d"', ""),
    "a NUL": ("session_uuid", r'"a\u0000b"', ""),
    "beyond 64 bit": ("meta", odd_meta(str(2**70)), ""),
    "no type": ("event_type", "null", "its event_type is None"),
    "a type that is a list": ("event_type", '["a"]', "its event_type is ['a']"),
    "an attribute that is an object": ("attribute_name", "{}", "its attribute_name is {}"),
    "a project that is a text": ("project", '"Moth"', "its project is 'Moth'"),
    "an entity that is a list": ("entity", '[{"type":"Task"}]', "its entity is [{'type': 'Task'}]"),
    "a time that is a number": ("created_at", "1e400", "its created_at is inf"),
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(show=False) as sandbox:
        yield sandbox


@pytest.fixture
def gateway(sandbox: Sandbox) -> Iterator[Gateway]:
    with Gateway(sandbox.url) as gateway:
        yield gateway


@pytest.fixture
def log(sandbox: Sandbox, gateway: Gateway) -> Iterator[SiteEventLog]:
    log = SiteEventLog(SITE, gateway.url, sandbox.script, sandbox.key, timeout=10)
    yield log
    log.close()


def odd_event(sandbox: Sandbox, gateway: Gateway, field: str, raw: str) -> int:
    """An event that has that under that key, in the midst of two others; its id."""
    sandbox.add_event("Shotgun_Task_Change")
    number = sandbox.add_event("Shotgun_Task_Change", session_uuid="its-own")
    sandbox.add_event("Shotgun_Task_Change")
    gateway.rewritten = {}
    with closing(SiteEventLog(SITE, sandbox.url, sandbox.script, sandbox.key)) as plain:
        (event,) = plain.read(number - 1, 1).events
    text = event.payload
    was = json.dumps(event.data[field], separators=(",", ":"))
    changed = text.replace(f'"{field}":{was}', f'"{field}":{raw}', 1)
    assert changed != text
    gateway.rewritten = {text.encode(): changed.encode()}
    return number


def shown(page: Page) -> list[int]:
    return [event.id for event in page.events]


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_event_is_taken_as_far_as_it_can_be(sandbox: Sandbox, gateway: Gateway, log: SiteEventLog, odd: str) -> None:
    field, raw, why = ODD[odd]
    number = odd_event(sandbox, gateway, field, raw)

    page = log.read(number - 2, 500)

    assert shown(page) == [number - 1, number, number + 1]
    assert [(one.event_id, one.taken) for one in page.odd] == ([(number, True)] if why else [])
    assert all(why in one.why for one in page.odd)
    event = page.events[1]
    payload = json.loads(event.payload)
    assert payload == event.data
    if field == "meta":
        assert "entity_id" in payload["meta"]  # what is not odd is there
    with closing(sqlite3.connect(":memory:")) as database:
        assert database.execute("SELECT json_valid(?)", (event.payload,)).fetchone() == (1,)


@pytest.mark.parametrize(
    "raw", [str(2**63), str(10**70), str(LARGEST_ID), "0", "-5", "1.5", '"abc"', "null", "true", "9" * 5_000, "[]"]
)
def test_an_event_without_a_usable_id_is_left_out_and_told(sandbox: Sandbox, gateway: Gateway, log: SiteEventLog, raw: str) -> None:
    number = odd_event(sandbox, gateway, "id", raw)

    page = log.read(number - 2, 500)

    assert shown(page) == [number - 1, number + 1]
    (odd,) = page.odd
    assert not odd.taken
    assert "its id is no whole number" in odd.why


def test_an_entry_that_is_no_event_is_left_out_and_told(sandbox: Sandbox, gateway: Gateway, log: SiteEventLog) -> None:
    number = odd_event(sandbox, gateway, "id", "5")
    gateway.rewritten = {next(iter(gateway.rewritten)): b"null"}

    page = log.read(number - 2, 500)

    assert shown(page) == [number - 1, number + 1]
    assert [one.taken for one in page.odd] == [False]


def test_a_page_full_of_events_without_ids_is_read_past(sandbox: Sandbox, gateway: Gateway, log: SiteEventLog) -> None:
    number = odd_event(sandbox, gateway, "id", "null")

    page = log.read(number - 1, 1)

    assert shown(page) == [number + 1]
    assert [one.taken for one in page.odd] == [False]


def test_what_is_read_ahead_is_told_as_well(sandbox: Sandbox, gateway: Gateway) -> None:
    number = odd_event(sandbox, gateway, "id", str(2**63))
    sandbox.add_events(20)
    log = Prefetch(lambda: SiteEventLog(SITE, gateway.url, sandbox.script, sandbox.key, timeout=10))
    odd: list[OddEvent] = []
    at = number - 2
    while (page := log.read(at, 1)).events:
        odd += page.odd
        at = page.events[-1].id
    log.close()
    assert [one.event_id for one in odd] == [str(2**63)]


def test_the_newest_id_is_the_newest_that_is_one(sandbox: Sandbox, log: SiteEventLog) -> None:
    numbers = sandbox.add_events(3)
    sandbox.skip_event_id(2 * LARGEST_ID)
    assert sandbox.add_event("Shotgun_Task_Change") > LARGEST_ID

    assert log.newest_id() == numbers[-1]
    assert log.settled_id(0, 4e9) == numbers[-1]
    assert shown(log.read(0, 500)) == list(numbers)


@pytest.mark.parametrize("raw", [str(2**70), "null", '"5"'])
def test_a_newest_id_that_is_none_is_no_answer(sandbox: Sandbox, gateway: Gateway, log: SiteEventLog, raw: str) -> None:
    numbers = sandbox.add_events(3)
    gateway.rewritten = {b'"id":%d' % numbers[-1]: b'"id":' + raw.encode()}

    with pytest.raises(SiteError, match=r"and shows event|and no number"):
        log.newest_id()


def test_a_type_that_a_site_can_not_be_asked_for_is_read_with_all_others(sandbox: Sandbox, log: SiteEventLog) -> None:
    numbers = sandbox.add_events(3)

    assert shown(log.read(0, 500, types=frozenset({"Shotgun_\ud83c_Change", "Shotgun_Note_New"}))) == list(numbers)
