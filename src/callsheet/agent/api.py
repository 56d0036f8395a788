"""What plugin authors import: ``on``, ``Context``, ``Retry``, ``Skip`` and ``GiveUp``."""

import logging
import threading
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, TypeVar, Union

from callsheet.agent.lanes import check_lane

Function = TypeVar("Function", bound=Callable[..., Any])
Names = Union[str, Iterable[str], None]
Which = Any
"""A link's id, its name, the link itself, or several of these."""

_RETRY_FIELDS = ("attempts", "first", "factor", "longest", "jitter", "max_age", "crashes")


class Retry(Exception):  # noqa: N818 - it is a request, not an error, and reads as one: raise Retry(after=60)
    """Raised by a callback that wants to be called again with this event.

    ``after``: seconds until then; without it, as its retry policy says. The attempt counts.
    """

    def __init__(self, reason: str = "", *, after: Optional[float] = None) -> None:
        if after is not None and after < 0:
            raise ValueError(f"Retry(after={after!r}): seconds from now, so 0 or more.")
        super().__init__(reason or "the callback asked to be called again")
        self.after = after


class Skip(Exception):  # noqa: N818 - as above
    """Raised by a callback that has nothing to do for this event; the delivery ends as skipped, with the reason."""


class GiveUp(Exception):  # noqa: N818 - as above
    """Raised by a callback for which trying again is of no use; the delivery ends as dead at once, with the reason."""


class Rule(NamedTuple):
    """What ``on`` was told of one function."""

    function: Callable[["Context"], Any]
    event_types: Tuple[str, ...]
    attributes: Optional[Tuple[str, ...]]
    project: Which
    user: Which
    where: Optional[Callable[[Dict[str, Any]], Any]]
    lane: str
    retry: Optional[Dict[str, Any]]
    timeout: Optional[float]
    on_dead: str
    toolkit: bool
    slots: int
    script: Optional[Tuple[str, str]]
    fields: Tuple[str, ...]


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
    where: Optional[Callable[[Dict[str, Any]], Any]] = None,
    lane: str = "entity",
    retry: Union[int, Mapping[str, Any], None] = None,
    timeout: Optional[float] = None,
    on_dead: str = "continue",
    toolkit: bool = False,
    slots: int = 1,
    script: Optional[Tuple[str, str]] = None,
    fields: Sequence[str] = (),
) -> Callable[[Function], Function]:
    """Call the decorated function, with a Context, for each event of these types ("*": of all).

    ``attribute``: only if it is the event's attribute_name, or one of several. ``project``, ``user``: only events of these; an id,
    a name, a link, or several. ``where``: a function of the event that says whether it is wanted. ``lane``: which events wait for
    each other: "entity", "project", "plugin", "none", or a path into the event such as "meta.entity_id". ``retry``: how many
    attempts a failing event gets, or a dict with any of attempts, first, factor, longest, jitter, max_age, crashes; without it, as
    configured. ``timeout``: seconds that a call may take before its worker is killed. ``on_dead``: what the lane does behind an
    event that failed for good, "continue" or "hold". ``slots``: how many lanes are worked on at once, each in a thread of its own.
    ``script``: name and key of another script user for ``ctx.sg``. ``fields``: what ``ctx.entity`` holds, as for ``Shotgun.find``.

    The function itself is returned unchanged. Raises TypeError or ValueError, naming the cure, for what can't be meant.
    """
    _check_types(event_types)
    _check_options(where, timeout, on_dead, slots, script)
    check_lane(lane)
    common = {
        "event_types": event_types,
        "attributes": _texts("attribute", attribute),
        "project": project,
        "user": user,
        "where": where,
        "lane": lane,
        "retry": _retry(retry),
        "timeout": timeout,
        "on_dead": on_dead,
        "toolkit": bool(toolkit),
        "slots": slots,
        "script": None if script is None else (script[0], script[1]),
        "fields": _texts("fields", fields) or (),
    }  # type: Dict[str, Any]

    def register(function: Function) -> Function:
        if not callable(function):
            raise TypeError(f"@on decorates a function that takes a Context, not {function!r}.")
        rules = getattr(_gathering, "rules", None)
        if rules is not None:  # imported by a worker; in a test of the function alone nobody gathers
            rules.append(Rule(function=function, **common))
        return function

    return register


