"""Plugins in every kind of trouble that plugins have found, each in a few lines, and what operators must be told of it."""

from __future__ import annotations

from typing import NamedTuple

from tests.support.traces import legacy, noting


class Exhibit(NamedTuple):
    """A plugin that misbehaves at the event of id ``FIRST``, or at import.

    ``told``: what the trouble named by `status` says of it; empty where nothing is wrong, and it must get all events itself.
    ``why``: what its failed delivery says, traceback included. ``noted``: what `workers` says while it lasts.
    """

    source: str
    told: str = ""
    why: str = ""
    noted: str = ""


def _once(body: str) -> str:
    """A legacy plugin that does so at one event, and whose lane is held where that fails."""
    return legacy("if event['id'] == FIRST:\n    " + body.strip().replace("\n", "\n    "))


GALLERY = {
    "sleeps": Exhibit(
        _once("import threading; threading.Event().wait()"),
        noted="callback first at event",
    ),
    "late": Exhibit(
        noting("if event['id'] == FIRST: wait_for('never')", "lane='plugin', timeout=1, retry={'attempts': 1}"),
        told="It took longer than its timeout",
        why="in wait_for",
    ),
    "locked": Exhibit(
        noting(
            "import re\nif event['id'] == FIRST: re.match('(a+)+$', 'a' * 99 + 'b')",
            "lane='plugin', timeout=1, retry={'attempts': 1}",
        ),
        told="It took longer than its timeout",
        why="in noted",
    ),
    "segfaults": Exhibit(_once("import ctypes; ctypes.string_at(0)"), told="SIGSEGV", why="Segmentation fault"),
    "exits": Exhibit(_once("os._exit(7)"), told="ended with exit code 7", why="ended with exit code 7"),
    "leaves": Exhibit(_once("import sys; sys.exit('enough')"), told="SystemExit: enough", why="sys.exit('enough')"),
    "fills": Exhibit(
        _once("kept = bytearray(400 * 2**20)\nimport threading; threading.Event().wait()"),
        told="far above its limit of 100 MB",
        why="OutOfMemory",
    ),
    "closes_pipes": Exhibit(
        _once("os.closerange(3, 256)\nimport threading; threading.Event().wait()"),
        told="closed the pipe to the daemon",
        why="os.closerange",
    ),
    "raises_at_import": Exhibit("raise ValueError('no licence')", told="ValueError: no licence"),
    "loops_at_import": Exhibit("while True: pass", told="loading took longer than 3 s"),
    "floods": Exhibit(_once("while not flag('dry'): print('x' * 99)")),
    "floods_without_lines": Exhibit(_once("while not flag('dry'): os.write(1, b'x' * 65536)")),
    "forks": Exhibit(_once("if os.fork() == 0: return")),
    "forks_for_long": Exhibit(
        _once("if os.fork() == 0:\n    wait_for('over')\n    os._exit(0)"),
    ),
    "closes_streams": Exhibit(_once("os.close(0); os.close(1); os.close(2)")),
    "moves": Exhibit(_once("os.chdir('/')")),
    "replaces_stdout": Exhibit(_once("import sys; sys.stdout = None")),
    "starts_threads": Exhibit(_once("import threading; threading.Thread(target=wait_for, args=('over',)).start()")),
    "handles_signals": Exhibit(
        _once(
            "for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR1):\n"
            "    signal.signal(one, signal.SIG_IGN)"
        ),
    ),
    "starts_programs": Exhibit(
        _once("import subprocess; subprocess.Popen(['sh', '-c', 'until [ -e %s/over.flag ]; do sleep 0.1; done' % FOLDER])"),
    ),
}
"""By plugin name."""

HEALTHY = tuple(name for name, one in GALLERY.items() if one == Exhibit(one.source))
TROUBLED = tuple(name for name in GALLERY if name not in HEALTHY)
