"""What merely reading the log costs with the vendor's client, in the pages that the daemons ask for. Prints the seconds."""

from __future__ import annotations

import sys
import time

from shotgun_api3.shotgun import Shotgun

FIELDS = ["id", "event_type", "attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at"]


def main() -> None:
    """``python -m bench.reader URL SCRIPT KEY AFTER LAST``."""
    url, script, key, after, last = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
    site = Shotgun(url, script, key)
    began = time.perf_counter()
    while after < last:
        after = site.find(
            "EventLogEntry",
            [["id", "greater_than", after]],
            FIELDS,
            order=[{"field_name": "id", "direction": "asc"}],
            limit=500,
        )[-1]["id"]
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
