"""What an event says: which entity it is about, which script user caused it. Daemon and workers must answer alike."""

import json
import re
from typing import Any, Mapping, Optional, Tuple

Entity = Tuple[str, Optional[int]]
"""Type and id; the id is None where only the type is known."""

_ENTITY_EVENT = re.compile(r"Shotgun_(\w+)_(?:New|Change|Retirement|Revival)").fullmatch
_VERSION = re.compile(r" v?[0-9][\w.-]*$")


def meta_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ``meta`` of an event; a site may send it as JSON text. Empty where there is none, or none that can be read."""
    meta = event.get("meta")
    if type(meta) is dict:
        return meta
    if isinstance(meta, str):
        try:
            meta = json.loads(meta)
        except (ValueError, RecursionError):
            return {}
    return meta if isinstance(meta, Mapping) else {}


def entity_of(event: Mapping[str, Any]) -> Optional[Entity]:
    """Type and id of the entity that an event is about; None where there is none.

    The ``entity`` link tells. It is null once the entity is retired, and then ``meta`` tells; except on the other side of a changed
    link (``actual_attribute_changed``), where sites have written the side that triggered the change into it: the ids there may be
    of another entity, and only the type is known, by the name of the event type.
    """
    link = event.get("entity")
    found = _typed_id(link.get("type"), link.get("id")) if isinstance(link, Mapping) else None
    if found is not None:
        return found
    meta = meta_of(event)
    if "actual_attribute_changed" not in meta:
        return _typed_id(meta.get("entity_type"), meta.get("entity_id"))
    named = _ENTITY_EVENT(str(event.get("event_type")))
    return (named.group(1), None) if named else None


def script_of(event: Mapping[str, Any]) -> Optional[str]:
    """The script user that caused an event, as the site names it, also where it did so in a person's name; None: a person did."""
    who = meta_of(event).get("sudo_actual_user") or event.get("user")
    name = who.get("name") if isinstance(who, Mapping) and who.get("type") == "ApiUser" else None
    return name if isinstance(name, str) else None


def is_script(named: Optional[str], script: str) -> bool:
    """Whether the site means that script by the name; it names a script user ``event_daemon 1.0``."""
    return named is not None and script in (named, without_version(named))


def without_version(name: str) -> str:
    """``event_daemon`` of ``event_daemon 1.0``."""
    return _VERSION.sub("", name)


def _typed_id(kind: Any, number: Any) -> Optional[Entity]:
    known = isinstance(kind, str) and isinstance(number, int) and not isinstance(number, bool)
    return (kind, number) if known else None
