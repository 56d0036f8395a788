"""Counts that are kept, never counted: deliveries by state per plugin, and the last ids given out."""

from __future__ import annotations

import sqlite3
from collections import Counter

from callsheet.domain.delivery import State

_COLUMNS = {
    State.WAITING: "waiting",
    State.RETRYING: "retrying",
    State.HELD: "held",
    State.DONE: "done",
    State.DEAD: "dead",
    State.SKIPPED: "skipped",
}
_DEARER = 10  # times that an entry of the index of open deliveries costs of what a row of the table does
_ADJUST = f"UPDATE plugins SET {', '.join(f'{name} = {name} + ?' for name in _COLUMNS.values())} WHERE id = ?"  # noqa: S608 - our own names


class StateCounters:
    """How a transaction changes the counts of plugins; ``write`` it before the transaction ends."""

    def __init__(self) -> None:
        self._changes: Counter[tuple[int, int]] = Counter()

    def add(self, plugin_id: int, state: int, count: int = 1) -> None:
        """``count`` more deliveries of that plugin stand in ``state``; negative: fewer."""
        self._changes[plugin_id, state] += count

    def move(self, plugin_id: int, before: int, after: int, count: int = 1) -> None:
        """``count`` deliveries of that plugin went from one state to another."""
        self._changes[plugin_id, before] -= count
        self._changes[plugin_id, after] += count

    def write(self, tx: sqlite3.Connection) -> None:
        """Adjust the counts."""
        plugins = {plugin_id for (plugin_id, _), change in self._changes.items() if change}
        tx.executemany(_ADJUST, [(*(self._changes[plugin_id, state] for state in _COLUMNS), plugin_id) for plugin_id in plugins])


def reserve(tx: sqlite3.Connection, counter: str, count: int) -> int:
    """The first of ``count`` ids in a row that were never given out before. ``counter``: ``delivery`` or ``run``."""
    tx.execute("UPDATE counters SET value = value + ? WHERE name = ?", (count, counter))
    (last,) = tx.execute("SELECT value FROM counters WHERE name = ?", (counter,)).fetchone()
    return int(last) - count + 1


def states(tx: sqlite3.Connection) -> Counter[State]:
    """How many deliveries stand in each stored state, over all plugins."""
    row = tx.execute(f"SELECT {', '.join(f'coalesce(sum({name}), 0)' for name in _COLUMNS.values())} FROM plugins").fetchone()  # noqa: S608 - our own names
    return Counter(dict(zip(_COLUMNS, row, strict=True)))


def open_are_few(tx: sqlite3.Connection) -> bool:
    """Whether open deliveries are best found by their index. Where they are many, walking the table meets some soon."""
    known = states(tx)
    unfinished = sum(count for state, count in known.items() if state < State.DONE)
    return unfinished * _DEARER <= sum(known.values())
