"""Which ids a replay reads next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callsheet.domain.callback import PluginKey
from callsheet.domain.reading import Gap, Replay
from callsheet.policy.replay_ranges import Piece, piece, ranges

MOST = 10_000


def asked(*parts: tuple[int, int], position: int = 0) -> Replay:
    return Replay(1, PluginKey("studio", "plugin"), None, parts, position)


def test_words_become_ranges_ascending_and_apart() -> None:
    assert ranges(["12", "20..30", "13", "25..40", "41"]) == ((12, 13), (20, 41))
    assert ranges(["7"]) == ((7, 7),)


@pytest.mark.parametrize("word", ["", "x", "3..2", "0", "-4", "1...3", "1..", "2.5"])
def test_a_word_that_is_no_range_is_named(word: str) -> None:
    with pytest.raises(ValueError, match=f"^{word.replace('.', '[.]')}$"):
        ranges(["1", word])


def test_a_range_longer_than_a_page_is_read_from_its_beginning() -> None:
    assert piece(asked((11, 900)), MOST, 100) == Piece(10, 900, (), 900)
    assert piece(asked((11, 900), position=110), MOST, 100) == Piece(110, 900, (), 900)
    assert piece(asked((11, 900), position=900), MOST, 100) is None


def test_events_far_apart_share_a_request_that_surely_holds_them_all() -> None:
    one = asked((3, 3), (8, 9), (500, 502), (900, 2000))
    assert piece(one, MOST, 6) == Piece(2, 3, (Gap(8, 9, 0.0), Gap(500, 502, 0.0)), 502)
    assert piece(one, MOST, 5) == Piece(2, 3, (Gap(8, 9, 0.0),), 9)
    assert piece(replace(one, position=9), MOST, 5) == Piece(499, 502, (), 502)
    assert piece(replace(one, position=502), MOST, 5) == Piece(899, 2000, (), 2000)


def test_nothing_is_read_that_the_plugin_has_not_come_to_yet() -> None:
    assert piece(asked((11, 90)), 40, 100) == Piece(10, 40, (), 40)
    assert piece(asked((11, 90), position=40), 40, 100) is None
    assert piece(asked((41, 90)), 40, 100) is None
