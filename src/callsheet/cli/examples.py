"""The examples at the end of a command's help, laid out one way for all commands."""

from __future__ import annotations


def examples(*lines: tuple[str, str]) -> str:
    r"""An epilog for click: what each example does, then the example itself. ``\b`` keeps click from re-wrapping it."""
    shown = "\n".join(f"  # {meaning}\n  {command}" for command, meaning in lines)
    return f"\b\nExamples:\n{shown}"
