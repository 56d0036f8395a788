"""One registered function, of either kind: how it is described, whether it wants an event, how it is called."""

import logging
from typing import Any, Callable, Dict, Optional

from callsheet.agent.api import Cascade, Rule
from callsheet.agent.connection import Connection, PerThread
from callsheet.agent.context import Context
from callsheet.agent.marks import Signature, chain_of
from callsheet.agent.matching import ANY, Filter, wanted
from callsheet.agent.signatures import WITH_LOGGER, WITHOUT_LOGGER

Event = Dict[str, Any]
Description = Dict[str, Any]


class Callback:
    """What the runner knows of a callback. ``name`` is its identity within the plugin, ``ordinal`` its place in it."""

    logs_failures = False
    """Whether a failure is logged by the worker, where it happened."""

    def __init__(self, name: str, ordinal: int, logger: logging.Logger) -> None:
        self.name = name
        self.ordinal = ordinal
        self.logger = logger
        self.on_dead = "continue"
        self.slots = 1

    def describe(self) -> Description:
        """The callback as the manifest has it."""
        raise NotImplementedError

    def refusal(self, event: Event) -> Optional[str]:
        """Why the callback does not want this event after all; None if it does. Decides what only Python can."""
        raise NotImplementedError

    def call(self, event: Event, attempt: int, delivery_id: int) -> None:
        """Call the plugin's function; raises what that raises. Its frame is the next in a traceback."""
        raise NotImplementedError


class LegacyCallback(Callback):
    """Registered with ``reg.registerCallback``, in one of the three forms."""

    logs_failures = True

    def __init__(
        self,
        name: str,
        ordinal: int,
        logger: logging.Logger,
        *,
        function: Callable[..., Any],
        form: int,
        connection: Connection,
        match_events: Any,
        filter: Filter,  # noqa: A002 - the word of the manifest
        args: Any,
        stop_on_error: bool,
        use_session_uuid: bool,
        plugin: str,
        site: str,
        toolkit: Any,
        hosted: bool,
    ) -> None:
        super().__init__(name, ordinal, logger)
        self._toolkit = toolkit
        self._hosted = hosted
        self._function = function
        self._form = form
        self._connection = connection
        self._match_events = match_events
        self._filter = filter
        self._asks = any(rule["rule"] == "ask" for rule in filter.values())
        self._args = args
        self._use_session_uuid = use_session_uuid
        self._plugin = plugin
        self._site = site
        self.on_dead = "hold" if stop_on_error else "continue"

    def describe(self) -> Description:
        """One attempt, in the plugin's lane: as shotgunEvents does it. In sessions, each project's events are in order."""
        return {
            "name": self.name,
            "ordinal": self.ordinal,
            "filter": self._filter,
            "lane": "project" if self._hosted else "plugin",
            "retry": {"attempts": 1},
            "on_dead": self.on_dead,
            "timeout": None,
            "slots": 1,
            "fields": [],
            "where": self._asks,
            "toolkit": self._hosted,
            "legacy": True,
            "only": {},
            "ignore_own": False,
            "script": "",
        }

    def refusal(self, event: Event) -> Optional[str]:
        """Asks ``matchEvents`` itself where it is of a kind that the daemon can't decide."""
        if self._asks and not wanted(self._match_events, event):
            return "its matchEvents does not want this event"
        return None

    def call(self, event: Event, attempt: int, delivery_id: int) -> None:
        """Call with ``sg``, as the form wants it."""
        sg = self._connection.ready()
        if self._use_session_uuid:
            sg.set_session_uuid(event["session_uuid"])
        try:
            if self._form == WITH_LOGGER:
                self._function(sg, self.logger, event, self._args)
            elif self._form == WITHOUT_LOGGER:
                self._function(sg, event, self._args)
            else:
                self._function(self._context(sg, event, attempt, delivery_id))
        finally:
            self._connection.used()

    def _context(self, sg: Any, event: Event, attempt: int, delivery_id: int) -> Context:
        return Context(
            event,
            connect=lambda: sg,
            log=self.logger,
            attempt=attempt,
            delivery_id=delivery_id,
            args=self._args,
            site=self._site,
            plugin=self._plugin,
            toolkit=self._toolkit,
        )


class OnCallback(Callback):
    """Decorated with ``@on``."""

    def __init__(
        self,
        name: str,
        ordinal: int,
        logger: logging.Logger,
        *,
        rule: Rule,
        connection: PerThread,
        script: str,
        cascade: int,
        plugin: str,
        site: str,
        toolkit: Any,
        hosted: bool,
    ) -> None:
        super().__init__(name, ordinal, logger)
        self._toolkit = toolkit
        self._hosted = hosted
        self._rule = rule
        self._script = script
        self._cascade = cascade
        self._signature = Signature(site, plugin)
        self._connection = connection
        self._plugin = plugin
        self._site = site
        self.on_dead = rule.on_dead
        self.slots = rule.slots

    def describe(self) -> Description:
        """The rule as the daemon needs it; of its conditions, ``where`` alone is decided here."""
        rule = self._rule
        names = rule.attributes
        matches = ANY if names is None or "*" in names else {"rule": "among", "values": sorted(set(names))}
        types = ("*",) if "*" in rule.event_types else rule.event_types
        return {
            "name": self.name,
            "ordinal": self.ordinal,
            "filter": dict.fromkeys(types, matches),
            "lane": rule.lane,
            "retry": rule.retry,
            "on_dead": rule.on_dead,
            "timeout": rule.timeout,
            "slots": rule.slots,
            "fields": list(rule.fields),
            "where": rule.where is not None,
            "toolkit": rule.toolkit or self._hosted,
            "legacy": False,
            "only": rule.only,
            "ignore_own": rule.ignore_own,
            "script": self._script,
        }

    def refusal(self, event: Event) -> Optional[str]:
        """Asks ``where``."""
        rule = self._rule
        if rule.where is not None and not rule.where(event):
            return "where= said no"
        return None

    def call(self, event: Event, attempt: int, delivery_id: int) -> None:
        """Call with a context. What it writes is marked as this plugin's, and as one deeper in the chain than the event."""
        chain = chain_of(event["session_uuid"])
        if chain.depth > self._cascade and self._signature.is_in(chain):
            raise Cascade(f"{chain.depth} of plugins' writes stand behind one another, and {self._cascade} are allowed")
        self._connection.mark(self._signature.mark(chain))
        context = Context(
            event,
            connect=self._connection.ready,
            log=self.logger,
            attempt=attempt,
            delivery_id=delivery_id,
            site=self._site,
            plugin=self._plugin,
            fields=self._rule.fields,
            toolkit=self._toolkit,
        )
        try:
            self._rule.function(context)
        finally:
            self._connection.used()
