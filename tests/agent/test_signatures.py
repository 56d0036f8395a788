from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

from callsheet.agent.signatures import check_callable, form_of, is_coroutine_function, logger_name_of, name_of


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


async def later(sg: Any, logger: Any, event: Any, args: Any) -> None: ...


@types.coroutine
def by_yield(sg: Any, logger: Any, event: Any, args: Any) -> Iterator[None]:
    yield


class Later:
    async def __call__(self, context: Any) -> None: ...


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """As a decorator does that takes anything."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    return wrapper


def with_database(function: Callable[..., Any]) -> Callable[..., Any]:
    """As a decorator does that adds an argument."""

    @functools.wraps(function)
    def wrapper(sg: Any, logger: Any, event: Any, args: Any) -> Any:
        return function(sg, logger, event, args, "database")

    return wrapper


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
        (later, 4),
        (Later(), 1),
        (wrapped(lambda context: None), 1),
        (wrapped(Instance().method), 3),
        (wrapped(lambda sg, logger, event, args, added: None), 4),
        (with_database(lambda sg, logger, event, args, database: None), 4),
        (functools.lru_cache(lambda sg, event, args: None), 3),
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


@pytest.mark.parametrize(
    "callback",
    [
        later,
        by_yield,
        Later(),
        Later().__call__,
        functools.partial(later, None),
        functools.partial(functools.partial(later, None), None),
        wrapped(later),
        wrapped(functools.partial(later)),
        functools.partial(wrapped(later)),
        AsyncMock(),
    ],
)
def test_a_coroutine_function_is_told_inside_of_what_is_around_it(callback: Callable[..., Any]) -> None:
    assert is_coroutine_function(callback)


@pytest.mark.parametrize("callback", [two, Instance(), Instance().method, print, wrapped(two), Mock(), MagicMock(), InC(), Later])
def test_others_are_none(callback: Callable[..., Any]) -> None:
    assert not is_coroutine_function(callback)


def test_names_are_those_of_functions_and_of_classes_of_instances() -> None:
    instance = Instance()

    assert (name_of(two), logger_name_of(two)) == ("two", "two")
    assert name_of(instance) == "Instance"
    assert logger_name_of(instance) == f"Instance_{hex(id(instance))}"
    assert name_of(functools.partial(two)) == "partial"
