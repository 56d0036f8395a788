"""What a sandbox in another process can be told over HTTP, from the same machine only. All bodies are JSON.

| request                    | body                                    | answer                                             |
|----------------------------|-----------------------------------------|----------------------------------------------------|
| GET /sandbox/facts         |                                         | url, script, next_event_id, newest_event_id        |
| GET /sandbox/requests      |                                         | how many calls, by method                          |
| GET /sandbox/writes        |                                         | what clients wrote, in order                       |
| GET /sandbox/events?after=N|                                         | the events behind N that are to be seen            |
| GET /sandbox/faults        |                                         | the faults in force                                |
| POST /sandbox/faults       | a fault, ``{"kind": "status", …}``      | the faults in force                                |
| POST /sandbox/clear        |                                         | no fault any more; what hangs is released          |
| POST /sandbox/release      | ``{"event_id": N}``, or none: all       | the ids that have appeared                         |
| POST /sandbox/unhang       |                                         | requests that hang are answered                    |
| POST /sandbox/add_event    | ``{"event_type": …, …}``                | the event's id                                     |
| POST /sandbox/add_events   | ``{"count": N, "event_type": …, …}``    | first and last id                                  |
| POST /sandbox/withhold     | ``{"event_id": N}`` or ``{"next": N}``  | true                                               |
| POST /sandbox/skip         | ``{"count": N}``                        | the next event's id                                |
| POST /sandbox/jump         | ``{"event_id": N}``                     | the next event's id                                |
| POST /sandbox/drop         |                                         | how many idle connections were closed              |
| POST /sandbox/down         | ``{"seconds": N}``                      | true; connections are refused for that long        |
| POST /sandbox/add_script   | ``{"name": …, "key"?, "events"?}``      | its key                                            |

A mistake is answered with status 400 and ``{"error": …}``.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from callsheet.sandbox.faults import Fault

if TYPE_CHECKING:
    from callsheet.sandbox.instance import Sandbox

Control = Callable[[Mapping[str, Any]], Any]


class Controls:
    """Controls by method and name, such as ``("POST", "skip")``."""

    def __init__(self, table: Mapping[tuple[str, str], Control]) -> None:
        self._table = table

    def handle(self, method: str, path: str, body: bytes, client: str) -> tuple[int, str]:
        """HTTP status and JSON text for a request to ``/sandbox/…``."""
        if not ipaddress.ip_address(client).is_loopback:
            return HTTPStatus.FORBIDDEN, json.dumps({"error": "a sandbox is controlled from its own machine only"})
        split = urlsplit(path)
        name = split.path.removeprefix("/sandbox/")
        control = self._table.get((method, name))
        if control is None:
            known = ", ".join(f"{verb} /sandbox/{one}" for verb, one in self._table)
            return HTTPStatus.NOT_FOUND, json.dumps({"error": f"no {method} {path}; there are {known}"})
        try:
            told = json.loads(body) if body else dict(parse_qsl(split.query))
            return HTTPStatus.OK, json.dumps(control(told))
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            return HTTPStatus.BAD_REQUEST, json.dumps({"error": f"{name}: {problem}"})


def control_table(sandbox: Sandbox) -> dict[tuple[str, str], Control]:
    """The controls of a sandbox."""

    def faults() -> list[dict[str, Any]]:
        return [asdict(one) for one in sandbox.faults.active()]

    def add_fault(told: Mapping[str, Any]) -> list[dict[str, Any]]:
        sandbox.faults.add(Fault.of(told))
        return faults()

    def add_events(told: Mapping[str, Any]) -> list[int]:
        made = sandbox.add_events(**told)
        return [made.start, made.stop - 1]

    def jump(told: Mapping[str, Any]) -> int:
        sandbox.set_next_event_id(int(told["event_id"]))
        return sandbox.site.log.next_id

    def done(action: Callable[..., object], *given: Any, **named: Any) -> bool:
        action(*given, **named)
        return True

    return {
        ("GET", "facts"): lambda _told: _facts(sandbox),
        ("GET", "requests"): lambda _told: sandbox.requests(),
        ("GET", "writes"): lambda _told: sandbox.writes(),
        ("GET", "events"): lambda told: sandbox.events(int(told.get("after", 0))),
        ("GET", "faults"): lambda _told: faults(),
        ("POST", "faults"): add_fault,
        ("POST", "clear"): lambda _told: done(sandbox.faults.clear),
        ("POST", "unhang"): lambda _told: done(sandbox.faults.release),
        ("POST", "release"): lambda told: sandbox.release(told.get("event_id")),
        ("POST", "add_event"): lambda told: sandbox.add_event(**told),
        ("POST", "add_events"): add_events,
        ("POST", "withhold"): lambda told: done(sandbox.withhold, told.get("event_id"), next=int(told.get("next", 0))),
        ("POST", "skip"): lambda told: sandbox.skip_event_id(int(told.get("count", 1))),
        ("POST", "jump"): jump,
        ("POST", "drop"): lambda _told: sandbox.drop_connections(),
        ("POST", "down"): lambda told: done(sandbox.down, float(told["seconds"])),
        ("POST", "add_script"): lambda told: sandbox.add_script(**told),
    }


def _facts(sandbox: Sandbox) -> dict[str, Any]:
    with sandbox.site.store.lock:
        newest = sandbox.site.store.sql.execute("SELECT MAX(id) FROM events").fetchone()[0] or 0
        following = sandbox.site.log.next_id
    return {"url": sandbox.url, "script": sandbox.script, "next_event_id": following, "newest_event_id": newest}
