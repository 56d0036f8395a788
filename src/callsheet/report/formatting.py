"""Values in words, and words as values: times, durations, filters, lanes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import PurePath

from callsheet.domain.callback import EVERY_TYPE, AttributeRule, Filter, Links, Rule
from callsheet.domain.plugin import PluginRecord, PluginState
from callsheet.domain.reading import Gap
from callsheet.wire.durations import seconds_of

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_FRAME = re.compile(r'^\s*File "(.+)", line (\d+)', re.MULTILINE)

LANES = {
    "plugin": "one lane for all",
    "project": "a lane per project",
    "entity": "a lane per entity",
    "none": "no lane: in any order",
}


def iso(at: float | None) -> str | None:
    """Epoch seconds as ``2026-11-22T03:40:10.250Z``: the form of every time in JSON output."""
    try:
        return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):  # a time that no calendar has
        return None


def local(at: float | None) -> str:
    """Epoch seconds as a local ``2026-11-22 03:40:10``; ``-`` for None."""
    try:
        return "-" if at is None else datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # as above
        return "-"


def duration(seconds: float) -> str:
    """Seconds in the two largest units that say something: ``30 ms``, ``45 s``, ``4 h 10 min``."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    left = int(seconds)
    said = []
    for unit, size in _UNITS:
        if left >= size:
            said.append(f"{left // size} {unit}")
            left %= size
        elif said:
            break
    return " ".join(said[:2])


def size(number: int | None) -> str:
    """Bytes as ``38 MB``; ``-`` for None."""
    return "-" if number is None else f"{number / 1e6:,.0f} MB"


def ago(at: float | None, now: float) -> str:
    """How long ago that was; ``never`` for None."""
    if at is None:
        return "never"
    return "just now" if now - at < 1 else f"{duration(now - at)} ago"


def since(text: str, now: float) -> float:
    """What ``--since`` means, in epoch seconds: ``90s``, ``10min``, ``2h``, ``3d``, or an ISO date or time.

    An ISO time is local unless it says its zone. Raises ValueError for anything else.
    """
    age = seconds_of(text)
    if age is not None:
        return now - age
    return datetime.fromisoformat(text).timestamp()


def count(number: int, thing: str) -> str:
    """``1 delivery``, ``1,200 deliveries``."""
    plural = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"


def wanted(filter_: Filter) -> list[str]:
    """What a filter asks for, an entry per event type: ``Shotgun_Task_Change of sg_status_list``."""
    if not filter_:
        return ["nothing"]
    if EVERY_TYPE in filter_:
        return [f"every event{_attributes(filter_[EVERY_TYPE])}"]
    return [f"{event_type}{_attributes(rule)}" for event_type, rule in sorted(filter_.items())]


def meant(only: Mapping[str, Links]) -> str:
    """Which projects, users and entities it is for: ``only project Moth; only entity Shot or Task:14``; empty for all."""
    return "; ".join(f"only {what} {links.in_words()}" for what, links in only.items())


def _attributes(rule: AttributeRule) -> str:
    if rule.rule is Rule.AMONG:
        return f" of {', '.join(sorted(rule.values))}" if rule.values else " of no attribute"
    if rule.rule is Rule.WITHIN:
        return f" of an attribute within {rule.text!r}"
    return " as its plugin decides" if rule.rule is Rule.ASK else ""


def lane(key: str) -> str:
    """How a callback's deliveries are ordered."""
    return LANES.get(key, f"a lane per {key.replace(',', ' and ')}")


def gaps(waited_for: Iterable[Gap]) -> str:
    """Gaps by their ids: ``120, 131-140``."""
    return ", ".join(f"{gap.first}" if gap.first == gap.last else f"{gap.first}-{gap.last}" for gap in waited_for)


def standing(plugin: PluginRecord, cursor: int | None) -> str:
    """How a plugin is, in short: its state, ``no plugin``, or ``on hold``, ``held`` or ``behind`` where it is ready but not at work
    or apart.

    An operator's hold is told first: a failure that holds a lane is no news where all of them are meant to stand.
    """
    if registers_nothing(plugin):
        return "no plugin"
    if plugin.state is not PluginState.READY:
        return plugin.state.value
    if plugin.hold is not None:
        return "on hold"
    if plugin.held:
        return "held"
    return "behind" if plugin.position is not None and plugin.position < (cursor or 0) else "ready"


def registers_nothing(plugin: PluginRecord) -> bool:
    """Whether the file loads and has nothing to register, and never had: most likely a module that plugins beside it import.

    One that had callbacks, or that can't be imported, is broken: somebody misses it.
    """
    said = plugin.problem.startswith("Did not find a registerCallbacks function")
    return plugin.state is PluginState.BROKEN and said and not plugin.callbacks and not plugin.waiting


def first_line(text: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def of_toolkit(problem: str) -> str:
    """Of why a project has no Toolkit what stands behind the names of the project and its configuration, in a line."""
    said = first_line(problem)
    return said.partition(": ")[2] or said if said.startswith("Toolkit of project ") else said


def gist(problem: str) -> str:
    """Of a plugin's problem what fits a line: the error of a traceback and where it was raised, else what follows the headline."""
    raised = _FRAME.findall(problem)
    if raised:
        path, line = raised[-1]
        said = problem.strip().splitlines()[-1].strip()
        return said if f"line {line}" in said else f"{said} ({PurePath(path).name}, line {line})"
    headline, _, rest = problem.strip().partition("\n\n")
    return first_line(rest) or first_line(headline)
