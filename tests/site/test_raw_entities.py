"""Entities and their own texts, out of a site's answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsheet.site.raw_entities import decoded

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda some: st.lists(some) | st.dictionaries(st.text(), some)
)
ENTITIES = st.lists(st.dictionaries(st.text() | st.just("entities"), VALUES))


@settings(deadline=None)
@given(ENTITIES, st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")]), st.booleans())
def test_each_entity_comes_with_the_text_that_says_it(
    entities: list[dict[str, Any]], separators: tuple[str, str], ascii_only: bool
) -> None:
    whole = {"results": {"entities": entities, "paging_info": {"has_next_page": False}}}
    answer, texts = decoded(json.dumps(whole, separators=separators, ensure_ascii=ascii_only))
    assert answer == whole
    assert [json.loads(text or "") for text in texts] == entities


@pytest.mark.parametrize(
    "whole",
    [
        {"version": [8, 76, 0]},
        {"exception": True, "message": 'no "entities": [{}] here', "error_code": 103},
        {"results": [{"entities": [{"id": 1}]}]},
        {"note": {"entities": [{"id": 1}]}, "results": {"entities": [{"id": 2}]}},
        {"results": {"entities": [1, 2]}},
        [],
    ],
)
def test_another_answer_is_decoded_as_it_is(whole: Any) -> None:
    assert decoded(json.dumps(whole)) == (whole, [])


@pytest.mark.parametrize("text", ['{"results":{"entities":[{"id":1},{"id"', '{"results":{"entities":[{"id":1}}', "<html>", ""])
def test_half_an_answer_is_none(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        decoded(text)
