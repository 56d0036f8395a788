# ruff: noqa: INP001 - a script beside the pages that it writes, not a package
"""Writes ``commands.md`` and ``signals.md`` beside this file, from the commands' own help and from ``telemetry.SIGNALS``.

Run by ``make reference``; ``tests/test_architecture.py`` holds the pages to what this would write.
"""

from __future__ import annotations

from pathlib import Path

import click

from callsheet.cli import SECTIONS, group
from callsheet.telemetry import SIGNALS

HERE = Path(__file__).parent
MADE = "<!-- Written by docs/reference/generate.py: `make reference`. Change what it is made from, not this page. -->"


def commands() -> str:
    """Every command's help as ``--help`` prints it, by section."""
    top = click.Context(group, info_name="callsheet", terminal_width=100, **group.context_settings)
    parts = ["# Commands", MADE, _help(group, top)]
    for section, names in SECTIONS.items():
        parts.append(f"## {section}")
        for name in names:
            command = group.get_command(top, name)
            assert command is not None
            context = click.Context(command, parent=top, info_name=name, terminal_width=100)
            parts += [f"### {name}", _help(command, context)]
            for below, one in (command.commands if isinstance(command, click.Group) else {}).items():
                parts.append(_help(one, click.Context(one, parent=context, info_name=below, terminal_width=100)))
    return "\n\n".join(parts) + "\n"


def _help(command: click.Command, context: click.Context) -> str:
    return f"```text\n{command.get_help(context).rstrip()}\n```"


def signals() -> str:
    """Every signal with its facts."""
    head = "| signal | facts |\n|---|---|"
    rows = "\n".join(f"| `{name}` | {facts} |" for name, facts in SIGNALS.items())
    prose = (
        "What happens is said once, as a named signal with facts; log lines, mail, the live view and tests are listeners. "
        "`callsheet.telemetry.subscribe(listener, *names)` adds one to a daemon in the same process."
    )
    return f"# Signals\n\n{MADE}\n\n{prose}\n\n{head}\n{rows}\n"


PAGES = {"signals.md": signals, "commands.md": commands}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
