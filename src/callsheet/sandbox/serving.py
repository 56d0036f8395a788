"""A site at an address: up, down, and up again at the same port."""

from __future__ import annotations

import threading

from callsheet.sandbox.control import Controls
from callsheet.sandbox.faults import Faults
from callsheet.sandbox.pretend_site import Site
from callsheet.sandbox.server import SandboxServer


class Serving:
    """The part of a Sandbox that is about its HTTP server."""

    def __init__(self, site: Site, faults: Faults, controls: Controls, address: tuple[str, int]) -> None:
        self.site = site
        self.faults = faults
        self._controls = controls
        self._address = address
        self._server: SandboxServer | None = None
        self._coming_back: threading.Timer | None = None

    @property
    def url(self) -> str:
        """Where the site is, also while it is stopped."""
        host, port = self._address
        return f"http://{host}:{port}"

    def start(self) -> None:
        """Answer (again), at the same port."""
        if self._server is None:
            self._server = SandboxServer(self._address, self.site, self.faults, self._controls)
            self._address = (self._address[0], self._server.server_address[1])
            threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True).start()

    def stop(self) -> None:
        """Be down: connections are closed and new ones refused, until ``start``."""
        server, self._server = self._server, None
        if server is not None:
            server.closing.set()
            server.shutdown()
            server.server_close()
            server.drop_connections(idle_only=False)

    def down(self, seconds: float) -> None:
        """Be down for that long; returns at once."""
        self.stop()
        self._coming_back = threading.Timer(seconds, self.start)
        self._coming_back.daemon = True
        self._coming_back.start()

    def drop_connections(self) -> int:
        """Close the connections that wait for their next request, as a load balancer does. Returns how many."""
        return self._server.drop_connections() if self._server else 0

    def hang_up(self) -> None:
        """Be down, and do not come back."""
        if self._coming_back:
            self._coming_back.cancel()
            self._coming_back.join()  # it may be at it already
        self.faults.clear()
        self.stop()
