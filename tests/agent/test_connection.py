from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from callsheet.agent.connection import IDLE, Connection, Site, ThreadConnections
from callsheet.sandbox import Sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sg(sandbox: Sandbox) -> Any:
    """Connected late, as a plugin's."""
    return Site(sandbox.url, None).connect(sandbox.script, sandbox.key)


def test_nothing_is_said_to_the_site_before_the_first_call(sg: Any) -> None:
    assert Connection(sg).ready() is sg
    assert sg._connection is None


def test_an_open_connection_is_kept(sg: Any) -> None:
    held = Connection(sg)
    sg.find_one("Task", [])
    held.used()
    socket = open_socket(sg)

    assert open_socket(held.ready()) is socket


def test_an_idle_connection_is_not_trusted(sg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Connection(sg)
    sg.find_one("Task", [])
    held.used()
    late = time.monotonic() + IDLE + 1

    monkeypatch.setattr("callsheet.agent.connection.time", SimpleNamespace(monotonic=lambda: late))

    assert held.ready()._connection is None


def test_a_dropped_connection_is_noticed(sg: Any, sandbox: Sandbox) -> None:
    held = Connection(sg)
    sg.find_one("Task", [])
    held.used()

    sandbox.drop_connections()

    assert held.ready()._connection is None
    assert sg.find_one("Task", [])


def test_threads_have_connections_of_their_own(sandbox: Sandbox) -> None:
    held = ThreadConnections(lambda: Site(sandbox.url, None).connect(sandbox.script, sandbox.key))
    mine = held.ready()

    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(held.ready).result()
        again = pool.submit(held.ready).result()

    assert held.ready() is mine
    assert theirs is again
    assert theirs is not mine


def test_what_a_thread_writes_carries_its_mark_also_by_an_object_that_it_kept(sandbox: Sandbox) -> None:
    held = ThreadConnections(lambda: Site(sandbox.url, None).connect(sandbox.script, sandbox.key))
    held.mark("first")
    kept = held.ready()
    made = kept.create("Note", {"subject": "one", "project": kept.find_one("Project", [])})
    held.mark("second")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(held.mark, "another thread's").result()
    kept.update("Note", made["id"], {"subject": "two"})

    marks = [one["session_uuid"] for one in sandbox.events() if one["meta"].get("entity_type") == "Note"]
    assert (marks[0], marks[-1]) == ("first", "second")


def open_socket(sg: Any) -> Any:
    (held,) = sg._connection.connections.values()
    return held.sock
