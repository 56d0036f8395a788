"""``python -m tests.chaos [--seconds 60 | --kills N] [--seed N] [--events 5000]``: exit code 1 if a promise was broken.

Ctrl-C ends the storm early; it is judged all the same.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from callsheet.sandbox import Sandbox
from tests.chaos.storm import DISK, Storm, summary
from tests.support.disk import small_disk
from tests.support.studio import SITE, Studio

SHOWN = 20


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description="Kill, fail and reload at random; count what is lost."
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the storm lasts (default: %(default)g)")
    parser.add_argument("--kills", type=int, default=0, help="until daemon and workers were killed so often each, instead")
    parser.add_argument("--seed", type=int, default=None, help="what decides on it (default: another one each time)")
    parser.add_argument("--events", type=int, default=5000, help="how many, each for four plugins (default: %(default)d)")
    asked = parser.parse_args()
    seed = random.randrange(1_000_000) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)  # noqa: T201 - what this command is for
    folder = Path(tempfile.mkdtemp(prefix="callsheet-chaos-"))
    with Sandbox(seed=seed) as sandbox, small_disk(folder / "disk", DISK) as disk:
        studio = Studio(folder, {SITE: sandbox}, state=disk.folder / "state" if disk else None)
        storm = Storm(studio, seed, events=asked.events, seconds=asked.seconds, kills=asked.kills, disk=disk)
        found = storm.run()
        faults = found.faults + ([] if storm.ledger_is_sound() else ["the ledger is damaged"])
        if disk is not None:
            shutil.copytree(studio.state, folder / "state", dirs_exist_ok=True)  # the disk is gone in a moment
    print(*summary(storm, found), *faults[:SHOWN], sep="\n")  # noqa: T201 - as above
    if len(faults) > SHOWN:
        print(f"… and {len(faults) - SHOWN} more")  # noqa: T201 - as above
    print(f"trace, ledger and log are in {folder}")  # noqa: T201 - as above
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
