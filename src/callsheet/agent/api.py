"""What plugin authors import: ``on``, ``Retry``, ``Skip`` and ``GiveUp``."""

import threading
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, TypeVar, Union

from callsheet.agent import current_worker
from callsheet.agent.lane_words import check_lane
from callsheet.agent.link_filter import Links, links_of
from callsheet.agent.options import (
    Duration,
    Names,
    check_options,
    check_together,
    check_types,
    deadline,
    own_writes,
    pause,
    reason_of,
    retry_policy,
    settling,
    texts,
)
from callsheet.agent.signatures import check_callable, check_takes_one, shown_name

Function = TypeVar("Function", bound=Callable[..., Any])
Which = Any
"""See ``callsheet.agent.link_filter``."""


class Retry(Exception):  # noqa: N818 - it is a request, not an error, and reads as one: raise Retry(after=60)
    """Raised by a callback that wants to be called again with this event.

    ``after``: seconds until then, or a text such as "2m"; without it, as its retry policy says. The attempt counts. Raises
    ValueError for what is no time, and TypeError for a number in place of the reason.
    """

    def __init__(self, reason: str = "", *, after: Duration = None) -> None:
        super().__init__(reason_of("Retry", reason) or "the callback asked to be called again")
        self.after = pause(f"Retry(after={after!r})", after)


class Skip(Exception):  # noqa: N818 - as above
    """Raised by a callback that has nothing to do for this event; the delivery ends as skipped, with the reason."""


class GiveUp(Exception):  # noqa: N818 - as above
    """Raised by a callback for which trying again is of no use; the delivery ends as dead at once, with the reason."""


class Cascade(GiveUp):
    """An event that plugins caused by answering each other's writes, deeper than is sensible. Raised instead of the call."""


class Timeout(Exception):  # noqa: N818 - the word of reports
    """A coroutine was cancelled shortly before its deadline, at which the daemon would have killed the worker."""


class Rule(NamedTuple):
    """What ``on`` was told of one function."""

    function: Callable[..., Any]
    event_types: Tuple[str, ...]
    attributes: Optional[Tuple[str, ...]]
    only: Dict[str, Links]
    where: Optional[Callable[[Dict[str, Any]], Any]]
    lane: str
    retry: Optional[Dict[str, Any]]
    timeout: Optional[float]
    on_dead: str
    toolkit: bool
    slots: int
    script: Optional[Tuple[str, str]]
    fields: Tuple[str, ...]
    ignore_own: Union[bool, str]
    batch: int
    settle: float


_gathering = threading.local()


class gather:  # noqa: N801 - used as a context manager, like open
    """``with gather() as rules:`` collects what ``on`` is told meanwhile, in this thread."""

    def __enter__(self) -> List[Rule]:
        self._outer: Optional[List[Rule]] = getattr(_gathering, "rules", None)
        rules: List[Rule] = []
        _gathering.rules = rules
        return rules

    def __exit__(self, *_error: object) -> None:
        _gathering.rules = self._outer


def on(
    *event_types: str,
    attribute: Names = None,
    project: Which = None,
    user: Which = None,
    entity: Which = None,
    where: Optional[Callable[[Dict[str, Any]], Any]] = None,
    lane: Optional[str] = None,
    retry: Union[int, Mapping[str, Any], None] = None,
    timeout: Duration = None,
    on_dead: str = "continue",
    toolkit: bool = False,
    slots: int = 1,
    script: Optional[Tuple[str, str]] = None,
    fields: Sequence[str] = (),
    ignore_own: Union[bool, str] = True,
    batch: int = 1,
    settle: Duration = None,
) -> Callable[[Function], Function]:
    """Call the decorated function, with a Context, for each event of these types ("*": of all).

    ``attribute``: only if it is the event's attribute_name, or one of several. ``project``, ``user``: only events of these; an id,
    a name, a link, or several. ``entity``: only events about these; an id, a link, a type such as "Shot", "Shot:14", or several.
    ``where``: a function of the event that says whether it is wanted. ``lane``: which events wait for each other: "entity",
    "project", "plugin", "none", or a path into the event such as "meta.entity_id". ``retry``: how many attempts a failing event
    gets, or a dict with any of attempts, first, factor, longest, jitter, max_age, crashes; without it, as configured.
    ``timeout``: how long a call may take before its worker is killed: seconds, or a text such as "2m". ``on_dead``: what the lane
    does behind an event that failed for good, "continue" or "hold". ``slots``: how many lanes are worked on at once, each in a
    thread of its own. ``script``: name and key of another script user for ``ctx.sg``. ``fields``: what ``ctx.entity`` holds, as for
    ``Shotgun.find``. ``ignore_own``: leave out events that this plugin's own writes caused; "script": also those of its script
    user. ``batch``: call with a list of up to so many contexts, of events that follow one another in a lane. ``settle``: for how
    long a lane must be quiet; then it is called with the last event, and the ids of those before it as ``ctx.folded``.

    The function itself is returned unchanged. Raises TypeError or ValueError, naming the cure, for what can't be meant.
    """
    check_types(event_types)
    check_options(where, on_dead, slots, script)
    lane = lane or ("project" if toolkit else "entity")
    check_lane(lane)
    check_together(batch, settle, lane)
    common = {
        "event_types": event_types,
        "attributes": texts("attribute", attribute),
        "only": {
            what: links
            for what, links in (
                ("project", links_of("project", project)),
                ("user", links_of("user", user)),
                ("entity", links_of("entity", entity)),
            )
            if links is not None
        },
        "where": where,
        "lane": lane,
        "retry": retry_policy(retry),
        "timeout": deadline(timeout),
        "on_dead": on_dead,
        "toolkit": bool(toolkit),
        "slots": slots,
        "script": None if script is None else (script[0], script[1]),
        "fields": texts("fields", fields) or (),
        "ignore_own": own_writes(ignore_own),
        "batch": batch,
        "settle": settling(settle),
    }  # type: Dict[str, Any]

    def register(function: Function) -> Function:
        if not callable(function):
            raise TypeError(f"@on decorates a function that takes a Context, not {function!r}.")
        check_callable(function)
        check_takes_one(function, "the Context" if batch == 1 else "the list of Contexts")
        rule = Rule(function=function, **common)
        rules = getattr(_gathering, "rules", None)
        if rules is not None:  # imported by a worker; in a test of the function alone nobody gathers
            if rule in rules:
                raise ValueError(f"{shown_name(function)} has the same @on twice: it would be called twice for each event.")
            rules.append(rule)
        elif current_worker.worker is not None:
            current_worker.worker.add_rule(rule)
        return function

    return register
