"""The session uuid of what new-style callbacks write: who wrote it, and how deep in a chain of plugins' writes it stands.

The site keeps the session uuid of a write in the event that this makes: so each event tells who caused it, and nobody has to
remember. In hex digits, as a UUID of version 8 (whose digits are the maker's own)::

    ca115ee7-DDpp-8ppp-8ppp-ppcccccccxxx     D depth, p plugin, c the plugins of the chain, x random

The plugins of the chain are a small Bloom filter: each sets two of 28 bits, so one that has not taken part is nearly always told
from those that have. The daemon reads depth and plugin as well (``callsheet.policy.loop_protection``).
"""

import hashlib
import os
from typing import Any, Iterable, NamedTuple

MARK = "ca115ee7-"
DEEPEST = 255
_BITS = 28
_PLUGINS = slice(26, 33)  # the c above


class Chain(NamedTuple):
    """How many plugins' writes stand behind one another up to an event, and whose they are, as bits."""

    depth: int
    plugins: int


NOBODY = Chain(0, 0)
"""The chain of an event that no plugin caused."""


class Signature:
    """Makes the marks of one plugin."""

    def __init__(self, site: str, plugin: str) -> None:
        digest = hashlib.sha256(f"{site}\n{plugin}".encode())
        digits = digest.hexdigest()
        self._before = digits[:2]
        self._behind = f"-8{digits[2:5]}-8{digits[5:8]}-{digits[8:10]}"
        first = digest.digest()[5] % _BITS
        second = (first + 1 + digest.digest()[6] % (_BITS - 1)) % _BITS
        self._bits = 1 << first | 1 << second

    def mark(self, chain: Chain = NOBODY) -> str:
        """A session uuid for what is written in answer to an event of that chain."""
        depth, plugins = min(chain.depth + 1, DEEPEST), chain.plugins | self._bits
        return f"{MARK}{depth:02x}{self._before}{self._behind}{plugins:07x}{os.urandom(2).hex()[:3]}"

    def is_in(self, chain: Chain) -> bool:
        """Whether the plugin has written in that chain; in rare cases also where it has not."""
        return chain.plugins & self._bits == self._bits


def chain_of(session_uuid: Any) -> Chain:
    """The chain that an event with that session uuid stands in."""
    if not isinstance(session_uuid, str) or not session_uuid.startswith(MARK):
        return NOBODY
    try:
        return Chain(int(session_uuid[len(MARK) : len(MARK) + 2], 16), int(session_uuid[_PLUGINS], 16))
    except ValueError:
        return NOBODY


def joined(chains: Iterable[Chain]) -> Chain:
    """The chain of what is written in answer to several events: as deep as the deepest, with the plugins of all."""
    depth, plugins = NOBODY
    for one in chains:
        depth, plugins = max(depth, one.depth), plugins | one.plugins
    return Chain(depth, plugins)
