"""The pretend site without its network: what it keeps, who may come, and what calls do."""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callsheet.sandbox import auth
from callsheet.sandbox.event_store import EventLog
from callsheet.sandbox.reads import Reader
from callsheet.sandbox.schema import Schema
from callsheet.sandbox.schemacalls import SchemaCalls
from callsheet.sandbox.store import Entity, Store
from callsheet.sandbox.writes import Writer

Clock = Callable[[], float]


class Site:
    """One pretend site. ``path`` None: in memory. ``clock`` gives the time, in epoch seconds, that everything is written at."""

    def __init__(self, path: Path | None = None, *, clock: Clock = time.time, page: int = 500) -> None:
        self.clock = clock
        self.page = page
        self.store = Store(path)
        self.schema_calls = SchemaCalls(self.store)
        self.schema_calls.load()
        self.store.load()
        self.log = EventLog(self.store)
        self.reader = Reader(self.store, self.log, page)
        self._requests: Counter[str] = Counter()
        self._counting = threading.Lock()
        self.writes: list[dict[str, Any]] = []

    def count(self, method: str) -> None:
        """A call came in. Not under the store's lock: a call counts from when it is heard, not from when it is answered."""
        with self._counting:
            self._requests[method] += 1

    def requests(self) -> dict[str, int]:
        """How many calls came in, by method."""
        with self._counting:
            return dict(self._requests)

    def writer(self, actor: auth.Actor) -> Writer:
        """Writes of that caller, at the present time."""
        return Writer(self.store, self.log, self.reader, actor, self.clock())

    def add_script(self, name: str, key: str | None = None, *, events: bool = True) -> str:
        """Let a script in, under that key, the one it has, or a new one; returns it. ``events`` False: its deeds make no events."""
        key = key or auth.secret_of(self.store, "script", name) or secrets.token_urlsafe(16)
        with self.store.transaction():
            known = auth.script_user(self.store, name)
            values = {"firstname": name, "lastname": "1.0", "generate_event_log_entries": events}
            number = known.id if known else self.store.next_id("ApiUser")
            self.store.put(Entity("ApiUser", number, (known.values if known else {}) | values))
            auth.set_secret(self.store, "script", name, key)
        return key

    def snapshot(self) -> sqlite3.Connection:
        """A copy of everything the site keeps, in a database of its own."""
        copy = sqlite3.connect(":memory:", check_same_thread=False)
        with self.store.lock:
            self.store.set_fact("last_event_id", self.log.next_id - 1)
            self.store.sql.backup(copy)
        return copy

    def restore(self, snapshot: sqlite3.Connection) -> None:
        """Become what the snapshot holds. What clients wrote and asked for since is forgotten."""
        with self.store.lock:
            snapshot.backup(self.store.sql)
            self.store.schema = Schema()
            self.schema_calls.load()
            self.store.load()
            self.log.load()
            self.writes.clear()
        with self._counting:
            self._requests.clear()

    def close(self) -> None:
        """Close the database."""
        with self.store.lock:
            self.store.sql.close()
