"""The session uuid of what new-style callbacks write: it names the plugin, and says how deep in a chain of plugins' writes it is.

The site keeps the session uuid of a write in the event that this makes: so each event tells who caused it, and nobody has to
remember.
In hex digits, as a UUID of version 8 (whose digits are the maker's own)::

    ca115ee7-DDpp-8ppp-8ppp-ppccccrrrrrr     D depth, p plugin, c callback, r random

The daemon reads it as well (``callsheet.policy.cascades``).
"""

import hashlib
import os
from typing import Any

MARK = "ca115ee7-"
DEEPEST = 255


class Signature:
    """Makes the marks of one callback."""

    def __init__(self, site: str, plugin: str, callback: str) -> None:
        digits = hashlib.sha256(f"{site}\n{plugin}".encode()).hexdigest()
        mine = hashlib.sha256(callback.encode()).hexdigest()[:4]
        self._before = digits[:2]
        self._behind = f"-8{digits[2:5]}-8{digits[5:8]}-{digits[8:10]}{mine}"

    def mark(self, depth: int) -> str:
        """A session uuid for writes of that depth: 1 for the answer to an event that no plugin caused."""
        return f"{MARK}{min(depth, DEEPEST):02x}{self._before}{self._behind}{os.urandom(3).hex()}"


def depth_of(session_uuid: Any) -> int:
    """How many plugins' writes stand behind one another up to that event; 0 for an event that no plugin caused."""
    if not isinstance(session_uuid, str) or not session_uuid.startswith(MARK):
        return 0
    try:
        return int(session_uuid[len(MARK) : len(MARK) + 2], 16)
    except ValueError:
        return 0
