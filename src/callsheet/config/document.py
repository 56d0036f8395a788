"""What a configuration file says, before it is checked: tables of entries, each with its line and its name in that file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SITES = "sites."
PLUGINS = "plugins."
PROJECTS = "toolkit.projects."
TOOLKIT = "toolkit"


@dataclass(frozen=True, slots=True)
class Entry:
    """One value, the line it stands in, and its place as the file writes it, such as ``[daemon] fetch_interval``."""

    value: Any
    line: int
    label: str


@dataclass(slots=True)
class Table:
    """One table; ``line`` and ``label`` are its header's."""

    line: int
    label: str
    entries: dict[str, Entry] = field(default_factory=dict)


@dataclass(slots=True)
class Document:
    """A whole file. Tables are named as in TOML: ``""``, ``sites.studio``, ``log``, … whichever kind of file it is."""

    path: Path
    conf: bool
    tables: dict[str, Table] = field(default_factory=dict)
    headers: dict[str, int] = field(default_factory=dict)
    """Of a conf: section → line of its header."""

    def named(self, prefix: str) -> list[str]:
        """The names that tables of that prefix have, in the order of the file: ``["studio"]`` for ``sites.``."""
        return [name.removeprefix(prefix) for name in self.tables if name.startswith(prefix)]

    def value(self, table: str, key: str) -> Any:
        """The unchecked value, or None."""
        entry = self.tables[table].entries.get(key) if table in self.tables else None
        return entry.value if entry else None
