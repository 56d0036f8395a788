"""Ways in which a site fails, on request.

A fault applies to requests of a certain method, entity type or script, to the next ``count`` of them, with some
probability. Where several apply, the first added wins. What a faulty request asks for is done (``works``) or not.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from http import HTTPStatus
from typing import Any

JSON = "application/json; charset=utf-8"
KINDS = {
    "slow": "answers after `seconds`, give or take `jitter`",
    "status": "answers with the HTTP `status` (500, 502, 503, 429 …)",
    "hang": "says nothing until released, then answers",
    "drop": "closes the connection without an answer; with `works`, after the work is done",
    "truncate": "sends half of the answer and closes the connection",
    "garble": "sends an answer that is not valid JSON",
    "html": "sends a web page with HTTP 200, as a proxy or a login wall does",
    "answer": "sends `body` as `content_type` with HTTP 200, whatever that is: `{}`, `null`, a gateway's own message, nothing",
    "compress": "says that its answer is compressed, which it is not",
    "trickle": "sends its answer byte by byte, one every `seconds`, so that no single read of it times out",
    "refuse": "answers as the site does when it says no: `message` and error `code`",
}


@dataclass(slots=True)
class Fault:
    """One way to fail. ``count`` None: until cleared. ``skip``: so many requests that it applies to go well first."""

    kind: str
    method: str | None = None
    entity_type: str | None = None
    script: str | None = None
    count: int | None = None
    skip: int = 0
    probability: float = 1.0
    works: bool = False
    seconds: float = 0.0
    jitter: float = 0.0
    status: int = 503
    retry_after: int | None = None
    """Seconds to name in a Retry-After header."""
    code: int = 104
    message: str = "The sandbox was told to refuse this."
    body: str = ""
    content_type: str = JSON

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; there are {', '.join(KINDS)}")
        HTTPStatus(self.status)  # ValueError for a status that HTTP does not have
        if self.kind in ("truncate", "garble", "slow", "hang", "compress", "trickle"):
            self.works = True

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Fault:
        """A fault from JSON with the names of its fields; ValueError for a name there is not."""
        known = {one.name for one in fields(cls)}
        if "kind" not in spec or not known.issuperset(spec):
            raise ValueError(f"a fault has a kind and {', '.join(sorted(known - {'kind'}))}; got {', '.join(sorted(spec))}")
        for one in fields(cls):
            # JSON and command lines give any type; a wrong one would show only when a request meets the fault.
            if isinstance(one.default, str) and not isinstance(spec.get(one.name, one.default), str):
                raise ValueError(f"{one.name} is a text, not {spec[one.name]!r}")  # noqa: TRY004 - the same
            if isinstance(one.default, int | float) and not isinstance(spec.get(one.name, one.default), int | float):
                raise ValueError(f"{one.name} is a number, not {spec[one.name]!r}")  # noqa: TRY004 - a mistake in text
        return cls(**spec)

    def applies(self, method: object, entity_type: object, script: object) -> bool:
        """Whether it is about such a request."""
        wanted = ((self.method, method), (self.entity_type, entity_type), (self.script, script))
        return all(one is None or one == other for one, other in wanted)


class Faults:
    """The faults of one sandbox. The same seed and the same requests give the same failures."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._released = threading.Event()

    def add(self, fault: Fault) -> Fault:
        """Fail in this way from now on."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def slow(self, seconds: float, jitter: float = 0.0, **which: Any) -> Fault:
        """Answer late. ``which``: fields of Fault, such as ``count=3`` or ``method="read"``."""
        return self.add(Fault("slow", seconds=seconds, jitter=jitter, **which))

    def status(self, status: int, **which: Any) -> Fault:
        """Answer with that HTTP status."""
        return self.add(Fault("status", status=status, **which))

    def hang(self, **which: Any) -> Fault:
        """Accept requests and say nothing until ``release``."""
        return self.add(Fault("hang", **which))

    def drop(self, *, after: bool = False, **which: Any) -> Fault:
        """Close the connection without an answer, before or after the work is done."""
        return self.add(Fault("drop", works=after, **which))

    def truncate(self, **which: Any) -> Fault:
        """Send half of the answer."""
        return self.add(Fault("truncate", **which))

    def garble(self, **which: Any) -> Fault:
        """Send JSON that is none."""
        return self.add(Fault("garble", **which))

    def html(self, **which: Any) -> Fault:
        """Send a web page instead of JSON."""
        return self.add(Fault("html", **which))

    def answer(self, body: str, content_type: str = JSON, **which: Any) -> Fault:
        """Send that with HTTP 200."""
        return self.add(Fault("answer", body=body, content_type=content_type, **which))

    def refuse(self, message: str, code: int = 104, **which: Any) -> Fault:
        """Say no, as the site itself would."""
        return self.add(Fault("refuse", message=message, code=code, **which))

    def clear(self) -> None:
        """Work well again. What hangs is released."""
        with self._lock:
            self._faults.clear()
        self.release()

    def release(self) -> None:
        """Let the requests that hang be answered; a fault that hangs more of them stays."""
        with self._lock:
            self._released.set()
            self._released = threading.Event()

    def active(self) -> list[Fault]:
        """The faults that further requests may meet."""
        with self._lock:
            return list(self._faults)

    def draw(self, method: object, entity_type: object, script: object) -> tuple[Fault, float, threading.Event] | None:
        """The fault that this request meets, for how many seconds, and what ends a hanging; None if all goes well."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if not fault.applies(method, entity_type, script):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.probability < 1 and self._random.random() >= fault.probability:
                    continue
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count <= 0:
                        self._faults.remove(fault)
                seconds = max(0.0, fault.seconds + self._random.uniform(-fault.jitter, fault.jitter))
                return fault, seconds, self._released
        return None
