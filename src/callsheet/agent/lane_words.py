"""Which words name a lane. How a lane's key is made of an event is the daemon's work."""

from callsheet.agent.event_data import KEYS

WORDS = ("entity", "project", "plugin", "none")


def check_lane(lane: str) -> None:
    """Raise ValueError, with what is possible, unless ``lane`` is a word of WORDS or names paths into the event."""
    if lane in WORDS:
        return
    for path in lane.split(","):
        first, _, rest = path.strip().partition(".")
        if first not in KEYS or (not rest and first in ("entity", "project")):
            words = ", ".join(f'"{word}"' for word in WORDS)
            raise ValueError(
                f'lane={lane!r}: say one of {words}, or a path into the event such as "meta.entity_id" (several joined by a comma).'
            )
