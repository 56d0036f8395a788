"""What a plugin wants, as the daemon can decide it: ``matchEvents`` of a legacy callback as the filter of a manifest.

shotgunEvents asks ``"*" in value`` and ``attribute_name in value`` of whatever the value is. For plain containers the answer is
known beforehand. A string answers with a substring test, and that is kept: plugins rely on it. Any other object is asked each time.
"""

from collections.abc import Mapping
from typing import Any, Dict

EVERY_TYPE = "*"

Rule = Dict[str, Any]
Filter = Dict[str, Rule]

ANY: Rule = {"rule": "any"}
_HINT = 'It is a dict such as {"Shotgun_Task_Change": ["sg_status_list"], "Shotgun_Version_New": None}.'


def filter_of(match_events: Any) -> Filter:
    """The filter that ``matchEvents`` stands for.

    Raises TypeError, naming the cure, where shotgunEvents would fail at the first event.
    """
    if not match_events:
        return {EVERY_TYPE: ANY}
    if not isinstance(match_events, Mapping):
        raise TypeError(f"matchEvents can't be {match_events!r}. {_HINT}")
    if EVERY_TYPE in match_events:
        return {EVERY_TYPE: _rule(EVERY_TYPE, match_events[EVERY_TYPE])}
    return {key: _rule(key, value) for key, value in match_events.items() if isinstance(key, str)}


def _rule(event_type: str, value: Any) -> Rule:
    if value is None:
        return ANY
    try:
        everything = "*" in value
    except Exception as error:
        raise TypeError(
            f"matchEvents[{event_type!r}] can't be {value!r}: {error}. Give a list of attribute names, or None. {_HINT}"
        ) from error
    if not (
        type(value) in (str, list, tuple, set, frozenset, dict) and (isinstance(value, str) or all(_plain(one) for one in value))
    ):
        return {"rule": "ask"}
    if everything:
        return ANY
    if isinstance(value, str):
        return {"rule": "within", "text": value}
    return {"rule": "among", "values": sorted({one for one in value if isinstance(one, str)})}


def _plain(member: Any) -> bool:
    # Exactly these: a subclass may compare as it likes.
    return type(member) in (str, int, float, bool, bytes, tuple, type(None))


def wanted(match_events: Any, event: Dict[str, Any]) -> bool:
    """Ask the plugin's own object whether it wants the event: for the rule "ask"."""
    key = EVERY_TYPE if EVERY_TYPE in match_events else event["event_type"]
    if key not in match_events:
        return False
    value = match_events[key]
    if value is None or "*" in value:
        return True
    name = event["attribute_name"]
    return bool(name and name in value)
