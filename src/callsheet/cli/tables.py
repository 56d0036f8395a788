"""Plain columns for people: aligned, clipped to the width, coloured only on a terminal. For machines there is ``--json``."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterable, Sequence

import click

from callsheet.wire.texts import printable

COLOURS = {
    "ready": "green",
    "done": "green",
    "yes": "green",
    "running": "cyan",
    "loading": "cyan",
    "behind": "yellow",
    "busy": "cyan",
    "idle": "green",
    "starting": "cyan",
    "backing": "red",
    "failed": "red",
    "retrying": "yellow",
    "held": "yellow",
    "on": "yellow",
    "skipped": "bright_black",
    "gone": "bright_black",
    "broken": "red",
    "dead": "red",
    "no": "red",
}
"""The colour of a cell, by its first word; painted in the columns of PAINTED."""

PAINTED = frozenset({"STATE", "ANSWERS"})
NARROWEST = 6
GAP = "  "


_OURS = re.compile(r"(\x1b\[\d{1,2}(?:;\d{1,2})*m)")
"""What ``click.style`` writes."""


def echo(*lines: str, err: bool = False) -> None:
    """Print lines for people: our colours as they are, and nothing else that would steer a terminal, or make two lines of one.

    Anything may stand in a name, an error or a reason. JSON has escapes of its own.
    """
    click.echo("\n".join(map(_shown, lines)), err=err)


def apart(blocks: Iterable[Iterable[str]]) -> list[str]:
    """The lines of all blocks, an empty one between each two."""
    return [line for block in blocks for line in ("", *block)][1:]


def _shown(line: str) -> str:
    return "".join(part if at % 2 else printable(part) for at, part in enumerate(_OURS.split(line)))


def width() -> int:
    """Columns to fill: the terminal's (or ``COLUMNS``), 120 where there is none."""
    return max(shutil.get_terminal_size(fallback=(120, 24)).columns, 60)


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, indent: str = "", most: int | None = None) -> list[str]:
    """Lines of a table. The widest columns give way where it would be wider than ``most`` (default: ``width()``)."""
    cells = [[plain(str(cell)) for cell in row] for row in rows]
    widths = _fit([max(map(len, column)) for column in zip(head, *cells, strict=True)], (most or width()) - len(indent))
    numeric = [_all_numbers([row[at] for row in cells]) for at in range(len(head))]
    lines = [click.style((indent + GAP.join(_laid(head, widths, numeric))).rstrip(), dim=True)]
    for row in cells:
        laid = _laid(row, widths, numeric)
        laid[-1] = laid[-1].rstrip()
        lines.append(indent + GAP.join(_painted(cell, name) for cell, name in zip(laid, head, strict=True)))
    return [line.rstrip() for line in lines]


def plain(text: str) -> str:
    """``text`` from anywhere, in one line and without colours."""
    return printable(text.replace("\n", " ").replace("\t", " "))


def clipped(text: str, most: int) -> str:
    """``text`` in at most ``most`` characters, its end cut where it is longer."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def wrapped(text: str, indent: str) -> list[str]:
    """``text`` in lines of at most ``width()``, indented; a command in backquotes is never broken, so it can be copied."""
    whole = re.sub(r"`[^`]*`", lambda command: command[0].replace(" ", "\0"), plain(text))
    lines = textwrap.wrap(
        whole, width(), initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\0", " ") for line in lines]


def _fit(widths: list[int], most: int) -> list[int]:
    """Take from the widest column until all fit, or none can give more."""
    fitted = list(widths)
    excess = sum(fitted) + len(GAP) * (len(fitted) - 1) - most
    while excess > 0 and max(fitted) > NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
        excess -= 1
    return fitted


def _laid(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    shown = [clipped(cell, room) for cell, room in zip(row, widths, strict=True)]
    return [cell.rjust(room) if right else cell.ljust(room) for cell, room, right in zip(shown, widths, numeric, strict=True)]


def _painted(cell: str, name: str) -> str:
    word = cell.split(maxsplit=1)[0].rstrip(",") if cell.strip() else ""
    return click.style(cell, fg=COLOURS[word]) if name in PAINTED and word in COLOURS else cell


def _all_numbers(column: Sequence[str]) -> bool:
    said = [cell for cell in column if cell not in {"", "-"}]
    return bool(said) and all(cell.replace(",", "").isdigit() for cell in said)
