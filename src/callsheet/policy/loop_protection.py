"""Who caused an event: plugins that would answer their own writes, and chains of plugins that answer each other's. Pure.

Whatever a new-style callback writes carries a session uuid made by its worker (``callsheet.wire.causality``), which names the
plugin and says how deep in a chain of such writes it is; so each event tells by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Failure
from callsheet.domain.event import Event
from callsheet.wire.event_facts import is_script, script_of

KIND = "Cascade"
"""The kind of a failure by which a worker says that it did not call: the event is too deep in a chain (``callsheet.agent.api``)."""

MARK = "ca115ee7-"
"""How these session uuids begin. Then come two digits of depth, and ten, in groups, of the plugin."""


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
    return Origin(script_of(event.data), read(event.data.get("session_uuid")))


def is_by(made: Origin, script: str) -> bool:
    """Whether that script user caused the event without a mark: another program did, or a person with its key."""
    return made.mark is None and is_script(made.script, script)


def is_own(made: Origin, plugin: str, scripts: Iterable[str]) -> bool:
    """Whether the event was caused by the plugin with that ``sign``. ``scripts``: of all its callbacks.

    A legacy plugin may hand our mark on (``use_session_uuid``); then the script tells that the write is not ours.
    """
    if made.mark is None:
        return False
    if made.mark.plugin != plugin:
        return False
    return made.script is None or any(f"{made.script} ".startswith(f"{one} ") for one in scripts)


def explain(failure: Failure, session_uuid: Any, plugin: PluginKey, plugins: Iterable[PluginKey]) -> Failure:
    """The failure of a delivery that was not called since it would go on for ever, with the names of those who answer each other,
    and what to do. ``plugins``: those among which the one is looked for that caused the event.
    """
    mark = read(session_uuid)
    if mark is None:
        text = (
            f"{plugin.name} seems to answer its own writes: {failure.text}. Have it write through ctx.sg, whose writes are known "
            'as its own, or say ignore_own="script". If others make these changes, give it another script user, or say '
            "ignore_own=False."
        )
        return replace(failure, text=text, traceback="")
    writer = next((one.name for one in plugins if sign(one) == mark.plugin), "a plugin that is gone")
    text = (
        f"plugins that answer each other's writes: {writer}, then {plugin.name}; {failure.text}. Have one of them leave out what "
        "the other writes (user=, where=), or let it write only what differs; `cascade` in [crew] says how deep they may go."
    )
    return replace(failure, text=text, traceback="")
