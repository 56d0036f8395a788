"""A whole installation in a folder: pretend sites, plugins, a configuration; and the daemon that runs on it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from callsheet.domain.delivery import DeliveryQuery, DeliveryRow, State
from callsheet.domain.overview import SiteHealth
from callsheet.domain.plugin import PluginRecord
from callsheet.domain.reading import SiteState
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.sandbox import Sandbox
from tests.support.running import CALLSHEET, RunningDaemon
from tests.support.traces import Trace

SITE = "studio"
FAST: Mapping[str, Any] = {"poll": 0.1, "timeout": 5, "retry_sleep": 0.4}
"""A site's settings in these tests: little patience, so that they need none."""


class Studio:
    """Sites by name, each with a plugin folder of that name; ``sandbox``, ``plugins`` are those of the first.

    The first start begins at the newest event of the time when the studio was made.
    """

    def __init__(self, folder: Path, sites: Mapping[str, Sandbox], *, state: Path | None = None) -> None:
        self.folder = folder
        self.sites = dict(sites)
        self.state = state or folder / "state"
        self.trace = Trace(folder / "trace")
        self.config = folder / "callsheet.toml"
        self.daemons: list[RunningDaemon] = []
        for name in sites:
            (folder / name).mkdir()
        self.configure()

    @property
    def sandbox(self) -> Sandbox:
        return next(iter(self.sites.values()))

    @property
    def plugins(self) -> Path:
        return self.folder / next(iter(self.sites))

    def configure(self, top: Mapping[str, Any] | None = None, **site: Any) -> None:
        """Write the configuration: ``top`` at its top, ``site`` for all sites, besides FAST."""
        lines = [f"{key} = {json.dumps(value)}" for key, value in {"state": str(self.state), "grace": 5, **(top or {})}.items()]
        for name, sandbox in self.sites.items():
            told = {"url": sandbox.url, "script": sandbox.script, "plugins": [name], **FAST, **site}
            lines += [f"[sites.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in told.items())]
            lines.append(f'key = {{ env = "KEY_OF_{name.upper()}" }}')
        self.config.write_text("\n".join([*lines, ""]))

    def write(self, plugin: str, text: str, *, site: str | None = None) -> Path:
        """Write a plugin (see ``traces``); over an older file, with a time that is strictly newer."""
        path = self.folder / (site or next(iter(self.sites))) / f"{plugin}.py"
        before = path.stat().st_mtime if path.exists() else 0.0
        # Moved there whole, as by those who deploy with care: nobody loads half a file.
        fresh = path.with_suffix(".new")
        fresh.write_text(self.trace.source(text))
        if fresh.stat().st_mtime <= before:
            os.utime(fresh, (before + 0.01, before + 0.01))
        fresh.replace(path)
        return path

    def conf(self, **daemon: Any) -> None:
        """A shotgunEventDaemon.conf instead of the TOML, for the first site; ``daemon``: options of its [daemon] section."""
        self.config = self.folder / "shotgunEventDaemon.conf"
        options = {
            "pidFile": self.folder / "daemon.pid",
            "eventIdFile": self.folder / "daemon.id",
            "logMode": 0,
            "logPath": self.folder / "logs",
            "logFile": "daemon.log",
            "logging": 10,
            "conn_retry_sleep": 1,
            "max_conn_retries": 5,
            "fetch_interval": 1,
            **daemon,
        }
        self.state = self.folder / "daemon.id.callsheet"
        (self.folder / "logs").mkdir(exist_ok=True)
        lines = ["[daemon]", *(f"{key}: {value}" for key, value in options.items())]
        lines += ["[shotgun]", f"server: {self.sandbox.url}", f"name: {self.sandbox.script}", f"key: {self.sandbox.key}"]
        lines += ["[plugins]", f"paths: {self.plugins}", "[emails]", "enabled: False", ""]
        self.config.write_text("\n".join(lines))

    # -- the daemon

    def launch(self, *arguments: str, command: Sequence[str] = CALLSHEET) -> RunningDaemon:
        """Start the daemon's process, and wait for nothing; use it in a ``with`` block."""
        log = self.folder / "daemon.stderr"
        daemon = RunningDaemon(self.config, log, arguments=arguments, environ=self.environ, command=command)
        self.daemons.append(daemon)
        return daemon

    def start(self, *arguments: str, command: Sequence[str] = CALLSHEET) -> RunningDaemon:
        """Start the daemon, and wait until it has its ledger, or has ended."""
        daemon = self.launch(*arguments, command=command)
        daemon.until(lambda: daemon.said("its state is in") or daemon.ended, running=False)
        return daemon

    def started(self, *arguments: str) -> RunningDaemon:
        """Start the daemon, and wait until it has read each site once."""
        daemon = self.start(*arguments)
        daemon.until(lambda: all(self.site(name).cursor is not None for name in self.sites))
        return daemon

    def drain(self, *arguments: str, code: int = 0) -> str:
        """``run --drain``, which must end with ``code``; returns its log."""
        with self.start("--drain", *arguments) as daemon:
            assert daemon.wait(60) == code, daemon.tail()
            return daemon.log

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of ``callsheet``: ``("status", "--json")``, with CONFIG behind the first word, or words."""
        words, *rest = arguments
        line = [*CALLSHEET, *words.split(), str(self.config), *rest]
        return subprocess.run(line, capture_output=True, text=True, check=False, env={**os.environ, **self.environ})

    def status(self) -> Any:
        """What ``callsheet status --json`` says."""
        return json.loads(self.command("status", "--json").stdout)

    @property
    def environ(self) -> dict[str, str]:
        """The keys, where the configuration looks for them."""
        return {f"KEY_OF_{name.upper()}": sandbox.key for name, sandbox in self.sites.items()}

    # -- what the ledger knows

    @contextmanager
    def ledger(self) -> Iterator[SqliteLedger]:
        """The ledger, open for as long as the block runs; never longer, so that a killed daemon leaves it as it would alone."""
        ledger = SqliteLedger(self.state / "ledger.db", create=False)
        try:
            yield ledger
        finally:
            ledger.close()

    def site(self, name: str = SITE) -> SiteState:
        """Where the reading of a site stands."""
        if not (self.state / "ledger.db").exists():
            return SiteState(name)
        with self.ledger() as ledger:
            return ledger.site(name)

    def health(self, name: str = SITE) -> SiteHealth:
        """How a site was at the daemon's last heartbeat."""
        with self.ledger() as ledger:
            known = {one.site: one for one in ledger.overview().health}
        return known.get(name, SiteHealth(name, "", None, None))

    def plugin(self, name: str) -> PluginRecord | None:
        """What the ledger knows of a plugin; None if nothing."""
        if not (self.state / "ledger.db").exists():
            return None
        with self.ledger() as ledger:
            return next((one for one in ledger.plugins() if one.key.name == name), None)

    def waiting(self, name: str) -> int:
        """How many open deliveries the plugin has."""
        found = self.plugin(name)
        return found.waiting if found else 0

    def deliveries(self, *states: State, plugin: str | None = None, event_id: int | None = None) -> list[DeliveryRow]:
        """Deliveries in the order of their events; no state: in any."""
        with self.ledger() as ledger:
            query = DeliveryQuery(states=states, plugin=plugin, event_id=event_id, limit=1_000_000)
            return sorted(ledger.deliveries(query), key=lambda one: one.event_id)

    def states(self) -> dict[str, int]:
        """How many deliveries stand in each state, by word, without those in which none does."""
        with self.ledger() as ledger:
            return {state.word: count for state, count in ledger.overview().states.items() if count}
