"""The adapter: each method of the port is one transaction around the function that answers it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import DeliveryQuery, DeliveryRow, Outcome, Run
from callsheet.domain.operation import DaemonCommand, Operation
from callsheet.domain.overview import Changed, Described, Heartbeat, Overview, SiteHealth, WorkerRow
from callsheet.domain.plugin import Manifest, PluginFile, PluginRecord, PluginState
from callsheet.domain.reading import Intake, SiteState
from callsheet.errors import StateError
from callsheet.ledgers.sqlite import daemon_commands, delivery_queries, operation_log, overview_queries, prune, runs, worker_rows
from callsheet.ledgers.sqlite import plugin_rows as plugin_table
from callsheet.ledgers.sqlite import recording as intakes
from callsheet.ledgers.sqlite.database import Database
from callsheet.ledgers.sqlite.lane_heads import set_back
from callsheet.ledgers.sqlite.ledger_files import disk_spaces
from callsheet.ledgers.sqlite.lock import OwnerLock, lock_path, owner_of
from callsheet.ports import Told, quietly

CHECKPOINT_EVERY = 60.0
"""Seconds between two checkpoints at most, beside those of SQLite itself, which come with every 4 MB."""

SET_BACK = 1.0
"""Seconds by which the time must lie before that of the last claim or settlement for the clock to have been set back."""


class LedgerGuard:
    """Watches the files of an open ledger, and saves what can be saved of a lost one."""

    def __init__(self, database: Database, lock: OwnerLock) -> None:
        self._database = database
        self._lock = lock

    def lost(self) -> str | None:
        """What of the ledger's files is no longer what was opened, in words; None while all is well."""
        try:
            self._lock.keep()
        except StateError as error:
            return str(error).rstrip(".")
        return self._database.files.lost()

    def save(self) -> str:
        """Save what is left of a ledger whose files are lost; returns what came of it, and what to do."""
        try:
            cursors = [f"site {site} up to event {cursor}" for site, cursor in self._database.cursors().items()]
            known = f" It had been read for {', '.join(cursors)}." if cursors else ""
        except StateError:
            known = ""
        try:
            saved = self._database.save()
        except StateError as error:
            return f"{error}{known} Start with `callsheet run --from ID`, at the first event that is still to be delivered."
        if saved == self._database.path:
            return f"It is saved in {saved}.{known} The next start goes on with it, and nothing is skipped."
        place = self._database.path
        return f"It is saved in {saved}.{known} Another file stands at {place} now: to go on without it, move {saved} there first."


