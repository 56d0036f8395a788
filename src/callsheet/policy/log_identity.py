"""Whether the event log that a site shows is the one that was read before. Pure.

A site that was restored, a refreshed staging site, or another site under the same name gives the ids that were read to other
events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from callsheet.domain.event import Event
from callsheet.domain.reading import Fingerprint

KEPT = 5
"""How many of the last events are remembered: one of them alone may be hidden from the script one day."""

UNFINISHED = "unfinished"
"""Stands for a site's address while an operator's reset is under way: it is the address of none."""

_PORTS = {"http": 80, "https": 443}


def address(url: str) -> str:
    """What of a site's URL says which site it is: host, port and path; not its scheme, case, trailing slash or password."""
    parts = urlsplit(url.strip() if "//" in url else f"https://{url.strip()}")
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{(parts.hostname or '').rstrip('.')}{port}{parts.path.rstrip('/')}"


def fingerprint(event: Event) -> Fingerprint:
    """That of an event, as read."""
    return Fingerprint(event.id, event.type, str(event.data.get("created_at")))


def remembered(before: Sequence[Fingerprint], events: Sequence[Event]) -> tuple[Fingerprint, ...]:
    """The last events read, after these were read as well."""
    return (*before, *map(fingerprint, events[-KEPT:]))[-KEPT:]


def replaced(recent: Sequence[Fingerprint], shown: Mapping[int, Fingerprint]) -> str | None:
    """Which event that was read is another one by now, in words; None where none is."""
    for was in reversed(recent):
        now = shown.get(was.id, was)
        if now != was:
            then = f"it was {was.event_type} of {was.created_at} when it was read" if was.event_type else "there was none before"
            return f"event {was.id} is {now.event_type} of {now.created_at}, and {then}"
    return None


def missing(cursor: int, recent: Sequence[Fingerprint], shown: Mapping[int, Fingerprint], newest: int) -> str | None:
    """Why the log seems to be another one, in words; None where it doesn't. What is not shown yet may only be late.

    A log of which nothing was read, and which is empty, may be a new one that begins behind the id that was given.
    """
    if newest < cursor and (newest or recent):
        return f"its newest event is {newest or 'none at all'}, and it was read up to event {cursor}"
    if recent and not any(one.id in shown for one in recent):
        return f"it does not show event {recent[-1].id}, nor any other of the last that were read"
    return None
