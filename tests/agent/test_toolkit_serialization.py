from __future__ import annotations

import datetime as dt
import enum
import json
import pathlib
from collections import OrderedDict, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.agent.toolkit.serialization import CarriedContext, CarryError, pack, unpack

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.dates()
    | st.timedeltas(dt.timedelta(days=-900), dt.timedelta(days=900)).map(lambda one: dt.timedelta(seconds=one.seconds))
)
HASHABLE = st.text() | st.integers() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    SCALARS, lambda one: st.lists(one) | st.tuples(one, one) | st.sets(HASHABLE) | st.dictionaries(HASHABLE | st.just("~"), one)
)
TOKYO = dt.timezone(dt.timedelta(hours=9))
Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - as plugins have them


class Colour(enum.IntEnum):
    RED = 3


def over(value: Any) -> Any:
    """The value as it arrives on the other side."""
    return unpack(json.loads(json.dumps(pack(value))))


@given(VALUES)
def test_what_is_data_arrives_as_it_was(value: Any) -> None:
    assert over(value) == value


@pytest.mark.parametrize(
    ("value", "arrived"),
    [
        (pathlib.Path("/mnt/shots/a.exr"), pathlib.Path("/mnt/shots/a.exr")),
        (Pair(1, [2]), (1, [2])),
        (Colour.RED, 3),
        (OrderedDict(a=1), {"a": 1}),
        ({"~": ["path", "no"]}, {"~": ["path", "no"]}),
        ("half a character \ud800", "half a character \ud800"),
        (dt.datetime(2026, 1, 2, 3, tzinfo=TOKYO), dt.datetime(2026, 1, 2, 3, tzinfo=TOKYO)),
    ],
    ids=repr,
)
def test_what_is_nearly_data_arrives_as_what_it_is_made_of(value: Any, arrived: Any) -> None:
    assert over(value) == arrived
    assert type(over(value)) is type(arrived)


def test_a_value_that_can_not_be_carried_is_named_with_its_place_and_the_cure() -> None:
    with pytest.raises(CarryError, match=r"^the 2nd argument\['shots'\]\[1\] is a builtins\.generator, .*: send a list of it\.$"):
        pack({"shots": [1, (one for one in "ab")]}, "the 2nd argument")


def test_a_coroutine_is_no_value() -> None:
    async def later() -> None: ...

    coroutine = later()
    with pytest.raises(CarryError, match="nobody awaits it there; declare the function with def"):
        pack(coroutine)
    coroutine.close()


@pytest.mark.parametrize("value", [object(), len, pathlib, Exception("no"), 1j])
def test_other_things_are_refused(value: Any) -> None:
    with pytest.raises(CarryError, match="can't be carried to another process"):
        pack(value)


def test_what_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(CarryError, match="contains itself"):
        pack(endless)


def test_a_context_is_its_links_where_there_is_no_toolkit_and_goes_back_as_a_context() -> None:
    links = {"project": {"type": "Project", "id": 97, "name": "Lighthouse"}, "entity": None}
    arrived = over({"at": CarriedContext(links)})["at"]

    assert arrived == CarriedContext(links)
    assert arrived.project["id"] == 97
    assert unpack(pack(arrived), "the tk", lambda tk, data: (tk, data)) == ("the tk", links)
    with pytest.raises(AttributeError, match="has entity, project, not shot"):
        arrived.shot  # noqa: B018 - reading it is the test
