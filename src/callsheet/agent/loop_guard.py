"""Ends loops of writes that carry no mark: a callback that answers what it wrote itself, by another connection or program.

Such an event says no more than that the plugin's script user made it, and so does one that somebody else makes with the same key.
Two things tell them apart. The events of a loop are each made because of the call for the one before: during that call, or soon
after it. And they come in generations that do not shrink: as many as there were calls, or more. Events that are made whether the
callback is called or not come now one, now three at a time.
"""

import threading
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from callsheet.agent.verdicts import now
from callsheet.wire.causality import NOBODY, chain_of
from callsheet.wire.event_facts import entity_of, is_script, script_of

LONGEST = 20
"""How many generations may follow from each other for one attribute of one entity."""

MOST = 1000
"""How many calls these may have in all: one that writes twice in answer to each would make a million of them."""

SOON = 5.0
"""Seconds after the end of a call within which an event may be due to it: another program may write late, and clocks differ."""

AHEAD = 1.0
"""Seconds by which an event may seem to be made after it was seen, before the site's clock counts as none to compare with."""

LONG_AGO = 300.0
"""Seconds by which an event is older than a call that are too many for it to be due to that call: it is replayed, or came late."""

_MANY = 1000  # entities of which calls are remembered before the old ones are forgotten

_Key = Tuple[Any, ...]


class _Calls(NamedTuple):
    """The calls for changes of one attribute of one entity that may follow from each other."""

    event: int
    """The last one's."""
    began: float
    ended: float = float("inf")
    generations: int = 1
    size: int = 1
    """How many calls the last generation has so far."""
    before: int = 0
    """How many the one before it had."""
    total: int = 1


class LoopGuard:
    """Of one callback; used by all of its threads. Times are seconds since the epoch."""

    def __init__(self, script: str) -> None:
        """``script``: the script user that the callback writes as."""
        self._script = script
        self._lock = threading.Lock()
        self._calls: Dict[_Key, _Calls] = {}
        self._comparable = True
        """Whether the site's clock may be compared with ours."""

    def refuse(self, event: Dict[str, Any], recorded: float) -> Optional[str]:
        """Why the callback must not be called for this event; None if it may, which counts as the begin of that call.

        ``recorded``: when the daemon took note of the event. What it had noted before a call began is not due to that call.
        """
        key = self._key(event)
        if key is None:
            return None
        made = _made(event, recorded)
        with self._lock:
            self._comparable = self._comparable and made <= recorded + AHEAD
            calls = _with(self._calls.get(key), event["id"], made if self._comparable else None, recorded)
            if calls.generations > LONGEST or calls.total > MOST:
                return (
                    f"it was called {calls.total - 1} times in a row for {_shown(event)} that its own script user {self._script} "
                    "made, each time while it was called for the one before or just after that"
                )
            if len(self._calls) >= _MANY:
                self._calls = {other: one for other, one in self._calls.items() if one.ended > now() - SOON}
            self._calls[key] = calls
        return None

    def ended(self, events: List[Dict[str, Any]]) -> None:
        """The call for these events is over."""
        for key in filter(None, map(self._key, events)):
            with self._lock:
                calls = self._calls.get(key)
                if calls is not None:
                    self._calls[key] = calls._replace(ended=now())

    def _key(self, event: Dict[str, Any]) -> Optional[_Key]:
        if _of_a_person(event) or chain_of(event["session_uuid"]) != NOBODY or not is_script(script_of(event), self._script):
            return None
        return (event["event_type"], event["attribute_name"], entity_of(event))


def _of_a_person(event: Dict[str, Any]) -> bool:
    """Whether that can be told at a glance: most events are a person's, and every one is asked."""
    user, meta = event["user"], event["meta"]
    return type(meta) is dict and "sudo_actual_user" not in meta and (type(user) is not dict or user.get("type") != "ApiUser")


def _with(last: Optional[_Calls], event: int, made: Optional[float], recorded: float) -> _Calls:
    """The calls up to ``last``, and one more now. ``made``: when the event was made; None where nobody knows."""
    begun = now()
    if last is None or (made is not None and not last.began - LONG_AGO < made <= last.ended + SOON):
        return _Calls(event, begun)
    again = last._replace(event=event, began=begun, ended=float("inf"))
    if event == last.event:  # another attempt
        return again
    if recorded <= last.began:
        return again._replace(size=last.size + 1, total=last.total + 1)
    generations = last.generations + 1 if last.size >= last.before else 2
    return again._replace(generations=generations, size=1, before=last.size, total=last.total + 1)


def _made(event: Dict[str, Any], recorded: float) -> float:
    try:
        return float(event["created_at"].timestamp())
    except (AttributeError, OverflowError, OSError, ValueError):  # a site has said something else than a time
        return recorded


def _shown(event: Dict[str, Any]) -> str:
    kind, number = entity_of(event) or ("", None)
    entity = " ".join(str(one) for one in (kind, number) if one)
    attribute = event["attribute_name"]
    return f"changes of {attribute} of {entity}" if attribute else f"events {event['event_type']} of {entity}"
