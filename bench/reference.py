"""Runs the reference's engine in the foreground on a conf: ``python -m bench.reference CHECKOUT CONF``."""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    """Put the checkout on the path, as its own script would have it, and start its engine."""
    checkout, conf = sys.argv[1], sys.argv[2]
    sys.path.insert(0, f"{checkout}/src")
    sys.argv[:] = [f"{checkout}/src/shotgunEventDaemon.py", "foreground"]
    engine = importlib.import_module("shotgunEventDaemon")

    engine.Engine(conf).start()


if __name__ == "__main__":
    main()
