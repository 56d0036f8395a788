"""``@on``: what it takes, and what it says to those who get it wrong."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from callsheet import Context, GiveUp, Retry, Skip, on
from callsheet.agent.api import gather

partial: Any = functools.partial  # the type checker refuses what these tests are about


async def asks_later(event: Any) -> bool:
    return bool(event)


def yields(argument: Any) -> Iterator[Any]:
    yield argument


async def yields_later(argument: Any) -> AsyncIterator[Any]:
    yield argument


class Handler:
    def __init__(self, options: Any = None) -> None: ...

    def __call__(self, ctx: Any) -> None: ...

    def two(self, ctx: Any, more: Any) -> None: ...

    def generator(self, ctx: Any) -> Iterator[Any]:
        yield ctx


def test_the_function_stays_itself() -> None:
    @on("Shotgun_Task_Change")
    def callback(ctx: Context) -> str:
        return f"called with {ctx!r}"

    event = {"id": 7, "event_type": "Shotgun_Task_Change"}
    assert callback(Context(event, connect=lambda: None, log=None)) == (  # type: ignore[arg-type] # not used
        "called with <Context of event 7 Shotgun_Task_Change, attempt 1>"
    )


def test_rules_are_gathered_where_somebody_gathers() -> None:
    with gather() as outer:
        with gather() as inner:
            on("A")(print)
        on("B", retry=3, attribute="code")(print)

    assert [one.event_types for one in inner] == [("A",)]
    assert [(one.event_types, one.retry, one.attributes) for one in outer] == [(("B",), {"attempts": 3}, ("code",))]


@pytest.mark.parametrize(
    ("types", "options", "kind", "what"),
    [
        ((), {}, TypeError, 'at least one event type: @on("Shotgun_Task_Change"), or @on("*")'),
        ((print,), {}, TypeError, 'write @on("Shotgun_Task_Change") above the function, with parentheses'),
        (("A",), {"lane": "entty"}, ValueError, 'lane=\'entty\': say one of "entity", "project", "plugin", "none", or a path'),
        (("A",), {"ignore_own": "scripts"}, TypeError, '"script" all that its script user did'),
        (("A",), {"ignore_own": None}, TypeError, "True leaves out what the plugin wrote"),
        (("A",), {"lane": "meta.entity_id,nothing.here"}, ValueError, "a path into the event"),
        (("A",), {"where": "yes"}, TypeError, "where= is a function of the event"),
        (("A",), {"on_dead": "stop"}, ValueError, 'say "continue" or "hold"'),
        (("A",), {"slots": 0}, ValueError, "a whole number, 1 or more"),
        (("A",), {"timeout": 0}, ValueError, "more than 0. Leave it out for no limit"),
        (("A",), {"timeout": "soon"}, ValueError, "such as"),
        (("A",), {"script": "name"}, TypeError, "a pair, the script user's name and its key"),
        (("A",), {"retry": 0}, ValueError, "attempts is a whole number, 1 or more"),
        (("A",), {"retry": {"tries": 3}}, ValueError, "'tries' is not one of attempts, first, factor"),
        (("A",), {"retry": {"max_age": "soon"}}, ValueError, "0 or more, not 'soon'"),
        (("A",), {"retry": {"first": "soon"}}, ValueError, "0 or more, not 'soon'"),
        (("A",), {"attribute": [5]}, TypeError, "attribute= takes a name or several, not 5"),
        (("A",), {"fields": [None]}, TypeError, "fields= takes a name or several, not None"),
        (("A",), {"project": 5.0}, TypeError, "project= takes an id, a name, a link, or several of these, not 5.0"),
        (("A",), {"user": [True]}, TypeError, "user= takes an id, a name, a link, or several of these, not True"),
        (("A",), {"user": {"name": "Ada"}}, TypeError, "not {'name': 'Ada'}"),
        (
            ("A",),
            {"entity": "shot"},
            TypeError,
            'a type ("Shot"), a type with an id ("Shot:14"), or several of these, not \'shot\'',
        ),
        (("A",), {"entity": "Shot:ten"}, TypeError, "not 'Shot:ten'"),
        (("A",), {"script": ("", "key")}, ValueError, "names no script user"),
        (("A",), {"where": lambda: True}, TypeError, "<lambda>() must take exactly one positional argument, the event."),
        (("A",), {"where": asks_later}, TypeError, "where= can't be async def"),
        (("A",), {"where": partial(asks_later)}, TypeError, "where= can't be async def"),
        (("A",), {"where": yields}, TypeError, "yields is a generator: calling it runs none of its code."),
    ],
)
def test_misuse_is_refused_with_the_cure(types: Any, options: Any, kind: type[Exception], what: str) -> None:
    with pytest.raises(kind) as raised:
        on(*types, **options)

    assert what in str(raised.value)


def test_decorating_what_can_not_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="decorates a function that takes a Context, not 5"):
        on("A")(5)  # type: ignore[type-var] # on purpose


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda: None, "<lambda>() must take exactly one positional argument, the Context."),
        (lambda ctx, more: None, "<lambda>(ctx, more) must take exactly one positional argument"),
        (lambda ctx, *, must: None, "<lambda>(ctx, *, must) must take exactly one"),
        (Handler.__call__, "Handler.__call__(self, ctx: 'Any') -> 'None' must take exactly one"),
        (Handler().two, "Handler.two(ctx: 'Any', more: 'Any') -> 'None' must take exactly one"),
        (partial(lambda ctx: None, 1), "<lambda>() must take exactly one"),
        (
            partial(Handler().two, 1, 2, 3),
            "A partial of Handler.two(ctx: 'Any', more: 'Any') -> 'None' can't be called: its arguments don't fit.",
        ),
        (Handler, "The callback can't be the class Handler: calling it only makes an object."),
        (yields, "yields is a generator: calling it runs none of its code."),
        (Handler().generator, "Handler.generator is a generator"),
        (partial(yields), "yields is a generator"),
        (yields_later, "yields_later is an asynchronous generator"),
    ],
)
def test_what_can_not_do_its_work_when_it_is_called_is_refused(function: Any, what: str) -> None:
    with pytest.raises(TypeError) as raised:
        on("A")(function)

    assert what in str(raised.value)


@pytest.mark.parametrize(
    "function",
    [
        lambda ctx: None,
        lambda ctx=None: None,
        lambda *everything: None,
        lambda ctx, verbose=False, **more: None,
        Handler(),
        partial(Handler().two, more=1),
        partial(lambda tag, ctx: None, "tag"),
        functools.lru_cache(lambda ctx: None),
        functools.wraps(Handler().two)(lambda ctx: None),
        asks_later,
        print,
        Mock(),
        MagicMock(),
    ],
)
def test_what_can_be_called_with_a_context_is_taken(function: Any) -> None:
    assert on("A")(function) is function


def test_the_same_rule_twice_is_refused_and_another_one_is_not() -> None:
    def twice(ctx: Context) -> None: ...

    with gather() as rules:
        on("A")(twice)
        on("B")(twice)
        on("A", attribute="code")(twice)
        with pytest.raises(ValueError, match="twice has the same @on twice"):
            on("A")(twice)

    assert len(rules) == 3


def test_wishes_carry_their_reason() -> None:
    assert (Retry("later", after=5).after, str(Retry("later")), Retry().after) == (5, "later", None)
    assert (str(Skip("why")), str(GiveUp("why"))) == ("why", "why")
    with pytest.raises(ValueError, match="from now, so 0 or more"):
        Retry(after=-1)