def _check_types(event_types: Tuple[Any, ...]) -> None:
    for one in event_types:
        if not isinstance(one, str):
            raise TypeError(
                f'@on takes event types, not {one!r}: write @on("Shotgun_Task_Change") above the function, with parentheses.'
            )
    if not event_types:
        raise TypeError('@on needs at least one event type: @on("Shotgun_Task_Change"), or @on("*") for every event.')


def _check_options(where: Any, timeout: Any, on_dead: Any, slots: Any, script: Any) -> None:
    if where is not None and not callable(where):
        raise TypeError(f"where= is a function of the event, such as lambda event: event['entity'], not {where!r}.")
    if on_dead not in ("continue", "hold"):
        raise ValueError(f'on_dead={on_dead!r}: say "continue" or "hold".')
    if not isinstance(slots, int) or slots < 1:
        raise ValueError(f"slots={slots!r}: a whole number, 1 or more.")
    if timeout is not None and not (isinstance(timeout, (int, float)) and timeout > 0):
        raise ValueError(f"timeout={timeout!r}: seconds, more than 0; leave it out for no limit.")
    if script is not None and not (isinstance(script, (tuple, list)) and [type(one) for one in script] == [str, str]):
        raise TypeError(f"script= is a pair, the script user's name and its key, not {script!r}.")


def _texts(option: str, value: Names) -> Optional[Tuple[str, ...]]:
    if value is None:
        return None
    texts = (value,) if isinstance(value, str) else tuple(value)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{option}= takes a name or several, not {text!r}.")
    return texts


def _retry(retry: Union[int, Mapping[str, Any], None]) -> Optional[Dict[str, Any]]:
    if retry is None:
        return None
    policy = {"attempts": retry} if isinstance(retry, int) else dict(retry)
    for name, value in policy.items():
        if name not in _RETRY_FIELDS:
            raise ValueError(f"retry={retry!r}: {name!r} is not one of {', '.join(_RETRY_FIELDS)}.")
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
        if not number and not (name == "max_age" and value is None):
            raise ValueError(f"retry={retry!r}: {name} is a number, 0 or more, not {value!r}.")
    for name in ("attempts", "crashes"):
        if name in policy and (not isinstance(policy[name], int) or policy[name] < 1):
            raise ValueError(f"retry={retry!r}: {name} is a whole number, 1 or more; the first try counts.")
    return policy


class Context:
    """One event for one callback, and what that needs to work on it.

    ``event``: a dict with type, id, event_type, attribute_name, meta, entity, user, project, session_uuid and created_at, times
    being aware local datetimes. ``log``: the callback's logger. ``attempt``: 1 at the first try. ``delivery_id``: the same at every
    try; good for doing a thing once only. ``args``: what a legacy registration gave, else None. ``site``, ``plugin``: their names.
    """

    __slots__ = ("_connect", "_entity", "_fields", "args", "attempt", "delivery_id", "event", "log", "plugin", "site")

    def __init__(
        self,
        event: Dict[str, Any],
        *,
        connect: Callable[[], Any],
        log: logging.Logger,
        attempt: int = 1,
        delivery_id: int = 0,
        args: Any = None,
        site: str = "",
        plugin: str = "",
        fields: Sequence[str] = (),
    ) -> None:
        self.event = event
        self.log = log
        self.attempt = attempt
        self.delivery_id = delivery_id
        self.args = args
        self.site = site
        self.plugin = plugin
        self._connect = connect
        self._fields = fields
        self._entity = _UNREAD  # type: Any

    @property
    def sg(self) -> Any:
        """A ``shotgun_api3.Shotgun``, connected at its first call; one per thread."""
        return self._connect()

    @property
    def project(self) -> Optional[Dict[str, Any]]:
        """The event's project as a link; None for what belongs to the whole site."""
        project = self.event["project"]
        return project if isinstance(project, dict) else None

    @property
    def entity(self) -> Optional[Dict[str, Any]]:
        """The entity with the fields that ``on(fields=…)`` asked for, read at first use; without fields, the event's link.

        None where the event has no entity, or the site does not show it any more. Raises what ``Shotgun.find_one`` raises.
        """
        if self._entity is _UNREAD:
            link = self.event["entity"]
            if link and self._fields:
                self._entity = self.sg.find_one(link["type"], [["id", "is", link["id"]]], list(self._fields))
            else:
                self._entity = link
        found = self._entity
        return found if isinstance(found, dict) else None

    def __repr__(self) -> str:
        return f"<Context of event {self.event.get('id')} {self.event.get('event_type')}, attempt {self.attempt}>"


_UNREAD = object()
