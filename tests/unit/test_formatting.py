from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.cli.tables import table
from callsheet.domain.callback import AttributeRule, Links, PluginKey, Rule
from callsheet.domain.plugin import PluginRecord, PluginState
from callsheet.domain.reading import Gap
from callsheet.report import formatting

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0004, "0 ms"),
        (0.25, "250 ms"),
        (1, "1 s"),
        (59.9, "59 s"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (15_000, "4 h 10 min"),
        (90_061, "1 d 1 h"),
        (-5, "0 ms"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, said: str) -> None:
    assert formatting.duration(seconds) == said


@pytest.mark.parametrize(
    ("text", "age"), [("90s", 90), ("10min", 600), ("10m", 600), ("2h", 7200), ("1.5 h", 5400), ("3d", 259_200)]
)
def test_since_takes_an_age(text: str, age: float) -> None:
    assert formatting.since(text, NOW) == NOW - age


def test_since_takes_an_iso_time_with_a_zone_and_without() -> None:
    assert formatting.since("2026-11-22T03:40:10Z", NOW) == datetime(2026, 11, 22, 3, 40, 10, tzinfo=UTC).timestamp()
    assert formatting.since("2026-11-22", NOW) == datetime(2026, 11, 22).astimezone().timestamp()


@pytest.mark.parametrize("text", ["yesterday", "", "10 parsecs", "2026-13-01"])
def test_since_refuses_what_it_does_not_understand(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        formatting.since(text, NOW)


@given(st.floats(min_value=0, max_value=4e9))
def test_iso_names_the_same_moment_to_the_millisecond(at: float) -> None:
    said = formatting.iso(at)
    assert said is not None
    assert said.endswith("Z")
    assert abs(datetime.fromisoformat(said).timestamp() - at) <= 0.001


def test_a_filter_is_said_by_type_and_attribute() -> None:
    any_attribute, status = AttributeRule(Rule.ANY), AttributeRule(Rule.AMONG, frozenset({"sg_status_list", "code"}))
    assert formatting.wanted({}) == ["nothing"]
    assert formatting.wanted({"*": any_attribute, "Shotgun_Task_New": status}) == ["every event"]
    assert formatting.wanted({"Shotgun_Task_New": any_attribute, "Shotgun_Task_Change": status}) == [
        "Shotgun_Task_Change of code, sg_status_list",
        "Shotgun_Task_New",
    ]
    assert formatting.wanted({"T": AttributeRule(Rule.WITHIN, text="status")}) == ["T of an attribute within 'status'"]
    assert formatting.wanted({"T": AttributeRule(Rule.AMONG)}) == ["T of no attribute"]
    assert formatting.wanted({"T": AttributeRule(Rule.ASK)}) == ["T as its plugin decides"]


def test_a_lane_key_that_is_a_path_is_said_as_one() -> None:
    assert formatting.lane("entity") == "a lane per entity"
    assert formatting.lane("meta.entity_id,project") == "a lane per meta.entity_id and project"


def test_gaps_are_said_by_their_ids() -> None:
    assert formatting.gaps([Gap(5, 5, 0), Gap(7, 9, 0)]) == "5, 7-9"


def record(state: PluginState = PluginState.READY, *, position: int | None = None, held: int = 0) -> PluginRecord:
    return PluginRecord(PluginKey("studio", "a"), "/plugins/a.py", 0, state, 0, position, waiting=held, held=held)


@pytest.mark.parametrize(
    ("plugin", "word"),
    [
        (record(), "ready"),
        (record(position=100), "ready"),
        (record(position=99), "behind"),
        (record(position=99, held=1), "held"),
        (record(PluginState.BROKEN, position=99, held=1), "broken"),
        (record(PluginState.LOADING), "loading"),
    ],
)
def test_how_a_plugin_stands_is_one_word(plugin: PluginRecord, word: str) -> None:
    assert formatting.standing(plugin, cursor=100) == word


TRACEBACK = (
    'Could not load it.\n\nTraceback (most recent call last):\n  File "/x/a.py", line 7, in <module>\n    no()\nValueError: no\n'
)


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (TRACEBACK, "ValueError: no (a.py, line 7)"),
        ('Could not load it.\n\n  File "/x/a.py", line 3\n    x x\nSyntaxError: bad', "SyntaxError: bad (a.py, line 3)"),
        ('  File "/x/a.py", line 3\nSyntaxError: bad (a.py, line 3)', "SyntaxError: bad (a.py, line 3)"),
        ("Could not load it.\n\na.py is Python 2: convert it.\nDetails", "a.py is Python 2: convert it."),
        ("It died while loading.", "It died while loading."),
        ("", ""),
    ],
)
def test_the_gist_of_a_problem_is_what_an_author_needs_first(problem: str, said: str) -> None:
    assert formatting.gist(problem) == said


def test_a_table_keeps_within_its_width_and_says_what_it_cut() -> None:
    lines = table(["A", "B"], [["x" * 10, "y" * 100]], most=40)
    assert all(len(line) <= 60 for line in lines)  # with the heading's escape codes
    assert len(lines[1]) == 40
    assert lines[1].endswith("…")


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    _, first, second = table(["N", "WORD", "END"], [["1,000", "a", "."], ["-", "bb", "."]], most=80)
    assert first == "1,000  a     ."
    assert second == "    -  bb    ."


@given(st.lists(st.tuples(st.text(max_size=50), st.text(max_size=200)), max_size=5), st.integers(60, 200))
def test_a_table_of_any_text_has_a_line_per_row(rows: list[tuple[str, str]], most: int) -> None:
    assert len(table(["A", "B"], rows, most=most)) == len(rows) + 1


def test_which_links_a_callback_is_for() -> None:
    only = {
        "project": Links(frozenset({65}), frozenset({"Moth"})),
        "entity": Links(types=frozenset({"Shot"}), exact=frozenset({("Task", 14)})),
        "user": Links(),
    }
    assert formatting.meant(only) == "only project 65 or Moth; only entity Shot or Task:14; only user none"
    assert formatting.meant({}) == ""
