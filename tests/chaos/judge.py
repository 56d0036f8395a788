"""What a storm did: lost, out of order, doubled. Told from the site's events, the plugins' trace and the list of kills alone."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

GROUP = 0.25
"""Seconds before a daemon's death in which a call's end may have been unsettled: the promised 10 ms, on a busy machine."""


class Call(NamedTuple):
    """One line of the trace. Times are the machine's monotonic clock; ``daemon``: the process id of the one it worked for."""

    plugin: str
    lane: str
    event: int
    word: str
    pid: int
    daemon: int
    begin: float
    end: float
    attempt: int = 1
    callback: str = ""

    def __str__(self) -> str:
        return f"{self.plugin}, lane {self.lane}, event {self.event}, {self.word}, attempt {self.attempt}, worker {self.pid}"


class Kill(NamedTuple):
    """A SIGKILL. ``what``: "daemon" or "worker", or either with more words. ``at``: just before it was sent.

    ``since``: from when on nothing could be recorded any more, where that was before.
    """

    what: str
    pid: int
    at: float
    since: float = math.inf

    @property
    def unrecorded(self) -> float:
        """From when on what was finished may not have been recorded."""
        return min(self.at, self.since) - GROUP


@dataclass
class Judgement:
    """``doubled``: by kill, the first finishes of calls that were made again because of it. All other lists should be empty."""

    calls: int = 0
    raised: int = 0
    torn: int = 0
    """Calls whose worker then spoiled its pipe of reports."""
    lost: list[str] = field(default_factory=list)
    alien: list[str] = field(default_factory=list)
    """Calls with events that the site never showed."""
    disordered: list[str] = field(default_factory=list)
    overlapping: list[str] = field(default_factory=list)
    doubled: dict[Kill, list[Call]] = field(default_factory=dict)
    unexplained: list[str] = field(default_factory=list)
    """Doubled, though no kill can have kept their end from being recorded."""

    @property
    def faults(self) -> list[str]:
        """Every breach, as a line."""
        kinds = {"lost": self.lost, "alien": self.alien, "disordered": self.disordered}
        kinds |= {"overlapping": self.overlapping, "doubled": self.unexplained}
        return [f"{word}: {one}" for word, found in kinds.items() for one in found]


def read_trace(file: Path) -> list[Call]:
    """The calls in the order in which they ended; none if there is no such file."""
    return [Call(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def lane_of(event: Mapping[str, Any], plugin: str) -> str:
    """The lane of a site's event, as the plugin's calls name it: a legacy plugin notes the entity, but has one lane."""
    return "plugin" if plugin == "old" else f"{event['meta']['entity_type']}:{event['meta']['entity_id']}"


def judge(
    events: Sequence[Mapping[str, Any]],
    late: Collection[int],
    calls: Sequence[Call],
    kills: Sequence[Kill],
    slots: Mapping[str, int],
) -> Judgement:
    """``events``: all that the site shows, each due for every plugin of ``slots``; ``late``: those once withheld."""
    words = Counter(one.word for one in calls)
    found = Judgement(len(calls), words["raised"], words["torn"])
    for plugin in slots:
        lanes = {int(event["id"]): lane_of(event, plugin) for event in sorted(events, key=lambda one: int(one["id"]))}
        mine = [one._replace(lane=lanes.get(one.event, "?")) for one in calls if one.plugin == plugin]
        done = {one.event for one in mine if one.word == "done"}
        found.lost += [f"{plugin}, lane {lane}, event {event}" for event, lane in lanes.items() if event not in done]
        found.alien += [str(one) for one in mine if one.event not in lanes]
        ordered: dict[str, list[int]] = defaultdict(list)
        for event, lane in lanes.items():
            if event in done and event not in late:
                ordered[lane].append(event)
        _order(found, mine, ordered, late)
        _overlaps(found, mine)
        _doubles(found, mine, kills)
    for kill, firsts in found.doubled.items():
        most = slots[firsts[0].plugin]
        if kill.what == "worker" and len(firsts) > most:
            found.unexplained.append(
                f"{len(firsts)} calls after the kill of worker {kill.pid}, which had {most} in hand: {firsts[0]}"
            )
    return found


def _order(found: Judgement, calls: Iterable[Call], ordered: Mapping[str, Sequence[int]], late: Collection[int]) -> None:
    """No call before the end of what is earlier in its lane, even if that has failed; and no worker goes back."""
    done: set[int] = set()
    reached: dict[str, int] = defaultdict(int)
    last: dict[tuple[int, str], int] = defaultdict(int)
    for one in calls:
        lane = ordered.get(one.lane, ())
        while reached[one.lane] < len(lane) and lane[reached[one.lane]] in done:
            reached[one.lane] += 1
        if reached[one.lane] < len(lane) and lane[reached[one.lane]] < one.event:
            found.disordered.append(f"{one}: before event {lane[reached[one.lane]]}")
        if one.word != "done":
            continue
        done.add(one.event)
        if one.event not in late:
            # Past here what was repeated after a kill is in order, too.
            if one.event <= last[one.pid, one.lane]:
                found.disordered.append(f"{one}: behind event {last[one.pid, one.lane]} of the same worker")
            last[one.pid, one.lane] = one.event


def _overlaps(found: Judgement, calls: Iterable[Call]) -> None:
    """One call at a time in a lane, whichever worker makes it."""
    before: dict[str, Call] = {}
    for one in calls:
        if one.lane in before and one.begin < before[one.lane].end:
            found.overlapping.append(f"{one}: began before the end of {before[one.lane]}")
        before[one.lane] = one


def _doubles(found: Judgement, calls: Iterable[Call], kills: Sequence[Kill]) -> None:
    """Each call of an event that had been finished, with the kill that explains it."""
    daemons = {kill.pid: kill for kill in kills if kill.what.startswith("daemon")}
    workers = {kill.pid: kill for kill in kills if kill.what == "worker"}
    finished: dict[int, Call] = {}
    for one in calls:
        first = finished.get(one.event)
        if first is not None:
            death = daemons.get(first.daemon)
            kill = death if death and death.unrecorded <= first.end else workers.get(first.pid)
            if kill is not None and one.pid != first.pid:
                found.doubled.setdefault(kill, []).append(first)
            else:
                found.unexplained.append(f"{one}: had been finished by worker {first.pid} of daemon {first.daemon}")
        if one.word == "done":
            finished[one.event] = one