class SqliteLedger:
    """``ports.Ledger`` on one SQLite file, which must lie on a local disk.

    A daemon takes the ``lock`` first: that makes it the only one on this file until ``close``. Other processes may read and
    ``operate`` meanwhile. All methods raise StateError, which names the cure, when the file can't be used: nothing is half-written
    then, and the call can be made again.
    """

    def __init__(self, path: Path, *, create: bool = True, anew: bool = False) -> None:
        """Open the ledger at ``path``, made if missing and ``create``; tables of an older version are brought up to date.

        ``anew``: also where it is missing though there was one.
        """
        self._database = Database(path, create=create, anew=anew)
        self._names = self._database.names
        self._workers: worker_rows.Written | None = None
        self._lock = OwnerLock(lock_path(path))
        self._latest = 0.0
        self.guard = LedgerGuard(self._database, self._lock)
        self._checkpoint_at = self._checkpoint_in = 0.0

    def lock(self, owner: str) -> None:
        """Be the one daemon on this ledger until ``close``. StateError, naming its process, if there is another."""
        self._lock.acquire(owner)

    def site(self, site: str, *, expired: bool = False) -> SiteState:
        """See the port."""
        with self._database.snapshot() as tx:
            return intakes.site_state(tx, site, expired=expired)

    def record(self, intake: Intake, now: float) -> int:
        """See the port. A page without deliveries is not forced to the disk: after a power cut it is merely read again."""
        with self._database.transaction(durable=bool(intake.deliveries or intake.replay)) as tx:
            return intakes.record(tx, self._names, intake, now)

    def enrol(self, plugins: Sequence[PluginFile], state: PluginState, now: float, *, problem: str = "") -> None:
        """See the port."""
        with self._database.transaction() as tx:
            plugin_table.enrol(tx, self._names, plugins, state=state, now=now, problem=problem)

    def describe(self, plugin: PluginFile, manifest: Manifest, now: float) -> Described:
        """See the port. Deliveries that are handed out are skipped, too; one that still ends in its worker takes that outcome."""
        with self._database.transaction() as tx:
            return plugin_table.describe(tx, self._names, plugin, manifest, now)

    def plugins(self, site: str | None = None) -> list[PluginRecord]:
        """See the port."""
        with self._database.snapshot() as tx:
            return plugin_table.records(tx, site)

    def claim(self, free: Mapping[PluginKey, int], most: int, owner: str, now: float) -> tuple[list[Run], float | None]:
        """See the port. Not forced to the disk: a claim that a power cut undoes is one that ``recover`` need not undo."""
        with self._transaction_at(now, durable=False) as tx:
            return runs.claim(tx, self._names, free, most=most, owner=owner, now=now)

    def settle(self, outcomes: Sequence[Outcome], ended: Sequence[int], now: float) -> None:
        """See the port. A delivery closed meanwhile takes an outcome that closes it, too, and is not opened again by any other."""
        with self._transaction_at(now, durable=bool(outcomes)) as tx:
            runs.settle(tx, self._names, outcomes, ended, now)

    def recover(self, owner: str, now: float) -> int:
        """See the port. Takes the ``lock`` if that was not done before."""
        self.lock(owner)
        with self._database.transaction() as tx:
            self._latest = overview_queries.last_beat(tx)
            return runs.recover(tx, now)

    def operate(self, operation: Operation, now: float, told: Told = quietly) -> Changed:
        """See the port. What is handed out is not skipped, hence not returned. The query's limit does not count here."""
        return operation_log.operate(self._database, operation, now, told)

    def deliveries(self, query: DeliveryQuery) -> list[DeliveryRow]:
        """See the port. ``since``: recorded or ended since."""
        with self._database.snapshot() as tx:
            return delivery_queries.rows(tx, query)

    def overview(self, *, operations: int = 0) -> Overview:
        """See the port."""
        with self._database.snapshot() as tx:
            read = overview_queries.overview(tx, operations)
        # Behind the read: a daemon that ends in between has said so, and is not taken for one that was killed.
        folders = [str(self._database.path.parent), *(read.heartbeat.folders if read.heartbeat else ())]
        return replace(read, owner=owner_of(self._lock.path), disks=disk_spaces(folders))

    def beat(self, heartbeat: Heartbeat, health: Sequence[SiteHealth], workers: Sequence[WorkerRow] = ()) -> list[DaemonCommand]:
        """See the port. Not forced to the disk.

        From time to time, and soon after the start, the write-ahead log is moved into the file: a copy of that alone should have
        nearly all, and so should the file if the log is removed.
        """
        if time.monotonic() >= self._checkpoint_at and self._database.files.lost() is None:
            self._checkpoint_in = min(CHECKPOINT_EVERY, 2 * self._checkpoint_in + 1)
            self._checkpoint_at = time.monotonic() + self._checkpoint_in
            self._database.checkpoint()
        with self._database.transaction(durable=False) as tx:
            overview_queries.beat(tx, heartbeat, health)
            written = worker_rows.keep(tx, self._workers, workers, heartbeat.at)
            taken = daemon_commands.take(tx)
        self._workers = written
        return taken

    def prune(self, before: float, told: Told = quietly) -> tuple[int, int]:
        """See the port. Many small transactions, so that nobody waits for it."""
        return prune.prune(self._database, before, told)

    def close(self) -> None:
        """See the port."""
        self._database.close()
        self._lock.release()

    @contextmanager
    def _transaction_at(self, now: float, *, durable: bool) -> Iterator[sqlite3.Connection]:
        """A transaction at that time. Where the clock was set back since the last one, all is due that much earlier."""
        with self._database.transaction(durable=durable) as tx:
            if now < self._latest - SET_BACK:
                set_back(tx, now, self._latest - now)
            yield tx
        self._latest = now
