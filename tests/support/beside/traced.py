"""For plugins of tests: ``note`` adds one line of JSON to the file that TRACE names, whole, whoever else writes there."""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import Any


def note(**facts: Any) -> None:
    """Add these facts, in a single write."""
    line = json.dumps(facts, default=repr) + "\n"
    descriptor = os.open(os.environ["TRACE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def told(value: Any) -> Any:
    """A value with its types, as JSON: what two daemons hand to a callback is the same if and only if this is."""
    if isinstance(value, dict):
        return {"dict": [[told(key), told(one)] for key, one in sorted(value.items(), key=lambda item: str(item[0]))]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [told(one) for one in value]}
    if isinstance(value, dt.datetime):
        zone = value.tzinfo
        return {"datetime": value.isoformat(), "zone": f"{type(zone).__module__}.{type(zone).__name__}", "name": value.tzname()}
    return {type(value).__name__: repr(value)}
