"""The sandbox itself: a pretend site, served over HTTP, and what a test may do to it."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any, Self

from callsheet.sandbox import auth
from callsheet.sandbox.control import Controls, control_table
from callsheet.sandbox.event_controls import EventControls
from callsheet.sandbox.faults import Faults
from callsheet.sandbox.pretend_site import Clock, Site
from callsheet.sandbox.serving import Serving
from callsheet.sandbox.show import put_show

SCRIPT = "callsheet_demo"


class Sandbox(EventControls, Serving):
    """A pretend FPT site that answers at ``url`` from the moment it is made until ``close``.

    >>> with Sandbox() as sandbox:
    ...     sg = sandbox.connect()
    ...     sg.update("Task", 301, {"sg_status_list": "fin"})
    ...     assert sandbox.events()[-1]["attribute_name"] == "sg_status_list"

    ``file``: where everything is kept (None: in memory). ``script`` and ``key``: who is let in, beside ``add_script``; a key is
    made up if none is given. ``show``: begin with the show of ``callsheet.sandbox.show``. ``seed``: of random failures. ``clock``:
    gives the time, in epoch seconds, that everything is written at. ``page``: how many entities a page has at most.
    """

    def __init__(
        self,
        file: Path | str | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        script: str = SCRIPT,
        key: str | None = None,
        show: bool = True,
        seed: int = 0,
        clock: Clock = time.time,
        page: int = 500,
    ) -> None:
        EventControls.__init__(self, Site(Path(file) if file else None, clock=clock, page=page))
        Serving.__init__(self, self.site, Faults(seed), Controls(control_table(self)), (host, port))
        if show and not self.site.store.all_of("Project"):
            put_show(self.site)
        self.script = script
        self.key = self.site.add_script(script, key)
        self._seed = seed
        self.start()

    def close(self) -> None:
        """Stop for good, and close the file."""
        self.hang_up()
        self.site.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def add_script(self, name: str, key: str | None = None, *, events: bool = True) -> str:
        """Let another script in; returns its key. ``events`` False: what it does makes no events."""
        return self.site.add_script(name, key, events=events)

    def connect(self, script: str | None = None, key: str | None = None, **options: Any) -> Any:
        """A ``shotgun_api3.Shotgun`` of its own, as that script (which is added if it is not known) or as the sandbox's."""
        from shotgun_api3.shotgun import Shotgun  # noqa: PLC0415 - a sandbox serves others without it

        if "login" not in options and "session_token" not in options:
            name = script or self.script
            with self.site.store.lock:
                key = key or auth.secret_of(self.site.store, "script", name) or self.add_script(name)
            options |= {"script_name": name, "api_key": key}
        return Shotgun(self.url, **options)

    def writes(self) -> list[dict[str, Any]]:
        """What clients wrote, in order: method, type, id, fields, modes, script, user. Each request of a batch for itself."""
        with self.site.store.lock:
            return list(self.site.writes)

    def requests(self) -> dict[str, int]:
        """How many calls came in, by method, those that met a fault included."""
        return self.site.requests()

    def snapshot(self) -> sqlite3.Connection:
        """All that the site keeps now, for ``restore``."""
        return self.site.snapshot()

    def restore(self, snapshot: sqlite3.Connection) -> None:
        """Go back to a snapshot, of this sandbox or another one; its scripts and keys come with it."""
        self.site.restore(snapshot)
        with self.site.store.transaction():
            if auth.script_user(self.site.store, self.script) is None:
                self.add_script(self.script, self.key)
            auth.set_secret(self.site.store, "script", self.script, self.key)

    def copy(self) -> Sandbox:
        """Another sandbox, in memory and at a port of its own, that begins where this one stands."""
        site = self.site
        twin = Sandbox(
            host=self._address[0],
            script=self.script,
            key=self.key,
            show=False,
            seed=self._seed,
            clock=site.clock,
            page=site.page,
        )
        twin.restore(self.snapshot())
        return twin
