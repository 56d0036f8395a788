"""What a callback is called with: one event, and what it needs to work on it."""

import logging
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from callsheet.agent.entity_prefetch import EntityPrefetch
from callsheet.agent.options import Duration, pause


class Apart(NamedTuple):
    """What a callback said of one event of a batch."""

    word: str
    reason: str = ""
    after: Optional[float] = None


class Call:
    """One call of a callback, which may have several contexts."""

    def __init__(self, *, batch: bool = False) -> None:
        self.batch = batch
        self.connected = False
        """The callback has asked for its connection, and may have written."""


class Context:
    """One event for one callback, and what that needs to work on it.

    ``event``: a dict with type, id, event_type, attribute_name, meta, entity, user, project, session_uuid and created_at, times
    being aware local datetimes. ``log``: the callback's logger. ``attempt``: 1 at the first try. ``delivery_id``: the same at every
    try; good for doing a thing once only. ``folded``: ids of the events before this one that it stands for (``on(settle=)``),
    oldest first. ``args``: what a legacy registration gave, else None. ``site``, ``plugin``: their names.
    """

    __slots__ = (
        *("_call", "_connect", "_entity", "_prefetch", "_toolkit", "apart"),
        *("args", "attempt", "delivery_id", "event", "folded", "log", "plugin", "site"),
    )

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
        toolkit: Any = None,
        folded: Sequence[int] = (),
        prefetch: Optional[EntityPrefetch] = None,
        call: Optional[Call] = None,
    ) -> None:
        """``prefetch`` and ``call`` are the worker's; a test of a callback needs neither."""
        self.event = event
        self.log = log
        self.attempt = attempt
        self.delivery_id = delivery_id
        self.args = args
        self.site = site
        self.plugin = plugin
        self.folded: List[int] = list(folded)
        self.apart: Optional[Apart] = None
        self._connect = connect
        self._toolkit = toolkit
        self._prefetch = prefetch or (EntityPrefetch(fields) if fields else None)
        self._call = call or Call()
        self._entity = _UNREAD  # type: Any

    @property
    def sg(self) -> Any:
        """A ``shotgun_api3.Shotgun``, connected at its first call; one per thread."""
        self._call.connected = True
        return self._connect()

    @property
    def project(self) -> Optional[Dict[str, Any]]:
        """The event's project as a link; None for what belongs to the whole site."""
        project = self.event["project"]
        return project if isinstance(project, dict) else None

    @property
    def entity(self) -> Optional[Dict[str, Any]]:
        """The entity with the fields that ``on(fields=…)`` asked for, read at first use; without fields, the event's link.

        None where the event has no entity, or the site does not show it any more. Raises what ``Shotgun.find`` raises.
        """
        if self._entity is _UNREAD:
            link = self.event["entity"]
            if link and self._prefetch is not None:
                self._entity = self._prefetch.read(self.delivery_id, link, self._connect(), anew=self._call.connected)
            else:
                self._entity = link
        found = self._entity
        return found if isinstance(found, dict) else None

    @property
    def tk(self) -> Any:
        """The project's ``Sgtk`` instance, in a callback with ``toolkit=True``. RuntimeError elsewhere."""
        return self._session().tk

    @property
    def engine(self) -> Any:
        """The engine that runs in the project's session, in a callback with ``toolkit=True``. RuntimeError elsewhere."""
        return self._session().engine

    @property
    def tk_context(self) -> Any:
        """The ``sgtk.Context`` of the event's entity, or of its project, in a callback with ``toolkit=True``."""
        return self._session().context_for(self.event["entity"])

    def _session(self) -> Any:
        if self._toolkit is None:
            raise RuntimeError("This callback has no Toolkit: say toolkit=True in @on(…), and it runs in its project's session.")
        return self._toolkit

    def done(self) -> None:
        """Of one of a batch: it is done, whatever becomes of the others."""
        self._settle(Apart("done"), "return")

    def skip(self, reason: str) -> None:
        """Of one of a batch: there was nothing to do."""
        self._settle(Apart("skip", reason), "raise Skip(reason)")

    def retry(self, reason: str = "", *, after: Duration = None) -> None:
        """Of one of a batch: it and those behind it are called again, after that time or as its retry policy says.

        Raises ValueError for an ``after`` that is no time.
        """
        seconds = pause(f"ctx.retry(after={after!r})", after)
        self._settle(Apart("retry", reason or "the callback asked to be called again", seconds), "raise Retry(reason, after=)")

    def fail(self, reason: str) -> None:
        """Of one of a batch: it failed, as by an exception; it and those behind it are called again, as the retry policy says."""
        self._settle(Apart("fail", reason), "raise an exception")

    def give_up(self, reason: str) -> None:
        """Of one of a batch: trying again is of no use; it is dead."""
        self._settle(Apart("give_up", reason), "raise GiveUp(reason)")

    def _settle(self, apart: Apart, instead: str) -> None:
        if not self._call.batch:
            raise RuntimeError(f"ctx.{apart.word}() settles one event of a batch; in a callback of one event, {instead}.")
        self.apart = apart

    def __repr__(self) -> str:
        return f"<Context of event {self.event.get('id')} {self.event.get('event_type')}, attempt {self.attempt}>"


_UNREAD = object()
