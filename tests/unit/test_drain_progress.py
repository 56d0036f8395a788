"""The bar of a drain."""

from __future__ import annotations

import io

from rich.console import Console

from callsheet.cli.progress import DrainProgress
from callsheet.telemetry import emit


def test_the_bar_counts_what_was_found_and_what_is_finished() -> None:
    screen = io.StringIO()
    with DrainProgress(Console(file=screen, force_terminal=True, width=100)) as bar:
        emit("events.read", site="studio", count=500, first=1, last=1500, seconds=0.1, late=0)
        emit("events.routed", site="studio", events=3, deliveries=3, plugins={})
        for state in ("done", "retrying", "skipped"):
            emit("delivery.settled", state=state)
        bar._bar.refresh()
    shown = screen.getvalue()
    assert "read to event 1,500" in shown
    assert "2/3" in shown


def test_what_an_earlier_daemon_left_makes_the_total_grow() -> None:
    screen = io.StringIO()
    with DrainProgress(Console(file=screen, force_terminal=True, width=100)) as bar:
        emit("delivery.settled", state="done")
        bar._bar.refresh()
    assert "1/1" in screen.getvalue()
