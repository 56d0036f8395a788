"""The live view: what the daemon does, as it does it; on a terminal a calm screen, elsewhere a line every few seconds.

All facts come from signals, so the view needs nothing of the daemon and the daemon nothing of the view.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live as Screen
from rich.table import Table
from rich.text import Text

from callsheet.report.live_stats import Counts, Happening, LiveStats, PluginStats, seconds
from callsheet.wire.texts import printable

REDRAWS = 4
"""Redraws a second: more is restless, and takes time from the plugins."""
PLAIN_EVERY = 5.0
PLAIN_MOST = 4
"""Happenings told with each plain line, bad ones first; a storm of retries must not fill a CI log."""

Describe = Callable[[str, int], str]
"""Site and event id → the event in a few words (see ``tally.event_in_words``); an empty text when it isn't known."""

_TONES = {"good": "green", "plain": "", "warn": "yellow", "bad": "bold red"}
_FRAME_ROWS = 10  # title, figures, headings, the last line, and the empty rows between them


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of it all. Latencies are from event to done, in seconds, None where nothing was done."""

    took: float
    counts: Counts
    p50: float | None
    p99: float | None

    @property
    def undelivered(self) -> int:
        """Matched deliveries that were neither done nor skipped on purpose."""
        return self.counts.matched - self.counts.done - self.counts.skipped

    def __str__(self) -> str:
        counts, again = self.counts, f"{self.counts.retries:,}"
        lines = [
            f"{counts.events:,} events read in {seconds(self.took)}, {counts.matched:,} deliveries matched:",
            f"{counts.done:,} done, {counts.skipped:,} skipped, {counts.dead:,} dead, {counts.waiting:,} open; {again} retries.",
            f"From event to done: half within {seconds(self.p50)}, 99 of 100 within {seconds(self.p99)}.",
        ]
        for plugin in _in_order(counts):
            failed = plugin.dead + plugin.held
            lines.append(f"  {plugin.name}: {plugin.done:,} done, {plugin.retries:,} retries, {failed:,} failed")
        return "\n".join(lines)


class Live:
    """The view, for as long as the ``with`` block runs.

    ``describe`` is asked for the few events on the screen only, outside of all locks; what it raises is taken for not known.
    """

    def __init__(
        self,
        title: str = "demo",
        *,
        seconds: float | None = None,
        describe: Describe | None = None,
        console: Console | None = None,
        every: float = PLAIN_EVERY,
    ) -> None:
        """``seconds``: when it will end by itself, to be shown; ``every``: seconds between two plain lines of figures."""
        self._title = title
        self._seconds = seconds
        self._describe = describe
        self._described: dict[tuple[str, int], str] = {}
        self._console = console or Console(highlight=False)
        self._every = every
        self._tally = LiveStats()
        self._screen: Screen | None = None
        self._ended = threading.Event()
        self._plain: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._tally.open()
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._screen = Screen(get_renderable=self.frame, console=self._console, refresh_per_second=REDRAWS)
            self._screen.start(refresh=True)
        else:
            self._plain = threading.Thread(target=self._tell_plainly, name="live", daemon=True)
            self._plain.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._tally.close()
        self._ended.set()
        if self._screen:
            self._screen.stop()
        if self._plain:
            self._plain.join()

    def summary(self) -> Summary:
        """What came of it, so far or in all."""
        with self._tally.lock:
            counts = self._tally.counts
            return Summary(time.time() - self._tally.since, counts, counts.lags.at(0.5), counts.lags.at(0.99))

    def frame(self) -> RenderableType:
        """The screen as it is now, no higher than the terminal."""
        with self._tally.lock:
            counts, latest = self._tally.counts, list(self._tally.latest)
            figures, plugins = _figures(counts), _in_order(counts)
            free = max(4, self._console.height - _FRAME_ROWS)
            table = _plugin_table(plugins[: max(2, free // 2)], len(plugins))
            rows = max(1, free - table.row_count)
        happenings = Table.grid(padding=(0, 1))
        happenings.add_column(no_wrap=True, style="dim", min_width=8)
        happenings.add_column(no_wrap=True, overflow="ellipsis")
        for one in latest[-rows:]:
            happenings.add_row(_clock(one.at), Text(printable(self._words(one)), style=_TONES[one.tone], overflow="ellipsis"))
        for _ in range(rows - min(rows, len(latest))):
            happenings.add_row("", "")  # the frame keeps its height from the start: nothing jumps
        head = Text(no_wrap=True, overflow="ellipsis").append("Callsheet", "bold").append(f"  {self._title}")
        clock = Text(f"  {_elapsed(time.time() - self._tally.since)}", style="dim")
        end = Text(self._how_it_ends(), style="dim")
        return Group(head.append_text(clock), "", _figures_table(figures), "", table, "", happenings, "", end)

    def _how_it_ends(self) -> str:
        if self._ended.is_set():
            return "ended"
        if self._seconds is None:
            return "Ctrl-C ends it"
        left = self._tally.since + self._seconds - time.time()
        return f"ends in {left:.0f} s; Ctrl-C ends it now" if left > 0 else "ending: what is due is still delivered"

    def _words(self, one: Happening) -> str:
        if one.event_id is None:
            return one.text
        what = self._what(one.site, one.event_id)
        return f"event {one.event_id}{' ' + what if what else ''}: {one.text}"

    def _what(self, site: str, event_id: int) -> str:
        """The event in words; asked for once, since the view shows the same events many times."""
        if self._describe is None:
            return ""
        key = (site, event_id)
        if key not in self._described:
            if len(self._described) > 1000:  # noqa: PLR2004 - many screens full
                self._described.clear()
            try:
                self._described[key] = self._describe(site, event_id)
            except Exception:  # noqa: BLE001 - a view must not end because an event has no words
                self._described[key] = ""
        return self._described[key]

    def _tell_plainly(self) -> None:
        told = 0
        while not self._ended.wait(self._every):
            told = self._tell_since(told)
        self._tell_since(told)

    def _tell_since(self, told: int) -> int:
        """The figures, and what happened since happening number ``told`` save what went well at once; returns the last number."""
        with self._tally.lock:
            figures, happened, latest = _figures(self._tally.counts), self._tally.happened, list(self._tally.latest)
        self._print(f"{_elapsed(time.time() - self._tally.since)}  " + "  ".join(f"{name} {value}" for name, value, _ in figures))
        fresh = latest[len(latest) - min(len(latest), happened - told) :]
        notable = sorted((one for one in fresh if one.tone != "plain"), key=lambda one: one.tone != "bad")
        for one in sorted(notable[:PLAIN_MOST], key=lambda one: one.at):
            self._print(f"  {_clock(one.at)} {printable(self._words(one))}")
        if len(notable) > PLAIN_MOST:
            self._print(f"  and {len(notable) - PLAIN_MOST} more")
        return happened

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
        self._console.file.flush()


def _figures(counts: Counts) -> list[tuple[str, str, str]]:
    """Name, value and style of each figure."""
    failed = counts.dead + counts.held
    return [
        ("events", f"{counts.events:,}", "bold"),
        ("matched", f"{counts.matched:,}", "bold"),
        ("done", f"{counts.done:,}", "bold green"),
        ("waiting", f"{counts.waiting:,}", "bold"),
        ("retries", f"{counts.retries:,}", "bold yellow" if counts.retries else "bold"),
        ("failed", f"{failed:,}", "bold red" if failed else "bold"),
        ("lag", seconds(counts.lag), "bold"),
    ]


def _figures_table(figures: list[tuple[str, str, str]]) -> Table:
    """Names above values, each in a place of its own, so that growing numbers move nothing."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in figures:
        table.add_column(no_wrap=True, min_width=8)
    table.add_row(*(Text(name, style="dim") for name, _, _ in figures))
    table.add_row(*(Text(value, style=style) for _, value, style in figures))
    return table


def _plugin_table(plugins: list[PluginStats], total: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    table.add_column("plugin", no_wrap=True, overflow="ellipsis", min_width=20)
    for name in ("done", "waiting", "retrying", "retries", "failed", "median run"):
        table.add_column(name, justify="right", no_wrap=True)
    for plugin in plugins:
        waiting = "-" if plugin.waiting is None else f"{plugin.waiting:,}"
        failed = plugin.dead + plugin.held
        table.add_row(
            Text(printable(plugin.name)),
            f"{plugin.done:,}",
            waiting,
            Text(f"{len(plugin.retrying):,}", style="yellow" if plugin.retrying else "dim"),
            Text(f"{plugin.retries:,}", style="yellow" if plugin.retries else "dim"),
            Text(f"{failed:,}", style="bold red" if failed else "dim"),
            seconds(plugin.run_time.at(0.5)),
        )
    if total > len(plugins):
        table.add_row(Text(f"and {total - len(plugins)} more", style="dim"))
    return table


def _in_order(counts: Counts) -> list[PluginStats]:
    return [counts.plugins[key] for key in sorted(counts.plugins)]


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _elapsed(took: float) -> str:
    minutes, rest = divmod(int(took), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"  # noqa: PLR2004 - an hour
