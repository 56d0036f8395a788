"""Failures, and when they are tried again, as parts of log lines. Pure."""

from __future__ import annotations

import time

from callsheet.domain.delivery import Failure

ASKED_FOR = ("Retry", "GiveUp", "Cascade")
"""Exceptions by which a callback says what it wants: where they were raised is of no interest."""


def of_toolkit(failure: Failure | None) -> bool:
    """Whether it is not the plugin's, but that its project's Toolkit can't be had."""
    return failure is not None and failure.kind.rpartition(".")[2] in ("ToolkitError", "ToolkitUnavailable", "SessionLost")


def in_short(failure: Failure) -> str:
    """``ValueError: bad shot``; for a request of the callback its name alone: ``Retry: farm is full``."""
    kind = failure.kind.rpartition(".")[2] if failure.kind in ASKED_FOR else failure.kind
    return f"{kind}: {first_line(failure.text)}" if failure.text.strip() else kind


def next_try(due: float | None, now: float) -> str:
    """When it is tried again, as a sentence. Times are seconds since the epoch; None: at once."""
    if due is None or due <= now:
        return "It is tried again at once."
    return f"Next try in {seconds(due - now)}, at {time.strftime('%H:%M:%S', time.localtime(due))}."


def seconds(value: float) -> str:
    """``1.5 s``, ``12 s``."""
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"  # noqa: PLR2004 - below it the fraction is of interest


def first_line(text: str) -> str:
    """The first line, without the stop at its end."""
    return text.strip().partition("\n")[0].rstrip(" .")


def details(failure: Failure, *, with_locals: bool) -> str:
    """The traceback, and maybe the locals, as paragraphs that follow a line."""
    text = f"\n\n{failure.traceback.rstrip()}" if failure.traceback else ""
    if failure.locals and with_locals:
        text += f"\n\nLocal variables at outer most frame in plugin:\n\n{failure.locals.rstrip()}"
    return text
