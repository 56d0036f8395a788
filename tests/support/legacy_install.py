"""An install of an event daemon: a conf, plugin folders and an id file, that either daemon runs on, unmodified.

>>> install = Install(tmp_path, sandbox)
>>> install.plugin("a", tracing())
>>> install.place(at=sandbox.events()[-1]["id"])
>>> event = sandbox.add_event("Shotgun_Task_Change")
>>> install.drain(Daemon.CALLSHEET).code
0
>>> install.seen("a") == [event]
True
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.sandbox import Sandbox
from tests.support.process import Running
from tests.support.reference import CHECKOUT, NAP, needs_reference

ROOT = Path(__file__).parents[2]
BESIDE = Path(__file__).parent / "beside"
"""Modules for plugins: ``traced``."""

_OPTIONS: dict[str, dict[str, str]] = {
    "daemon": {
        "pidFile": "{folder}/daemon.pid",
        "eventIdFile": "{folder}/daemon.id",
        "logMode": "1",
        "logPath": "{folder}/logs",
        "logFile": "daemon",
        "logging": "10",
        "conn_retry_sleep": "1",
        "max_conn_retries": "3",
        "fetch_interval": "1",
    },
    "shotgun": {"server": "{url}", "name": "{script}", "key": "{key}", "use_session_uuid": "True"},
    "plugins": {"paths": "{paths}"},
    "emails": {"enabled": "False", "server": "localhost", "from": "a@b.example", "to": "c@d.example", "subject": "[SG]"},
}

_TRACING = """
from traced import note

def registerCallbacks(reg):
    reg.registerCallback({script!r}, {key!r}, seen, {match}, None, {stop})

def seen(sg, logger, event, args):
    note(plugin=__name__, event=event["id"])
