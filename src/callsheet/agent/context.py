"""What a callback is called with: one event, and what it needs to work on it."""

import logging
from typing import Any, Callable, Dict, Optional, Sequence


class Context:
    """One event for one callback, and what that needs to work on it.

    ``event``: a dict with type, id, event_type, attribute_name, meta, entity, user, project, session_uuid and created_at, times
    being aware local datetimes. ``log``: the callback's logger. ``attempt``: 1 at the first try. ``delivery_id``: the same at every
    try; good for doing a thing once only. ``args``: what a legacy registration gave, else None. ``site``, ``plugin``: their names.
    """

    __slots__ = ("_connect", "_entity", "_fields", "_toolkit", "args", "attempt", "delivery_id", "event", "log", "plugin", "site")

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
        self._toolkit = toolkit
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

    def __repr__(self) -> str:
        return f"<Context of event {self.event.get('id')} {self.event.get('event_type')}, attempt {self.attempt}>"


_UNREAD = object()
