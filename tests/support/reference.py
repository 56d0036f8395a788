"""The reference, shotgunEvents, for tests that hold Callsheet against it.

Where its checkout stands says the environment variable CALLSHEET_REFERENCE; without it such tests are skipped, and say so.
``python -m tests.support.reference CHECKOUT CONF`` runs its engine in the foreground, unmodified but for how long it sleeps.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

VARIABLE = "CALLSHEET_REFERENCE"
CHECKOUT = os.environ.get(VARIABLE)

needs_reference = [
    pytest.mark.reference,
    pytest.mark.skipif(not CHECKOUT, reason=f"{VARIABLE} names no checkout of shotgunsoftware/shotgunEvents"),
]
"""For whatever runs or reads the reference."""

NAP = 0.05
"""Seconds that the reference sleeps at most, where its conf says more: tests need not wait a whole second for each loop."""

SAVED = "CALLSHEET_REFERENCE_KILLED_AT_SAVE"
"""Environment: at which writing of the id file, counted from 1, the reference is to be killed in the midst of it."""


def checkout() -> Path:
    """The folder of the reference; only for tests that are marked ``needs_reference``."""
    assert CHECKOUT is not None
    return Path(CHECKOUT)


def module(folder: Path) -> ModuleType:
    """The reference's module, imported from that checkout as its own script would have it."""
    path = str(folder / "src")
    if path not in sys.path:
        sys.path.insert(0, path)
    return importlib.import_module("shotgunEventDaemon")


def main() -> None:
    """Run the engine until SIGTERM; with ``--drain`` until the site shows no event that a plugin has not had."""
    options = argparse.ArgumentParser()
    options.add_argument("--drain", action="store_true")
    options.add_argument("--loops", type=Path, help="a file that grows by one byte whenever the main loop begins anew")
    options.add_argument("--nap", type=float, default=NAP, help="seconds to sleep at most")
    options.add_argument("checkout", type=Path)
    options.add_argument("conf")
    given = options.parse_args()
    sys.argv[:] = [str(given.checkout / "src" / "shotgunEventDaemon.py"), "foreground"]
    daemon: Any = module(given.checkout)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))
    logging.getLogger().addHandler(handler)
    engine = daemon.Engine(given.conf)
    daemon.time = SimpleNamespace(sleep=_napping(given.nap, given.loops))
    daemon.pickle = SimpleNamespace(**vars(daemon.pickle) | {"dump": _killed_at(os.environ.get(SAVED), daemon.pickle.dump)})
    if given.drain:
        engine._getNewEvents = _until_quiet(engine)
    signal.signal(signal.SIGTERM, lambda _number, _frame: engine.stop())
    engine.start()


def _napping(longest: float, loops: Path | None) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        if loops is not None:
            with loops.open("ab") as file:
                file.write(b".")
        time.sleep(min(seconds, longest))

    return sleep


def _until_quiet(engine: Any) -> Callable[[], Any]:
    read = engine._getNewEvents

    def read_or_stop() -> Any:
        events = read()
        if not events:
            engine.stop()
        return events

    return read_or_stop


def _killed_at(which: str | None, dump: Callable[..., None]) -> Callable[..., None]:
    left = int(which) if which else 0

    def dump_or_die(*args: Any, **named: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        dump(*args, **named)

    return dump_or_die


if __name__ == "__main__":
    main()
