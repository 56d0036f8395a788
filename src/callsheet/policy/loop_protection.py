"""Who caused an event: plugins that would answer their own writes, and chains of plugins that answer each other's. Pure.

Whatever a new-style callback writes carries a session uuid made by its worker (``callsheet.wire.causality``), which names the
plugin and says how deep in a chain of such writes it is; so each event tells by itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Failure
from callsheet.domain.event import Event

KIND = "Cascade"
"""The kind of a failure by which a worker says that it did not call: the event is too deep in a chain (``callsheet.agent.api``)."""

MARK = "ca115ee7-"
"""How these session uuids begin. Then come two digits of depth, and ten, in groups, of the plugin."""

_VERSION = re.compile(r" v?[0-9][\w.-]*$")


class Mark(NamedTuple):
    """What a session uuid says: how many plugins' writes stand behind one another, and the ``sign`` of the last one's plugin."""

    depth: int
    plugin: str


class Origin(NamedTuple):
    """Who made an event: the script user as the site names it (None: not a script), and the mark (None: none of ours)."""

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


def without_version(name: str) -> str:
    """``event_daemon`` of ``event_daemon 1.0``, which is how a site names a script user."""
    return _VERSION.sub("", name)


def is_own(made: Origin, plugin: str, script: str, scripts: Iterable[str]) -> bool:
    """Whether the event was caused by the plugin with that ``sign`` itself, or by the script user that its callback writes as.

    ``scripts``: of all callbacks of the plugin. Another plugin with the same script is not meant: its writes have their own mark.
    A legacy plugin may hand our mark on (``use_session_uuid``); then the script tells that the write is not ours.
    """
    if made.mark is None:
        return made.script is not None and script in (made.script, without_version(made.script))
    if made.mark.plugin != plugin:
        return False
    return made.script is None or any(f"{made.script} ".startswith(f"{one} ") for one in scripts)


def explain(failure: Failure, session_uuid: Any, plugin: PluginKey, plugins: Iterable[PluginKey]) -> Failure:
    """The failure of a delivery that was too deep, with the names of those who answer each other, and what to do.

    ``plugins``: those among which the one is looked for that caused the event.
    """
    mark = read(session_uuid)
    writer = next((one.name for one in plugins if mark is not None and sign(one) == mark.plugin), "a plugin that is gone")
    text = (
        f"plugins that answer each other's writes: {writer}, then {plugin.name}; {failure.text}. Have one of them leave out what "
        "the other writes (user=, where=), or let it write only what differs; `cascade` in [crew] says how deep they may go."
    )
    return replace(failure, text=text, traceback="")
