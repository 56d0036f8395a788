from __future__ import annotations

import sys

import pytest

from callsheet.agent.failures import Secrets, failure_of


def walk_and_pop(names: dict[str, int]) -> None:
    for name in names:
        names.pop(name)


def swap_as_the_howto_does() -> None:
    sys.modules["tank_of_this_test"] = sys
    for name in filter(lambda name: name.startswith("tank_of_this_test"), sys.modules):
        sys.modules.pop(name)


def test_the_howtos_own_swap_is_told_its_cure() -> None:
    with pytest.raises(RuntimeError) as met:
        swap_as_the_howto_does()

    text = failure_of(met.value, Secrets(), skip=0)["text"]

    assert text.startswith("dictionary changed size during iteration (")
    assert "from callsheet.toolkit import import_sgtk" in text
    assert "[plugins.NAME] toolkit = true" in text


def test_the_same_mistake_elsewhere_is_not() -> None:
    with pytest.raises(RuntimeError) as met:
        walk_and_pop({"a": 1, "b": 2})

    assert failure_of(met.value, Secrets(), skip=0)["text"] == "dictionary changed size during iteration"
