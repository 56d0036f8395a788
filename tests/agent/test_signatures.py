from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from callsheet.agent.signatures import check_callable, form_of, logger_name_of, name_of


class Instance:
    def __call__(self, sg: Any, logger: Any, event: Any, args: Any) -> None: ...

    def method(self, sg: Any, event: Any, args: Any) -> None: ...

    @classmethod
    def of_class(cls, context: Any) -> None: ...

    @staticmethod
    def static(sg: Any, logger: Any, event: Any, args: Any, more: Any = None) -> None: ...


class InC:
    """As a function written in C: no signature to be had."""

    __signature__ = "none"

    def __call__(self, *_: Any) -> None: ...


def two(sg: Any, event: Any) -> None: ...


def with_keyword(sg: Any, logger: Any, event: Any, args: Any, *, must: Any) -> None: ...


@pytest.mark.parametrize(
    ("callback", "form"),
    [
        (lambda sg, logger, event, args: None, 4),
        (lambda sg, logger, event, args=None: None, 4),
        (lambda *everything: None, 4),
        (lambda sg, *rest: None, 4),
        (lambda sg, event, args: None, 3),
        (lambda context: None, 1),
        (lambda context, verbose=False: None, 1),
        (Instance(), 4),
        (Instance().method, 3),
        (Instance.of_class, 1),
        (Instance.static, 4),
        (functools.partial(Instance.static, None), 4),
        (functools.partial(lambda tag, sg, event, args: None, "tag"), 3),
        (Mock(), 4),
        (InC(), 4),
        (print, 4),
    ],
)
def test_the_form_is_told_by_the_signature(callback: Callable[..., Any], form: int) -> None:
    assert form_of(callback) == form


@pytest.mark.parametrize(
    ("callback", "signature"),
    [
        (two, "two(sg: 'Any', event: 'Any') -> 'None'"),
        (with_keyword, "with_keyword(sg: 'Any', logger: 'Any', event: 'Any', args: 'Any', *, must: 'Any') -> 'None'"),
        (lambda: None, "<lambda>()"),
    ],
)
def test_a_signature_that_fits_none_is_named_with_the_three_that_do(callback: Callable[..., Any], signature: str) -> None:
    with pytest.raises(TypeError) as raised:
        form_of(callback)

    assert str(raised.value) == (
        f"{signature} can't be called as a callback: it must take one of (sg, logger, event, args), (sg, event, args), (context)."
    )


def test_what_can_not_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match=r"must be a callable object .* not 5\."):
        check_callable(5)


def test_names_are_those_of_functions_and_of_classes_of_instances() -> None:
    instance = Instance()

    assert (name_of(two), logger_name_of(two)) == ("two", "two")
    assert name_of(instance) == "Instance"
    assert logger_name_of(instance) == f"Instance_{hex(id(instance))}"
    assert name_of(functools.partial(two)) == "partial"
