"""A sandbox in a process of its own, so that it takes its processor time from neither daemon alone. Ends when stdin closes.

Prints one JSON line: url, script, key, first and last id of the events it holds.
"""

from __future__ import annotations

import json
import sys

from callsheet.sandbox import Sandbox


def main() -> None:
    """``python -m bench.site EVENTS``."""
    count = int(sys.argv[1])
    with Sandbox() as sandbox:
        sandbox.add_events(count)
        events = sandbox.events()
        last = events[-1]["id"]
        facts = {"url": sandbox.url, "script": sandbox.script, "key": sandbox.key, "first": last - count + 1, "last": last}
        print(json.dumps(facts), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
