"""Events as plugins get them: the documented keys, and times as shotgun_api3 gives them."""

import datetime as dt
import functools
import re
from typing import Any, Dict, Tuple

KEYS = ("type", "id", "event_type", "attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at")
"""What an event handed to a plugin has: these, no more and no less."""

_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z").fullmatch
_LENGTH = len("2026-11-22T03:40:10Z")
_SECONDS = {f"{second:02}": dt.timedelta(seconds=second) for second in range(60)}


def handed_over(data: Dict[str, Any]) -> Dict[str, Any]:
    """The event for a plugin, made of ``data``, which is used up: its lists and dicts are changed in place."""
    get = data.get
    event = {key: get(key) for key in KEYS}
    _localise(event)
    return event


def _localise(box: Any) -> None:
    """Turn every time in a dict or list, and in what these hold, into an aware local datetime."""
    for key, value in box.items() if type(box) is dict else enumerate(box):
        kind = type(value)
        if kind is str:
            if len(value) == _LENGTH and value[-1] == "Z":
                box[key] = local(value)
        elif value and (kind is dict or kind is list):
            _localise(value)


def local(text: str) -> Any:
    """``2026-11-22T03:40:10Z`` as an aware local datetime; any other text as it is."""
    if not _STAMP(text):
        return text
    seconds = _SECONDS.get(text[17:19])
    if seconds is None:
        return text
    try:
        return _minute(text[:16]) + seconds
    except ValueError:  # no such day or hour; shotgun_api3 leaves these alone as well
        return text


@functools.lru_cache(maxsize=4096)
def _minute(text: str) -> dt.datetime:
    # Converting costs 10 us with shotgun_api3's time zone, and events come in bursts; no zone changes its offset within a minute.
    utc, here = zones()
    return dt.datetime.fromisoformat(text).replace(tzinfo=utc).astimezone(here)


@functools.lru_cache(maxsize=1)
def zones() -> Tuple[dt.tzinfo, Any]:
    """UTC and local, as shotgun_api3 has them, since plugins compare and pass on these times; without it, the library's own.

    The first call takes long; it is not to be made on a callback's time.
    """
    try:
        import shotgun_api3  # noqa: PLC0415 - late: it takes 0.1 s, and a worker may never get an event

        zones = shotgun_api3.sg_timezone  # type: ignore[attr-defined] # it has no types
    except Exception:  # noqa: BLE001 - none there, or one too old for this Python, or too new: times must still be converted
        return dt.timezone.utc, None
    return zones.utc, zones.local
