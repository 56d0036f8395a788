"""The marks that workers put on what plugins write, as the daemon reads them."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Failure
from callsheet.policy import loop_protection
from callsheet.policy.loop_protection import Mark
from callsheet.wire.causality import DEEPEST, NOBODY, Chain, Signature, chain_of

ANYBODY = st.builds(Chain, st.integers(0, DEEPEST - 1), st.integers(0, 2**28 - 1))


@given(st.text(), st.text(), ANYBODY)
def test_a_mark_is_a_uuid_and_tells_plugin_and_depth(site: str, plugin: str, chain: Chain) -> None:
    signature = Signature(site, plugin)
    mark = signature.mark(chain)

    assert str(uuid.UUID(mark)) == mark
    assert (uuid.UUID(mark).version, uuid.UUID(mark).variant) == (8, uuid.RFC_4122)
    assert loop_protection.read(mark) == Mark(chain.depth + 1, loop_protection.sign(PluginKey(site, plugin)))
    longer = chain_of(mark)
    assert longer.depth == chain.depth + 1
    assert longer.plugins & chain.plugins == chain.plugins
    assert signature.is_in(longer)


def test_a_chain_knows_who_is_in_it_and_hardly_takes_another_for_one_of_them() -> None:
    ping, pong = Signature("studio", "ping"), Signature("studio", "pong")
    chain = chain_of(ping.mark(chain_of(pong.mark())))
    taken = [name for number in range(1000) if Signature("studio", name := f"plugin{number}").is_in(chain)]

    assert ping.is_in(chain)
    assert pong.is_in(chain)
    assert not ping.is_in(NOBODY)
    assert len(taken) < 50


def test_no_two_marks_are_the_same_for_long() -> None:
    assert len({Signature("studio", "plugin").mark() for _ in range(100)}) > 90


def test_a_chain_deeper_than_can_be_written_stays_at_the_deepest() -> None:
    assert chain_of(Signature("studio", "plugin").mark(Chain(DEEPEST, 0))).depth == DEEPEST


@pytest.mark.parametrize(
    "other",
    [None, 5, "", "f677f6dd-4b68-458a-8a2e-43fa58d37179", "ca115ee7-", "ca115ee7-zz00-8000-8000-000000000000"],
)
def test_a_session_uuid_of_another_is_no_mark(other: object) -> None:
    assert loop_protection.read(other) is None
    assert chain_of(other) == NOBODY


def test_those_who_answer_each_other_are_named() -> None:
    ping, pong = PluginKey("studio", "ping"), PluginKey("studio", "pong")
    failure = Failure(loop_protection.KIND, "9 stand", "a traceback")
    known = loop_protection.explain(failure, Signature(*pong).mark(), ping, [ping, pong])
    unknown = loop_protection.explain(failure, Signature(*pong).mark(), ping, [ping])

    assert known.text.startswith("plugins that answer each other's writes: pong, then ping; 9 stand. Have one of them")
    assert unknown.text.startswith("plugins that answer each other's writes: a plugin that is gone, then ping; 9 stand")
    assert (known.kind, known.traceback) == (loop_protection.KIND, "")


def test_one_that_answers_writes_without_a_mark_is_told_what_to_do() -> None:
    failure = Failure(loop_protection.KIND, "it was called 20 times in a row", "a traceback")
    found = loop_protection.explain(failure, None, PluginKey("studio", "ping"), [])

    assert found.text.startswith("ping seems to answer its own writes: it was called 20 times in a row. Have it")
    assert (found.kind, found.traceback) == (loop_protection.KIND, "")
