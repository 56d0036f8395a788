"""One race: a daemon, on a conf, over the events of a site; timed by the plugins that it calls."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CONF = """[daemon]
pidFile: {folder}/daemon.pid
eventIdFile: {folder}/daemon.id
logMode: 1
logPath: {folder}/logs
logFile: daemon
logging: 20
conn_retry_sleep: 1
max_conn_retries: 5
fetch_interval: 1
max_event_batch_size: 500
[shotgun]
server: {url}
name: {script}
key: {key}
use_session_uuid: True
[plugins]
paths: {folder}/plugins
[emails]
enabled: False
server: localhost
from: a@localhost
to: b@localhost
subject: bench
"""

NOOP = """
import time
FIRST, LAST, MARK = {first}, {last}, {mark!r}

def registerCallbacks(reg):
    reg.registerCallback({script!r}, {key!r}, noop, {wanted!r}, None)

def noop(sg, logger, event, args):
    if event["id"] == FIRST or event["id"] == LAST:
        with open(MARK, "a") as mark:
            mark.write("%.6f\\n" % time.time())
"""


@dataclass(frozen=True)
class Site:
    """A running pretend site and the ids of the events to be handled."""

    url: str
    script: str
    key: str
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many events there are to handle."""
        return self.last - self.first + 1


def environment() -> dict[str, str]:
    """This process's, without the switch that keeps Python from caching what it compiled."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextlib.contextmanager
def site(events: int) -> Iterator[Site]:
    """A sandbox in its own process, with so many events."""
    command = [sys.executable, "-m", "bench.site", str(events)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        yield Site(**json.loads(process.stdout.readline()))


def read(where: Site) -> float:
    """Events per second of merely reading."""
    command = [sys.executable, "-m", "bench.reader", where.url, where.script, where.key, str(where.first - 1), str(where.last)]
    return where.count / float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout)


def race(where: Site, plugins: dict[str, str], command: Sequence[str], *, timeout: float = 300.0) -> float:
    """Seconds from the first event's callback to the last one's. ``plugins``: name → source with ``{mark}`` and the site's facts.

    ``command`` gets the conf's path appended.
    """
    with tempfile.TemporaryDirectory(prefix="callsheet-bench-") as name:
        folder = Path(name)
        mark = folder / "mark"
        (folder / "plugins").mkdir()
        (folder / "logs").mkdir()
        facts = {"first": where.first, "last": where.last, "mark": str(mark), "script": where.script, "key": where.key}
        for plugin, source in plugins.items():
            (folder / "plugins" / f"{plugin}.py").write_text(source.format(wanted=None, **facts))
        conf = folder / "shotgunEventDaemon.conf"
        conf.write_text(CONF.format(folder=folder, url=where.url, script=where.script, key=where.key))
        state = {str(folder / "plugins"): dict.fromkeys(plugins, (where.first - 1, {}))}
        (folder / "daemon.id").write_bytes(pickle.dumps(state))
        log = (folder / "output").open("w+")
        with subprocess.Popen([*command, str(conf)], stdout=log, stderr=log, env=environment()) as daemon:
            try:
                return _wait(mark, 2 * len(plugins), daemon, timeout)
            except BaseException:
                log.seek(0)
                sys.stderr.write(log.read()[-4000:])
                raise
            finally:
                daemon.send_signal(signal.SIGKILL)


def _wait(mark: Path, marks: int, daemon: subprocess.Popen[bytes], timeout: float) -> float:
    deadline = time.monotonic() + timeout
    while True:
        times = sorted(float(line) for line in mark.read_text().split()) if mark.exists() else []
        if len(times) >= marks:
            return times[-1] - times[0]
        if time.monotonic() > deadline or daemon.poll() is not None:
            raise TimeoutError(f"{len(times)} of {marks} marks after {timeout} s; exit code {daemon.poll()}")
        threading.Event().wait(0.02)
