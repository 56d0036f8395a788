"""A sandbox in a process of its own, so that it takes its processor time from neither daemon alone. Ends when stdin closes.

Prints one JSON line: url, script, key, first and last id of the events it holds.
"""

from __future__ import annotations

import json
import sys

from bench.scenarios import SCENARIOS
from callsheet.sandbox import Sandbox

FIRST = 1_000_001
"""Leaves room for events that have been."""


def main() -> None:
    """``python -m bench.site SCENARIO``."""
    scenario = SCENARIOS[sys.argv[1]]
    with Sandbox() as sandbox:
        sandbox.set_next_event_id(FIRST)
        ids = sandbox.add_events(scenario.events, make=scenario.make)
        scenario.faults(sandbox)
        facts = {"url": sandbox.url, "script": sandbox.script, "key": sandbox.key, "first": ids[0], "last": ids[-1]}
        print(json.dumps(facts), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
