"""Whatever stands in a configuration, loading it gives settings or says what is wrong, and never fails in another way."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from callsheet.config import load_with_notes
from callsheet.config.conf_file import ConfFile, read_conf_file
from callsheet.config.mistakes import Findings
from callsheet.config.setting_table import SETTINGS, Setting
from callsheet.errors import ConfigError

ENVIRON = {"SG_EVENT_KEY": "k", "HOME": "/home/td", "PATH": "/bin"}

texts = st.one_of(st.text(max_size=20), st.sampled_from(["", "~", "$X", "${HOME}/x", "1e999", "http://[", "a@b", "%(x)s", "\0"]))
scalars = st.one_of(texts, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
values = st.one_of(scalars, st.lists(scalars, max_size=3))


def settled(path: Path, text: str) -> None:
    """Loads it; a mistake must be said in one line each, with the file."""
    path.write_text(text, encoding="utf-8", errors="replace")
    problems = mistakes(path)
    assert problems is None or problems
    for line in problems or ():
        assert line.startswith(f"{path}:")
        assert "\n" not in line


def mistakes(path: Path) -> list[str] | None:
    try:
        load_with_notes(path, ENVIRON)
    except ConfigError as error:
        return error.problems
    return None


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: f"{one.table}.{one.key}")
@settings(deadline=None, max_examples=20)
@given(value=values)
def test_any_value_in_toml(setting: Setting, value: object) -> None:
    table = f"[{setting.table.replace('*', 'x')}]" if setting.table else ""
    with tempfile.TemporaryDirectory() as folder:
        settled(Path(folder) / "c.toml", f"{table}\n{setting.key} = {json.dumps(value)}\n")


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.conf], ids=lambda one: f"{one.table}.{one.key}")
@settings(deadline=None, max_examples=20)
@given(value=texts)
def test_any_value_in_a_conf(setting: Setting, value: str) -> None:
    section, option = setting.conf or ("", "")
    with tempfile.TemporaryDirectory() as folder:
        settled(Path(folder) / "c.conf", f"[{section}]\n{option}: {value}\n")


lines = st.lists(
    st.text(alphabet="ab[]:=#; %()s\t", max_size=12)
    | st.sampled_from(["[daemon]", "[DEFAULT]", "[a]", "a: 1", " b", "A = 2", "#x", "  ", "key", "[", "[]", "a:"])
)


@settings(deadline=None)  # files on a busy machine
@given(lines)
def test_any_lines_in_a_conf(drawn: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settled(Path(folder) / "c.conf", "\n".join(["[daemon]", *drawn]))


@settings(deadline=None)  # files on a busy machine
@given(lines)
def test_any_lines_in_toml(drawn: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settled(Path(folder) / "c.toml", "\n".join(drawn))


@settings(deadline=None)  # files on a busy machine
@example([":", " [:"])
@given(lines)
def test_every_option_that_is_read_has_the_line_it_stands_in(drawn: list[str]) -> None:
    text = "\n".join(["[daemon]", *drawn])

    conf: ConfFile = read_conf_file(Path("c.conf"), text, Findings(Path("c.conf")))

    for section, options in conf.sections.items():
        assert (section, "") in conf.lines
        for option in options:
            line = text.splitlines()[conf.lines[section, option] - 1]
            assert option in line.lower()
