"""Reads a TOML configuration into a Document; tables and keys that nobody knows are mistakes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from callsheet.config.document import Document, Entry, Table
from callsheet.config.mistakes import Findings, did_you_mean, shown
from callsheet.config.setting_table import SETTINGS, TABLES, of_table

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_AT = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_GROUPS = frozenset(one.removesuffix(".*") for one in TABLES if one.endswith(".*"))


def read_toml(path: Path, text: str, findings: Findings) -> Document:
    """What the file says. Raises ConfigError at once for text that is no TOML; all else is left to ``findings``."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _syntax(str(error), text, findings)
        findings.raise_if_any()
        raise
    reader = _Reader(Document(path, conf=False), findings, toml_lines(text))
    reader.read(data)
    return reader.document


def _syntax(said: str, text: str, findings: Findings) -> None:
    at = _AT.search(said)
    line = int(at[1]) if at and at[1] else text.rstrip("\n").count("\n") + 1
    what = _AT.sub("", said)
    # The text of the error may carry a key's path, never a value.
    if "twice" in what or "overwrite" in what or "immutable" in what:
        cure = "write each table and each key once, and give each site a name of its own"
    else:
        cure = 'put text in quotes and lists in brackets, as in name = "text"'
    findings.problem(line, "not valid TOML", f"{what[:1].lower()}{what[1:]}{f' (column {at[2]})' if at and at[2] else ''}; {cure}")


class _Reader:
    def __init__(self, document: Document, findings: Findings, lines: Mapping[tuple[str, ...], int]) -> None:
        self.document = document
        self._findings = findings
        self._lines = lines
        document.tables[""] = Table(1, "")

    def read(self, data: Mapping[str, Any]) -> None:
        for name, value in data.items():
            if name in _GROUPS:
                self._group((name,), value)
            elif name in TABLES:
                self._table((name,), value)
            elif isinstance(value, dict):
                self._unknown_table(name, value)
            else:
                self._entry("", (name,), value)

    def _group(self, above: tuple[str, ...], value: Any) -> None:
        group = ".".join(above)
        if not isinstance(value, dict):
            self._not_a_table(above, f"[{group}.NAME]", value)
            return
        for name, table in value.items():
            if isinstance(table, dict) and group == "sites" and not _NAME.fullmatch(name):
                self._say((*above, name), f'[{group}."{name}"]', "expected a name of letters, digits, - and _; rename the site")
            if isinstance(table, dict):
                self._table((*above, name), table)
            else:
                self._say((*above, name), f"[{group}] {name}", f"expected a table per name; write it below [{group}.NAME]")

    def _table(self, path: tuple[str, ...], value: Any) -> None:
        name = ".".join(path)
        if not isinstance(value, dict):
            self._not_a_table(path, f"[{name}]", value)
            return
        self.document.tables[name] = Table(self._lines.get(path, 0), f"[{name}]")
        for key, one in value.items():
            if f"{name}.{key}" in _GROUPS:
                self._group((*path, key), one)
            else:
                self._entry(name, (*path, key), one)

    def _entry(self, table: str, path: tuple[str, ...], value: Any) -> None:
        key = path[-1]
        label = f"[{table}] {key}" if table else key
        known = of_table(table)
        if key in known:
            self.document.tables[table].entries[key] = Entry(value, self._lines.get(path, 0), label)
            return
        elsewhere = next((one.table.replace("*", "NAME") for one in SETTINGS if one.key == key and one.table), None)
        meant = did_you_mean(key, [*known, *(one for one in TABLES if one and not table)])
        if meant:
            self._say(path, label, f"unknown key; did you mean {meant}?")
        elif elsewhere:
            self._say(path, label, f"unknown key here; move it below [{elsewhere}]")
        else:
            self._say(path, label, f"unknown key; known here: {', '.join(known)}")

    def _unknown_table(self, name: str, value: Mapping[str, Any]) -> None:
        # [site.studio] is nested like [sites.studio]: the header that the file shows is the inner one.
        inner = next((key for key, one in value.items() if isinstance(one, dict)), None)
        meant = did_you_mean(name, [one.removesuffix(".*") for one in TABLES if one])
        shown_as = f"{name}.{inner}" if inner else name
        if not meant:
            words = ", ".join(f"[{one.replace('*', 'NAME')}]" for one in TABLES if one)
            self._say((name,), f"[{shown_as}]", f"unknown table; known: {words}")
            return
        proper = f"{meant}.{inner or 'NAME'}" if meant in _GROUPS else meant
        self._say((name,), f"[{shown_as}]", f"unknown table; did you mean [{proper}]?")

    def _not_a_table(self, path: tuple[str, ...], label: str, value: Any) -> None:
        self._say(path, ".".join(path), f"expected a table, found {shown(value)}; write {label} in a line of its own")

    def _say(self, path: tuple[str, ...], label: str, text: str) -> None:
        self._findings.problem(self._lines.get(path, 0), label, text)


def toml_lines(text: str) -> dict[tuple[str, ...], int]:
    """Where each table and key begins: its path → line, counted from 1. For messages only.

    ``tomllib`` says no lines. But the first so many lines of a valid file are valid too, save within a value of several lines:
    so what is new in a longer beginning stands in the line after the last valid one. Files are short, and this stays exact for
    whatever TOML allows.
    """
    lines = [f"{line}\n" for line in text.split("\n")]
    found: dict[tuple[str, ...], int] = {}
    begin = 0
    for end in range(1, len(lines) + 1):
        try:
            data = tomllib.loads("".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        for path in _paths(data, ()):
            found.setdefault(path, begin + 1)
        begin = end
    return found


def _paths(data: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for key, value in data.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from _paths(value, (*above, key))
