"""Who caused an event: plugins that would answer their own writes, and chains of plugins that answer each other's. Pure.

Whatever a new-style callback writes carries a session uuid made by its worker (``callsheet.agent.marks``), which names the plugin
and says how deep in a chain of such writes it is; so each event tells by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from callsheet.model import Event, PluginKey

MARK = "ca115ee7-"
"""How these session uuids begin. Then two digits of depth, and twelve, in groups, of the plugin."""


class Mark(NamedTuple):
    """What a session uuid says: how many plugins' writes stand behind one another, and the ``sign`` of the last one's plugin."""

    depth: int
    plugin: str


class Origin(NamedTuple):
    """Who made an event: the name of the script user (None: not a script), and the mark (None: none of ours)."""

    script: str | None
    mark: Mark | None


def sign(plugin: PluginKey) -> str:
    """Ten hex digits that stand for the plugin."""
    return hashlib.sha256(f"{plugin.site}\n{plugin.name}".encode()).hexdigest()[:10]


def read(session_uuid: Any) -> Mark | None:
    """The mark in a session uuid; None in one that is not ours."""
    if not isinstance(session_uuid, str) or not session_uuid.startswith(MARK):
        return None
    digits = session_uuid.replace("-", "")
    try:
        return Mark(int(digits[8:10], 16), digits[10:12] + digits[13:16] + digits[17:20] + digits[20:22])
    except ValueError:
        return None


def origin(event: Event) -> Origin:
    """Who made the event; of what a script did in a person's name, the script."""
    who = event.meta.get("sudo_actual_user") or event.data.get("user")
    script = who.get("name") if isinstance(who, Mapping) and who.get("type") == "ApiUser" else None
    return Origin(script, read(event.data.get("session_uuid")))


def is_own(made: Origin, plugin: str, script: str, scripts: Container[str]) -> bool:
    """Whether the event was caused by the plugin with that ``sign`` itself, or by the script user that its callback writes as.

    ``scripts``: of all callbacks of the plugin. Another plugin with the same script is not meant: its writes have their own mark.
    A legacy plugin may hand our mark on (``use_session_uuid``); then the script tells that the write is not ours.
    """
    if made.mark is None:
        return made.script is not None and made.script == script
    return made.mark.plugin == plugin and (made.script is None or made.script in scripts)
