"""Which project may have a session: in turn, and none for ever."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from callsheet.workers.sessions import admission
from callsheet.workers.sessions.admission import Places
from callsheet.workers.sessions.session import Session, SessionKey
from callsheet.workers.worker import Worker

NOW = 1000.0


def session(project: int, *, live: bool = False, busy: bool = False, leaving: bool = False, **facts: Any) -> Session:
    """A project's session; ``live``: with a worker that has its Toolkit open."""
    one = Session(SessionKey("studio", project))
    one.warm = True  # it is wanted
    if live:
        one.worker = cast("Worker", SimpleNamespace(opened={}, leaving=leaving, occupied=busy))
    for name, value in facts.items():
        setattr(one, name, value)
    return one


def test_they_are_let_in_in_the_order_in_which_they_were_wanted() -> None:
    places = Places(2)
    first, second, third, fourth = (session(number) for number in range(1, 5))
    assert places.ask(first, live=0)
    assert not places.ask(second, live=2)
    assert not places.ask(third, live=2)
    assert not places.ask(second, live=2)  # asked for again, it keeps its place
    assert not places.ask(fourth, live=1)  # there is room, but others were first
    assert places.admitted(live=1) == [second]
    assert places.admitted(live=1) == [third]
    fourth.warm = False
    assert places.admitted(live=0) == []  # what wanted it has gone back


def waiting(places: Places, count: int = 1) -> None:
    for number in range(count):
        places.ask(session(100 + number), live=99)


def test_the_one_idle_longest_makes_room() -> None:
    places = Places(3)
    sessions = [session(1, live=True, busy=True), session(2, live=True, used_at=NOW - 5), session(3, live=True, used_at=NOW - 9)]
    assert places.displaced(sessions, NOW) is None  # nobody waits
    waiting(places)
    assert places.displaced(sessions, NOW) is sessions[2]


def test_one_that_always_has_something_to_do_makes_room_after_its_turn() -> None:
    places = Places(2)
    waiting(places)
    began = NOW - admission.TURN
    sessions = [
        session(1, live=True, busy=True, serving_since=began + 1),
        session(2, live=True, busy=True, serving_since=began + 2),
    ]
    assert places.displaced(sessions, NOW) is None
    assert places.displaced(sessions, NOW + 5) is sessions[0]


def test_no_more_make_room_than_wait() -> None:
    places = Places(3)
    waiting(places)
    ends = session(1, live=True, leaving=True, busy=True)
    others = [session(2, live=True, used_at=NOW), session(3, live=True, busy=True, serving_since=0.0)]
    # One that still runs something may take hours: an idle one goes for it, one that has something to do does not.
    assert places.displaced([ends, *others], NOW) is others[0]
    assert places.displaced([ends, others[1]], NOW) is None
    ends_soon = session(1, live=True, leaving=True)
    assert places.displaced([ends_soon, *others], NOW) is None
    waiting(places, 2)
    assert places.displaced([ends_soon, *others], NOW) is others[0]
