"""A plugin's connection to its site: made late, and renewed before a dropped socket can fail a call.

Load balancers drop connections that were idle for some minutes. Since 3.8.5 shotgun_api3 does not try again after a socket
error, so the first call on such a connection fails. Between two deliveries nothing can be under way, so that is when it is closed;
the next call opens a new one.
"""

import select
import sys
import threading
import time
from typing import Any, Callable, Optional

from callsheet.agent.coroutines import LOOPS

IDLE = 30.0
"""Seconds without a call after which a connection is not trusted any more."""


class Site:
    """How to reach the site, for all connections of a plugin."""

    def __init__(self, url: str, proxy: Optional[str]) -> None:
        self.url = url
        self.proxy = proxy

    def connect(self, script: Any, key: Any) -> Any:
        """A ``shotgun_api3.Shotgun`` that has not said anything to the site yet."""
        try:
            import shotgun_api3  # noqa: PLC0415 - late: it takes 0.1 s, and not every plugin needs it
        except ImportError as error:
            raise ImportError(
                f"shotgun_api3 can't be imported by the worker's Python: {error}. Install it there: pip install shotgun_api3",
                name="shotgun_api3",
            ) from error
        kind: Any = shotgun_api3.Shotgun  # type: ignore[attr-defined] # it has no types
        from callsheet.wire import client_patch  # noqa: PLC0415 - late, as above

        client_patch.patch(sys.modules[kind.__module__])
        return kind(self.url, script, key, http_proxy=self.proxy, connect=False)


class Connection:
    """One Shotgun object, kept fit for use by one delivery after another."""

    def __init__(self, sg: Any) -> None:
        self._sg = sg
        self._used = time.monotonic()

    def ready(self) -> Any:
        """The object, the same each time; its socket is open and answers, or is going to be opened."""
        sg = self._sg
        # None until the first call, and that is all that most deliveries pay.
        http = getattr(sg, "_connection", None)
        if http is not None:
            from callsheet.wire.client_patch import turn_of  # noqa: PLC0415 - a connection that was opened has loaded it

            turn = turn_of(sg)
            if turn.acquire(blocking=False):  # else a thread of the callback's is in the middle of a call
                try:
                    if time.monotonic() - self._used > IDLE or _dropped(http):
                        sg.close()
                finally:
                    turn.release()
        return sg

    def mark(self, session_uuid: str) -> None:
        """Have all that is written from now on carry this session uuid."""
        self._sg.set_session_uuid(session_uuid)

    def used(self) -> None:
        """Note that a delivery which may have used the connection has ended."""
        if getattr(self._sg, "_connection", None) is not None:
            self._used = time.monotonic()


class ThreadConnections:
    """A connection for each thread that asks, since a Shotgun object serves one thread only."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._mine = threading.local()

    def begin(self, mark: str) -> Callable[[], Any]:
        """Note that a call begins in the calling thread, which writes with this mark. Returns how the call gets at ``sg``.

        A coroutine that the thread waits for uses the thread's own, so that coroutines in one event loop don't share one. Other
        threads that the call asks in have their own.
        """
        held, caller = self._held(), threading.get_ident()
        held.mark(mark)

        def ready() -> Any:
            if threading.get_ident() == caller or LOOPS.runs_this_thread():
                return held.ready(self._make)
            self.mark(mark)
            return self.ready()

        return ready

    def mark(self, session_uuid: str) -> None:
        """What the calling thread writes from now on carries this session uuid, also with a Shotgun object that it kept."""
        self._held().mark(session_uuid)

    def ready(self) -> Any:
        """The calling thread's Shotgun object."""
        return self._held().ready(self._make)

    def used(self) -> None:
        """Note that a delivery of the calling thread has ended."""
        connection = self._held().connection
        if connection is not None:
            connection.used()

    def _held(self) -> "_Held":
        held: Optional[_Held] = getattr(self._mine, "held", None)
        if held is None:
            held = self._mine.held = _Held()
        return held


class _Held:
    """A thread's connection, once it has one, and the session uuid of what is written by it."""

    def __init__(self) -> None:
        self.connection: Optional[Connection] = None
        self._mark: Optional[str] = None

    def mark(self, session_uuid: str) -> None:
        self._mark = session_uuid
        if self.connection is not None:
            self.connection.mark(session_uuid)

    def ready(self, make: Callable[[], Any]) -> Any:
        if self.connection is None:
            self.connection = Connection(make())
            if self._mark is not None:
                self.connection.mark(self._mark)
        return self.connection.ready()


def _dropped(http: Any) -> bool:
    """Whether the other side closed a socket of an ``httplib2.Http``, or said what nobody asked for."""
    for held in list(getattr(http, "connections", {}).values()):
        socket = getattr(held, "sock", None)
        if socket is None:
            continue
        try:
            if _readable(socket.fileno()):
                return True
        except (OSError, ValueError):
            return True
    return False


def _readable(descriptor: int) -> bool:
    if hasattr(select, "poll"):
        poll = select.poll()  # unlike select(), it takes descriptors above 1023
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([descriptor], [], [], 0)[0])
