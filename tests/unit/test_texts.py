"""Texts that can be kept, whatever they were made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.wire.texts import passwords, printable, short_name, storable, without_passwords

# Python's default for text() leaves out surrogates; here they are the point.
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Frühling 🎬", "Frühling 🎬"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), r"caf\udce9"),
        ("half \ud83c", r"half \ud83c"),
        ("a\0b", r"a\x00b"),
    ],
)
def test_what_is_no_character_becomes_a_visible_escape(text: str, kept: str) -> None:
    assert storable(text) == kept


def test_a_text_that_is_too_long_says_how_much_is_missing() -> None:
    assert storable("x" * 12, 10) == "x" * 10 + "... (2 letters more)"


@given(ANY_TEXT)
def test_any_text_can_be_kept_and_what_can_stays_as_it_is(text: str) -> None:
    kept = storable(text)
    assert "\0" not in kept
    kept.encode()
    assert storable(kept) == kept


@given(ANY_TEXT, st.integers(20, 100))
def test_a_name_is_short_and_its_own(text: str, most: int) -> None:
    name = short_name(text, most)
    assert len(name) <= most
    assert short_name(name, most) == name
    assert name != short_name(f"{text}x", most)


@given(ANY_TEXT)
def test_nothing_that_steers_a_terminal_is_left_in_what_is_shown(text: str) -> None:
    steering = set(map(chr, [*range(32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])) - {
        "\t"
    }
    assert not steering & set(printable(text))
    assert steering & set(printable(text, lines=True)) <= {"\n"}
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ærøskøbing 東京 \U0001f3ac\ttab", "Ærøskøbing 東京 \U0001f3ac\ttab"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\r\nb\u2028c\x85d", r"a\r\nb\u2028c\x85d"),
        ("code\u202e4pm.exe", r"code\u202e4pm.exe"),
        ("\x9b2J", r"\x9b2J"),
    ],
)
def test_what_steers_becomes_a_visible_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_text_of_several_lines_keeps_their_ends() -> None:
    assert printable("one\r\ntwo\n\rthree", lines=True) == "one\ntwo\n\\rthree"


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("https://ada:p%40ss@studio.example", ["p%40ss", "p@ss"]),
        ("https://ada:p@ss@studio.example/x", ["p@ss"]),
        ("ada:word@proxy:8080", ["word"]),
        ("https://studio.example:443/a@b", []),
        ("proxy:8080", []),
        (None, []),
    ],
)
def test_a_password_in_an_address_is_found_as_it_is_written_and_as_it_is_meant(address: str | None, found: list[str]) -> None:
    assert passwords(address) == found
    if address and "//" in address:
        assert not [one for one in found if one in without_passwords(f"no answer from {address}, sorry")]
