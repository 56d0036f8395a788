"""The marks that workers put on what plugins write, as the daemon reads them."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.agent.marks import DEEPEST, Signature, depth_of
from callsheet.model import PluginKey
from callsheet.policy import cascades
from callsheet.policy.cascades import Mark


@given(st.text(), st.text(), st.text(), st.integers(1, DEEPEST))
def test_a_mark_is_a_uuid_and_tells_depth_and_plugin(site: str, plugin: str, callback: str, depth: int) -> None:
    mark = Signature(site, plugin, callback).mark(depth)

    assert str(uuid.UUID(mark)) == mark
    assert (uuid.UUID(mark).version, uuid.UUID(mark).variant) == (8, uuid.RFC_4122)
    assert cascades.read(mark) == Mark(depth, cascades.sign(PluginKey(site, plugin)))
    assert depth_of(mark) == depth


def test_no_two_marks_are_the_same() -> None:
    signature = Signature("studio", "plugin", "react")

    assert len({signature.mark(1) for _ in range(100)}) == 100


def test_a_chain_deeper_than_can_be_written_stays_at_the_deepest() -> None:
    assert depth_of(Signature("studio", "plugin", "react").mark(DEEPEST + 40)) == DEEPEST


@pytest.mark.parametrize("other", [None, 5, "", "f677f6dd-4b68-458a-8a2e-43fa58d37179", "ca115ee7-", "ca115ee7-zz00-8000-8000-000000000000"])
def test_a_session_uuid_of_another_is_no_mark(other: object) -> None:
    assert cascades.read(other) is None
    assert depth_of(other) == 0
