"""What stands between clients and a site: a gateway, a proxy. Both pass everything on, or fail in a way that a test says."""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest

Fault = Callable[[socket.socket], None]
"""What is done to a connection instead of an answer."""

JSON = "application/json; charset=utf-8"
_LENGTH = re.compile(rb"(?i)^content-length: *(\d+)", re.MULTILINE)


def answer(body: bytes | str = b"", kind: str = JSON, status: int = 200, **headers: str) -> bytes:
    """An HTTP answer as it goes over the wire."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def says(raw: bytes) -> Fault:
    """These bytes come, and the connection is closed."""
    return lambda connection: connection.sendall(raw)


def once(fault: Fault, gateway: Callable[[], Gateway]) -> Fault:
    """The fault, and none from then on."""

    def meet(connection: socket.socket) -> None:
        gateway()._fault = None
        fault(connection)

    return meet


def closes(_connection: socket.socket) -> None:
    """The connection is closed without a word."""


def resets(connection: socket.socket) -> None:
    """The connection is reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def trickles(raw: bytes, *, every: float = 0.05) -> Fault:
    """These bytes come one by one, and then blanks for ever."""

    def trickle(connection: socket.socket) -> None:
        over = threading.Event()
        connection.settimeout(every)
        for byte in raw + b" " * 100_000:
            connection.sendall(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    return
            if over.is_set():
                return

    return trickle


class _Listener:
    """Accepts connections at a port of its own, a thread for each. ``fault``: what meets those that come from now on."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._server.getsockname()[1])
        self._fault: Fault | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.met = 0
        """How many requests met a fault."""
        threading.Thread(target=self._accept, name="gateway", daemon=True).start()

    @property
    def fault(self) -> Fault | None:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self._fault = fault
        self.drop()

    def drop(self) -> None:
        """Close all connections, so that the next request of each client is a new one."""
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._guarded, args=(connection,), daemon=True).start()

    def _guarded(self, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._serve(connection)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def _meet(self, fault: Fault, connection: socket.socket) -> None:
        self.met += 1
        fault(connection)


class Gateway(_Listener):
    """In front of the site at ``url``. ``tls``: certificate and key files, where it speaks TLS.

    ``only``: the fault meets requests that have one of these texts alone; none: all. ``at_hello``: what is done to a connection
    before TLS begins. ``media``: answers by path, for what the sandbox doesn't have. ``rewritten``: bytes of the site's answers and
    what is put in their place.
    """

    def __init__(self, url: str, tls: tuple[Path, Path] | None = None) -> None:
        self._site = urlsplit(url).netloc
        self._tls = _context(tls)
        self.only: tuple[str, ...] = ()
        self.at_hello: Fault | None = None
        self.media: dict[str, bytes] = {}
        self.received: dict[str, bytes] = {}
        """The last body that came to each of those."""
        self.rewritten: dict[bytes, bytes] = {}
        super().__init__()
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"

    def certify(self, tls: tuple[Path, Path]) -> None:
        """Show another certificate from now on."""
        self._tls = _context(tls)
        self.drop()

    def _serve(self, connection: socket.socket) -> None:
        if self._tls is not None:
            if self.at_hello is not None:
                connection.recv(65536)
                self._meet(self.at_hello, connection)
                return
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection:
            for head, body in _requests(connection):
                fault = self._fault
                if fault is not None and (not self.only or any(one.encode() in head + body for one in self.only)):
                    self._meet(fault, connection)
                    return
                path = _path(head)
                if path in self.media:
                    self.received[path] = body
                connection.sendall(self.media.get(path) or self._pass_on(head, body))

    def _pass_on(self, head: bytes, body: bytes) -> bytes:
        site = http.client.HTTPConnection(self._site, timeout=30)
        verb, path, _ = head.decode("latin-1").split(" ", 2)
        site.request(verb, path, body or None, {"content-type": "application/json"})
        got = site.getresponse()
        data = got.read()
        site.close()
        for was, becomes in self.rewritten.items():
            data = data.replace(was, becomes)
        return answer(data, got.headers["Content-Type"], got.status, Date=got.headers["Date"] or "")


class Proxy(_Listener):
    """An HTTP proxy that knows CONNECT alone; the fault meets that."""

    def _serve(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(4096)
            if not more:
                return
            head += more
        if self._fault is not None:
            self._meet(self._fault, connection)
            return
        host, _, port = _path(head).rpartition(":")
        with socket.create_connection((host, int(port))) as site:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(site, connection), daemon=True)
            back.start()
            _pump(connection, site)
            back.join()


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for localhost, signed by itself, and its key. Skips the test where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    made = folder / f"{name}.crt", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run(command, check=True, capture_output=True)
    return made


def _context(tls: tuple[Path, Path] | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls)
    return context


def _requests(connection: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """Head and body of each request."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        while len(data) < length:
            more = connection.recv(65536)
            if not more:
                return
            data += more
        yield head, data[:length]
        data = data[length:]


def _path(head: bytes) -> str:
    return head.split(b" ", 2)[1].decode("latin-1")


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
