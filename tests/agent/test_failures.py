from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest

from callsheet.agent import safe_repr
from callsheet.agent.context import Context
from callsheet.agent.failures import Failure, Secrets, failure_of
from callsheet.agent.safe_repr import PATIENCE


def fail_with(**variables: Any) -> Failure:
    """The failure of a function that has these locals, with the key known to be secret."""
    secrets = Secrets()
    secrets.add("very-secret-key")
    secrets.add("very-secret")
    secrets.add("abc")
    try:
        _plugin(variables)
    except RuntimeError as error:
        return failure_of(error, secrets)
    raise AssertionError


def _plugin(variables: dict[str, Any]) -> None:
    shown = variables
    raise RuntimeError("no luck with very-secret-key abc") from KeyError(len(shown))


def test_kind_text_and_traceback_begin_at_the_plugin() -> None:
    failure = fail_with()

    assert failure["kind"] == "RuntimeError"
    assert failure["traceback"].startswith("KeyError: 0\n\nThe above exception was the direct cause")
    assert "in _plugin" in failure["traceback"]
    assert "in fail_with" not in failure["traceback"]


def test_keys_show_nowhere() -> None:
    failure = fail_with(key="very-secret-key", nested=[{"very-secret-key": 1}], part="very-secret")

    assert failure["text"] == "no luck with *** abc"
    assert "very-secret" not in str(failure)
    assert failure["locals"].count("***") == 8  # as a value, as a key and what that holds, as a part; in two variables


def test_a_key_is_hidden_however_it_is_shown() -> None:
    key = "it's a \\ key\n"
    secrets = Secrets()
    secrets.add(key)

    class Box:
        def __repr__(self) -> str:
            return f"Box({key!r})"

    text = "x" * 1990 + key
    try:
        _plugin({"box": Box(), "text": text, "plain": key, "blob": key.encode()})
    except RuntimeError as error:
        shown = failure_of(error, secrets)["locals"]

    assert "it" not in shown.replace("repr", "")
    assert "Box('***')" in shown.replace('"', "'")


def test_names_that_promise_a_secret_hide_it() -> None:
    failure = fail_with(
        password="hunter2", api_key="abc", nested={"Session_Token": "t0ken", "key": 5, "monkey": "seen"}, token=None
    )

    assert not {"hunter2", "'abc'", "t0ken"} & set(failure["locals"].replace(",", " ").split())
    assert "'monkey': 'seen'" in failure["locals"]
    assert "'token': None" in failure["locals"]


def test_huge_values_are_cut_and_cost_nothing() -> None:
    failure = fail_with(numbers=list(range(10**6)), text="x" * 10**6, table=dict.fromkeys(range(10**6)), some={*range(1000)})

    assert len(failure["locals"]) < 20100
    assert "999950 more" in failure["locals"]


def test_values_that_contain_themselves_or_can_not_be_shown_are_shown_somehow() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError("never")

    loop: list[Any] = []
    loop.append(loop)

    failure = fail_with(loop=loop, broken=Broken())

    assert "<Broken whose repr raises ValueError>" in failure["locals"]
    assert "[[[..." in failure["locals"]


def test_an_exception_without_a_text_of_its_own_is_told() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError("never")

    failure = failure_of(MuteError(), Secrets())

    assert failure["kind"].endswith("MuteError")
    assert failure["text"] == "<an exception whose text raises, of type MuteError>"


def test_a_wide_and_deep_structure_costs_no_more_than_what_is_shown() -> None:
    level: Any = 0
    for _ in range(5):
        level = [level] * 50

    began = time.monotonic()
    failure = fail_with(level=level)

    assert len(failure["locals"]) < 20100
    assert time.monotonic() - began < 2 * PATIENCE


def test_a_repr_that_never_ends_holds_up_nothing_and_the_rest_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_repr, "PATIENCE", 0.2)
    end = threading.Event()

    class Endless:
        def __repr__(self) -> str:
            end.wait()
            return "at last"

    def plugin() -> None:
        first = 1
        endless = Endless()
        raise RuntimeError(first, endless is None)

    try:
        plugin()
    except RuntimeError as error:
        shown = failure_of(error, Secrets())["locals"]
    end.set()

    assert "'endless': <not shown in time>" in shown
    assert "'first': 1" in shown


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, RecursionError])
def test_a_repr_that_raises_the_worst_is_told(error: type[BaseException]) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise error

    assert f"<Broken whose repr raises {error.__name__}>" in fail_with(broken=Broken())["locals"]


def test_a_repr_that_is_huge_is_cut() -> None:
    class Huge:
        def __repr__(self) -> str:
            return "x" * 10**6

    assert "(998000 letters more)" in fail_with(huge=Huge())["locals"]


def test_of_a_context_the_event_is_shown() -> None:
    def callback(ctx: Context) -> None:
        raise ValueError(ctx.attempt)

    secrets = Secrets()
    secrets.add("very-secret-key")
    event = {"id": 812934, "meta": {"old_value": "very-secret-key"}}
    context = Context(event, connect=lambda: None, log=logging.getLogger())
    with pytest.raises(ValueError, match="1") as caught:
        callback(context)
    locals_shown = failure_of(caught.value, secrets)["locals"]
    assert "'ctx.event': {'id': 812934" in locals_shown
    assert "very-secret-key" not in locals_shown
