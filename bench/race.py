"""One race: a daemon, on a conf, over the events of a site; timed by the plugins that it calls."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench import backlog
from bench.scenarios import NEW_STYLE, Entry, Plugin

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
def site(scenario: str) -> Iterator[Site]:
    """A sandbox in its own process, with the scenario's events."""
    command = [sys.executable, "-m", "bench.site", scenario]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        yield Site(**json.loads(process.stdout.readline()))


def read(where: Site) -> float:
    """Events per second of merely reading."""
    command = [sys.executable, "-m", "bench.reader", where.url, where.script, where.key, str(where.first - 1), str(where.last)]
    return where.count / float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout)


@dataclass(frozen=True)
class Course:
    """What an entry finds ready: a site, and the ledger to begin with, if it is not to begin with none."""

    site: Site
    entry: Entry
    ledger: Path | None = None


@contextlib.contextmanager
def course(where: Site, entry: Entry) -> Iterator[Course]:
    """Prepare what takes long, once for all turns."""
    with tempfile.TemporaryDirectory(prefix="callsheet-bench-") as name:
        ledger = Path(name) / "ledger.db" if entry.waiting else None
        if ledger is not None:
            site_name = urlsplit(where.url).hostname or ""
            backlog.write(ledger, site_name, f"{backlog.NAME}.py", where.first - 1, entry.waiting)
        yield Course(where, entry, ledger)


def race(on: Course, command: Sequence[str], *, timeout: float = 300.0) -> float:
    """Seconds from the first call of any plugin to the last call of all. ``command`` gets the conf's path appended."""
    where, plugins = on.site, on.entry.plugins
    with tempfile.TemporaryDirectory(prefix="callsheet-bench-") as name:
        folder = Path(name)
        mark = folder / "mark"
        (folder / "plugins").mkdir()
        (folder / "logs").mkdir()
        sources = {plugin: _source(one, where, mark) for plugin, one in plugins.items()} | dict(on.entry.others)
        state: dict[str, dict[str, tuple[int, dict[int, object]]]] = {
            str(folder / "plugins"): dict.fromkeys(sources, (where.first - 1, {}))
        }
        (folder / "daemon.id").write_bytes(pickle.dumps(state))
        if on.ledger is not None:
            (folder / "daemon.id.callsheet").mkdir(mode=0o700)
            shutil.copy(on.ledger, folder / "daemon.id.callsheet")
            sources[backlog.NAME] = backlog.STUCK
        for plugin, source in sources.items():
            (folder / "plugins" / f"{plugin}.py").write_text(source)
        conf = folder / "shotgunEventDaemon.conf"
        conf.write_text(CONF.format(folder=folder, url=where.url, script=where.script, key=where.key))
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


def _source(plugin: Plugin, where: Site, mark: Path) -> str:
    first = where.first + plugin.turn
    attributes = ["sg_status_list"] if plugin.work != "pass" else None
    return plugin.source.format(
        on="from callsheet import on" if plugin.source is NEW_STYLE else "",
        first=first,
        last=first + (where.last - first) // plugin.share * plugin.share,
        mark=str(mark),
        script=where.script,
        key=where.key,
        wanted=None if plugin.types is None else dict.fromkeys(plugin.types, attributes),
        work=plugin.work,
    )


def _wait(mark: Path, marks: int, daemon: subprocess.Popen[bytes], timeout: float) -> float:
    deadline = time.monotonic() + timeout
    while True:
        times = sorted(float(line) for line in mark.read_text().split()) if mark.exists() else []
        if len(times) >= marks:
            return times[-1] - times[0]
        if time.monotonic() > deadline or daemon.poll() is not None:
            raise TimeoutError(f"{len(times)} of {marks} marks after {timeout} s; exit code {daemon.poll()}")
        threading.Event().wait(0.02)
