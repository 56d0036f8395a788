"""Which events of a page are taken, which ids are missing, and how long a missing id is waited for. Pure.

Ids of events are given out before their transactions commit, so an id may show late, or never. Missing ids are kept as ranges, so
200,000 of them cost what one costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from callsheet.domain.event import Event
from callsheet.domain.reading import Gap


@dataclass(frozen=True, slots=True)
class Admission:
    """What a page means. ``late``: events that fill a gap, each with the plugin the gap belonged to (None: every plugin)."""

    cursor: int
    gaps: tuple[Gap, ...]
    take: tuple[Event, ...] = ()
    late: tuple[tuple[Event, str | None], ...] = ()
    opened: tuple[Gap, ...] = ()
    ignored: tuple[Gap, ...] = ()
    expired: tuple[Gap, ...] = ()


def admit(
    cursor: int,
    events: Sequence[Event],
    gaps: Sequence[Gap],
    *,
    clock: float,
    now: float,
    window: float,
    strict: bool = False,
    settled: int = 0,
) -> Admission:
    """Sort a page (ascending ids) into fresh and late events, and find the gaps that it opens.

    ``clock`` is the site's clock of answered time, ``now`` the wall clock (epoch seconds). A gap whose next event is older than
    ``window`` seconds is not waited for: what it lacked would have shown by now. The same holds for all ids up to ``settled``,
    whose events may have been left out here. ``strict`` stops in front of an open gap.
    """
    left = list(gaps)
    take: list[Event] = []
    late: list[tuple[Event, str | None]] = []
    opened: list[Gap] = []
    ignored: list[Gap] = []
    expired: list[Gap] = []
    for event in events:
        if event.id <= cursor:
            owners, left = _fill(left, event.id)
            late.extend((event, owner) for owner in owners)
            continue
        if event.id > cursor + 1 and event.id > settled:
            hole = Gap(cursor + 1, event.id - 1, clock + window)
            known = _covering(left, hole) if strict else None
            if known is not None and known.until <= clock:
                expired.append(hole)
            elif known is not None:
                break
            elif age(event, now) > window:
                ignored.append(hole)
            else:
                opened.append(hole)
                left.append(hole)
                if strict:
                    break
        take.append(event)
        cursor = event.id
    if strict:
        left = [gap for gap in left if gap.plugin is not None or gap.last > cursor]
    return Admission(cursor, tuple(left), tuple(take), tuple(late), tuple(opened), tuple(ignored), tuple(expired))


def expire(gaps: Iterable[Gap], clock: float, cursor: int) -> tuple[tuple[Gap, ...], tuple[Gap, ...]]:
    """Part ``gaps`` into those still waited for and those whose window has ended.

    A gap ahead of the cursor (strict) is kept when it has ended: `admit` needs it to know that it may pass.
    """
    kept: list[Gap] = []
    ended: list[Gap] = []
    for gap in gaps:
        (ended if gap.until <= clock and gap.last <= cursor else kept).append(gap)
    return tuple(kept), tuple(ended)


def age(event: Event, now: float) -> float:
    """Seconds since the event was made; 0 for a time that can't be read, so that its gap is waited for."""
    made = event.made_at
    return 0.0 if made is None else now - made


def _fill(gaps: list[Gap], event_id: int) -> tuple[list[str | None], list[Gap]]:
    """Take ``event_id`` out of every gap that has it; returns the owners of those gaps and what is left."""
    owners: list[str | None] = []
    left: list[Gap] = []
    for gap in gaps:
        if not gap.first <= event_id <= gap.last:
            left.append(gap)
            continue
        owners.append(gap.plugin)
        if gap.first < event_id:
            left.append(Gap(gap.first, event_id - 1, gap.until, gap.plugin))
        if event_id < gap.last:
            left.append(Gap(event_id + 1, gap.last, gap.until, gap.plugin))
    return owners, left


def _covering(gaps: Iterable[Gap], hole: Gap) -> Gap | None:
    return next((gap for gap in gaps if gap.plugin is None and gap.first <= hole.first and hole.last <= gap.last), None)
