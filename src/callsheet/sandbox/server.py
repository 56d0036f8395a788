"""The pretend site's HTTP server: keep-alive connections, one thread each, every answer in one write."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import sys
import threading
import traceback
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from callsheet.sandbox import control, rpc
from callsheet.sandbox.faults import JSON, Fault, Faults
from callsheet.sandbox.pretend_site import Site

_WELCOME = """<!doctype html><title>Callsheet sandbox</title><h1>A pretend Flow Production Tracking site</h1>
<p>shotgun_api3 finds it at this address. There are no pages here. Its controls are described in callsheet.sandbox.control.</p>
"""
_WALL = "<!doctype html><html><head><title>Sign in</title></head><body><h1>Please sign in to continue</h1></body></html>"


class SandboxServer(ThreadingHTTPServer):
    """Serves one site. ``port`` 0: any free one, in ``server_address`` from then on."""

    daemon_threads = True
    request_queue_size = 1024
    """Plugins with many slots connect all at once, and whoever finds no place here tries again a second later."""
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], site: Site, faults: Faults, controls: control.Controls) -> None:
        self.site = site
        self.faults = faults
        self.controls = controls
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, bool] = {}
        self._owners: dict[socket.socket, int] = {}
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """As above, without asking the name service who this is, which may take its time."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def busy(self, connection: socket.socket, *, busy: bool) -> None:
        """A connection has a request in hand, or waits for one."""
        with self._lock:
            if connection in self._connections:
                self._connections[connection] = busy

    def opened(self, connection: socket.socket) -> None:
        """A connection was accepted."""
        with self._lock:
            self._connections[connection] = False
            self._owners[connection] = threading.get_ident()

    def closed(self, connection: socket.socket) -> None:
        """A connection is over."""
        with self._lock:
            self._connections.pop(connection, None)
            self._owners.pop(connection, None)

    def drop_connections(self, *, idle_only: bool = True) -> int:
        """Close connections from this side, but not the one that asks for it; returns how many."""
        own = threading.get_ident()
        with self._lock:
            dropped = [one for one, busy in self._connections.items() if not (busy and idle_only) and self._owners[one] != own]
        for one in dropped:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        return len(dropped)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are daily business; anything else is a defect of the sandbox, and said."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 0
    server: SandboxServer
    connection: socket.socket

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        super().finish()

    def parse_request(self) -> bool:
        self.server.busy(self.connection, busy=True)
        return super().parse_request()

    def handle_one_request(self) -> None:
        if self.server.closing.is_set():
            self.close_connection = True  # accepted just before the site went down
            return
        super().handle_one_request()
        self.server.busy(self.connection, busy=False)

    def do_POST(self) -> None:
        """Calls of the client, and controls."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/sandbox/"):
            self._control(body)
        elif self.path.endswith("/api3/json"):
            self._call(body)
        elif "/upload/" in self.path:
            # The client takes an answer that does not begin with 1 for a failure, and shows it to its caller.
            self._send(b"0:Uploads are not here: the sandbox keeps no files. Test this against a real site.\n", "text/plain")
        else:
            self._send(b"There is nothing here. The API is at /api3/json.\n", "text/plain", HTTPStatus.NOT_FOUND)

    def do_GET(self) -> None:
        """Controls that only look, and a page for people."""
        if self.path.startswith("/sandbox/"):
            self._control(b"")
        else:
            self._send(_WELCOME.encode(), "text/html; charset=utf-8")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that it has above
        """Say nothing: requests are counted, not told."""

    def _control(self, body: bytes) -> None:
        status, text = self.server.controls.handle(self.command, self.path, body, self.client_address[0])
        self._send(text.encode(), JSON, HTTPStatus(status))

    def _call(self, body: bytes) -> None:
        try:
            request = json.loads(body)
            method, params = request["method_name"], request["params"]
            first, asked = (*params, None, None)[:2]
        except (ValueError, KeyError, TypeError) as problem:
            self._send(f"not a call of the API: {problem!r}\n".encode(), "text/plain", HTTPStatus.BAD_REQUEST)
            return
        script = first.get("script_name") if isinstance(first, dict) else None
        entity_type = asked.get("type") if isinstance(asked, dict) else None
        met = self.server.faults.draw(method, entity_type, script)
        self.server.site.count(str(method))  # only now: whoever sees it counted knows which fault it met
        if met is None:
            self._answer(method, params)
            return
        fault, seconds, released = met
        if fault.kind == "hang":
            while not released.wait(0.1) and not self.server.closing.is_set():
                pass
        elif seconds and fault.kind != "trickle":
            self.server.closing.wait(seconds)
        if self.server.closing.is_set():
            self._hang_up()
        elif fault.kind in ("slow", "hang"):
            self._answer(method, params)
        else:
            self._fail(fault, rpc.answer(self.server.site, method, params) if fault.works else "")

    def _answer(self, method: object, params: list[Any]) -> None:
        try:
            text = rpc.answer(self.server.site, method, params)
        except Exception:  # noqa: BLE001 - whatever went wrong is told to the caller, who would wait for an answer otherwise
            if self.server.closing.is_set():
                self._hang_up()  # the site's database is closed under the last requests
                return
            sys.stderr.write(f"callsheet sandbox: {method} failed\n{traceback.format_exc()}")
            self._send(traceback.format_exc().encode(), "text/plain", HTTPStatus.INTERNAL_SERVER_ERROR)
        else:
            self._send(text.encode(), JSON)

    def _fail(self, fault: Fault, text: str) -> None:
        match fault.kind:
            case "status":
                headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
                self._send(f"<h1>{fault.status}</h1>".encode(), "text/html", HTTPStatus(fault.status), headers)
            case "truncate":
                body = text.encode()
                self._send(body[: len(body) // 2], JSON, length=len(body))
                self._hang_up()
            case "garble":
                self._send((text[: len(text) // 2] + "\x00}").encode(), JSON)
            case "html":
                self._send(_WALL.encode(), "text/html; charset=utf-8")
            case "answer":
                self._send(fault.body.encode("utf-8", "surrogateescape"), fault.content_type)
            case "compress":
                self._send(text.encode(), JSON, headers={"Content-Encoding": "gzip"})
            case "trickle":
                self._send(text.encode(), JSON, every=fault.seconds or 1.0)
            case "refuse":
                refusal = {"exception": True, "message": fault.message, "error_code": fault.code}
                self._send(json.dumps(refusal).encode(), JSON)
            case _:
                self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(
        self,
        body: bytes,
        content_type: str,
        status: HTTPStatus = HTTPStatus.OK,
        headers: dict[str, str] | None = None,
        *,
        length: int | None = None,
        every: float = 0.0,
    ) -> None:
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Type: {content_type}"]
        lines += [f"Content-Length: {len(body) if length is None else length}"]
        lines += [f"Date: {formatdate(self.server.site.clock(), usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if self.close_connection:
            lines.append("Connection: close")
        # The site counts a connection as idle before the client can know that its answer is complete.
        self.server.busy(self.connection, busy=False)
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        if not every:
            self.wfile.write(head + body)
            return
        for number in range(len(body)):
            self.wfile.write((b"" if number else head) + body[number : number + 1])
            if self.server.closing.wait(every):
                self._hang_up()
                return
