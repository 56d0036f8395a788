from __future__ import annotations

from typing import Any

from callsheet.agent.failures import Failure, Secrets, failure_of


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
    assert failure["locals"].count("***") == 6  # as a value, as a key, as a part; in two variables


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