"""


class Daemon(Enum):
    """Who runs the install."""

    CALLSHEET = "callsheet"
    REFERENCE = "reference"

    @property
    def ours(self) -> bool:
        """Whether it is Callsheet."""
        return self is Daemon.CALLSHEET

    def command(self, install: Install, *, drain: bool) -> list[str]:
        """What is started for it."""
        flag = ["--drain"] if drain else []
        if self.ours:
            return [str(Path(sys.executable).with_name("callsheet")), "run", *flag, str(install.conf)]
        pace = ["--loops", str(install.loops), "--nap", str(install.nap)]
        return [sys.executable, "-m", "tests.support.reference", *flag, *pace, str(CHECKOUT), str(install.conf)]


BOTH = [
    pytest.param(Daemon.CALLSHEET, id="callsheet"),
    pytest.param(Daemon.REFERENCE, id="reference", marks=needs_reference),
]
"""For tests of what both do alike, and of what the reference does wrong."""


@dataclass(frozen=True)
class Ended:
    """How a daemon ended, and what it wrote to stdout and stderr."""

    code: int
    output: str


class Install:
    """A folder with all that a daemon needs. ``options`` (section → option → text) change the conf; None leaves an option out."""

    def __init__(
        self,
        folder: Path,
        sandbox: Sandbox,
        *,
        folders: tuple[str, ...] = ("plugins",),
        options: Mapping[str, Mapping[str, str | None]] | None = None,
    ) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.folders = [folder / one for one in folders]
        for one in (*self.folders, folder / "logs"):
            one.mkdir(parents=True, exist_ok=True)
        self.conf = folder / "shotgunEventDaemon.conf"
        self.id_file = folder / "daemon.id"
        self.state = folder / "daemon.id.callsheet"
        self.trace = folder / "trace"
        self.loops = folder / "loops"
        self.nap = NAP
        """Seconds that the reference sleeps between two loops."""
        self.environ: dict[str, str] = {}
        """Beside what every daemon gets."""
        self.conf.write_text(self._conf(options or {}))

    def plugin(self, name: str, source: str, *, folder: int = 0) -> Path:
        """Write a plugin (``name`` without ``.py``), with a time strictly later than what stood there before."""
        path = self.folders[folder] / f"{name}.py"
        before = path.stat().st_mtime if path.exists() else None
        path.write_text(textwrap.dedent(source).lstrip("\n"))
        if before is not None:
            later = max(before + 2, path.stat().st_mtime)
            os.utime(path, (later, later))
        return path

    def tracing(self, match: object = None, *, stop: bool = True) -> str:
        """A plugin that notes each event it is given."""
        return _TRACING.format(script=self.sandbox.script, key=self.sandbox.key, match=repr(match), stop=stop)

    def registering(self, body: str, registration: str = "seen", *more: str) -> str:
        """A plugin whose ``registerCallbacks`` registers the named arguments after name and key; ``body`` is the module's rest."""
        lines = "".join(
            f"    reg.registerCallback({self.sandbox.script!r}, {self.sandbox.key!r}, {one})\n" for one in (registration, *more)
        )
        return f"from traced import note, told\n\ndef registerCallbacks(reg):\n{lines}\n{textwrap.dedent(body)}"

    def place(self, at: int | Mapping[str, Any] | None = None, *, protocol: int = 4) -> int:
        """Write the id file: all plugins at one id (None: the site's newest event), or a state per plugin of the first folder.

        Returns the site's newest id.
        """
        newest = int(self.sandbox.events()[-1]["id"])
        where = newest if at is None else at
        names = [path.stem for folder in self.folders for path in folder.glob("*.py")]
        states: dict[str, dict[str, Any]]
        if isinstance(where, int):
            states = {str(folder): dict.fromkeys(names, (where, {})) for folder in self.folders}
        else:
            states = {str(self.folders[0]): dict(where)}
        self.id_file.write_bytes(pickle.dumps(states, protocol=protocol))
        return newest

    def drain(self, daemon: Daemon, *, timeout: float = 60.0) -> Ended:
        """Let the daemon handle all that the site shows, and end by itself."""
        with (self.folder / "output").open("w+") as output:
            command = daemon.command(self, drain=True)
            nothing, environ = subprocess.DEVNULL, self._environment()
            code = subprocess.run(
                command, cwd=ROOT, env=environ, stdin=nothing, stdout=output, stderr=output, timeout=timeout, check=False
            ).returncode
            output.seek(0)
            return Ended(code, output.read())

    @contextmanager
    def running(self, daemon: Daemon) -> Iterator[Running]:
        """The daemon, until the block ends."""
        with Running(daemon.command(self, drain=False), ROOT, self._environment(), self.folder / "output") as running:
            yield running

    def is_quiet(self) -> bool:
        """Whether Callsheet has read all that the site shows, and no plugin has anything to do but those that are held."""
        path = self.state / "ledger.db"
        if not path.exists():
            return False
        ledger = SqliteLedger(path)
        try:
            shown = ledger.overview()
        finally:
            ledger.close()
        busy = any(one.waiting and not one.held for one in shown.plugins)
        newest = self.sandbox.events()[-1]["id"]
        behind = any(place is not None for one in shown.sites for place in one.positions.values())
        return not busy and not behind and [one.cursor for one in shown.sites] == [newest]

    def traced(self, **facts: Any) -> list[dict[str, Any]]:
        """What plugins noted, in order, those with these facts."""
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        noted: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [one for one in noted if facts.items() <= one.items()]

    def seen(self, plugin: str) -> list[int]:
        """The events that a tracing plugin was given, in order."""
        return [one["event"] for one in self.traced(plugin=plugin)]

    def log(self, name: str = "daemon") -> str:
        """A log file."""
        path = self.folder / "logs" / name
        return path.read_text() if path.exists() else ""

    def loop_count(self) -> int:
        """How many loops the reference has been through."""
        return self.loops.stat().st_size if self.loops.exists() else 0

    def _environment(self) -> dict[str, str]:
        # Little of this process's: the reference takes each variable for an option.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
        return kept | {"PYTHONPATH": str(BESIDE), "TRACE": str(self.trace), **self.environ}

    def _conf(self, changes: Mapping[str, Mapping[str, str | None]]) -> str:
        site = self.sandbox
        facts = {"folder": str(self.folder), "url": site.url, "script": site.script, "key": site.key}
        facts["paths"] = ", ".join(str(one) for one in self.folders)
        lines = []
        for section in (*_OPTIONS, *(one for one in changes if one not in _OPTIONS)):
            lines.append(f"[{section}]")
            for option, text in {**_OPTIONS.get(section, {}), **changes.get(section, {})}.items():
                if text is not None:
                    lines.append(f"{option}: {text.format(**facts) if option in _OPTIONS.get(section, {}) else text}")
        return "\n".join(lines) + "\n"
