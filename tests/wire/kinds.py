"""Answers that are none: what gateways, proxies and sites in trouble say in the API's place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping

from tests.support.gateway import Fault, answer, closes, resets, says, trickles

HTML = "<html><title>Down for maintenance</title></html>"
_GZIP = gzip.compress(json.dumps({"results": {"type": "Task", "id": 1, "code": "text enough to be cut in the middle"}}).encode())

STATUSES = (301, 302, 307, 401, 403, 404, 405, 407, 408, 421, 425, 429, 451, 500, 502, 503, 504, 520)

ANSWERS: Mapping[str, Fault] = {
    **{f"status-{status}": says(answer(HTML, "text/html", status)) for status in STATUSES},
    "redirect-to-login": says(answer("", "text/html", 302, Location="/login")),
    "redirect-303-nowhere": says(answer("", "text/html", 303)),
    "204": says(answer(status=204)),
    "html": says(answer(HTML, "text/html; charset=utf-8")),
    "html-as-json": says(answer(HTML)),
    "plain-text": says(answer("OK", "text/plain")),
    "empty": says(answer()),
    "object": says(answer("{}")),
    "null": says(answer("null")),
    "results-null": says(answer('{"results": null}')),
    "results-text": says(answer('{"results": "ok"}')),
    "results-empty": says(answer('{"results": {}}')),
    "list": says(answer("[]")),
    "text": says(answer('"maintenance"')),
    "number": says(answer("1")),
    "a-gateways-message": says(answer('{"message": "service unavailable"}')),
    "a-gateways-fault": says(answer('{"exception": true}')),
    "not-utf-8": says(answer(b'{"results": "caf\xe9"}')),
    "half-json": says(answer('{"results": {"type": "Task"')),
    "deep": says(answer("[" * 100_000)),
    "gzip-cut": says(answer(_GZIP[: len(_GZIP) // 2], Content_Encoding="gzip")),
    "no-gzip": says(answer("this is no gzip", Content_Encoding="gzip")),
    "no-deflate": says(answer("zzzzzz", Content_Encoding="deflate")),
    "cut": says(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"results": '),
    "chunk-cut": says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{"),
    "chunk-nonsense": says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
    "no-http": says(b"220 mail.studio ESMTP\r\n"),
    "status-line-nonsense": says(b"HTTP/1.1 okay\r\n\r\n"),
    "endless-header": says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"),
    "close": closes,
    "reset": resets,
    "maintenance-fault": says(answer('{"exception": true, "message": "The site is down for maintenance.", "error_code": 104}')),
    "trickle": trickles(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500000\r\n\r\n"),
    "trickling-headers": trickles(b"HTTP/1.1 200 OK\r\nX: "),
}
"""A web server, a gateway, or the site itself."""

CONNECTS: Mapping[str, Fault] = {
    **{f"connect-{status}": says(answer("", "text/html", status)) for status in (302, 403, 407, 502, 503, 504)},
    "connect-nonsense": says(b"no proxy here\r\n\r\n"),
    "connect-no-status": says(b"HTTP/1.1\r\n\r\n"),
    "connect-no-number": says(b"HTTP/1.1 OK then\r\n\r\n"),
    "connect-dropped": closes,
    "connect-dropped-inside": says(b"HTTP/1.1 200 Conn"),
    "connect-reset": resets,
    "connect-trickle": trickles(b"HTTP/1.1 200 OK\r\nX: "),
}
"""A proxy that is asked to let us through."""

HELLOS: Mapping[str, Fault] = {
    "hello-close": closes,
    "hello-reset": resets,
    "hello-plain": says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "hello-nonsense": says(b"\x16\x03\x01 what"),
}
"""Whatever stands at a port where TLS is expected."""
