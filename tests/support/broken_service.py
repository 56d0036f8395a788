"""``callsheet`` with one of its services broken: every step fails, or never ends, from the moment that a flag is there.

``python -m tests.support.broken_service CLASS fail|hang FLAG run CONFIG``; CLASS as ``callsheet.services.dispatch:Dispatch``.
"""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path
from typing import Any

from callsheet.cli import main as callsheet


def break_it(service: Any, how: str, flag: Path) -> None:
    """Replace its step."""
    well = service.step

    def step(self: Any) -> float:
        if not flag.exists():
            done: float = well(self)
            return done
        if how == "hang":
            threading.Event().wait(600)
        raise RuntimeError("it was broken on purpose")

    service.step = step


if __name__ == "__main__":
    place, how, flag, *arguments = sys.argv[1:]
    module, _, name = place.partition(":")
    found = getattr(importlib.import_module(module), name)
    found.limit = 0.5
    break_it(found, how, Path(flag))
    sys.argv[1:] = arguments
    callsheet()
