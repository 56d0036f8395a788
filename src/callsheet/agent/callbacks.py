"""One registered function, of either kind: how it is described, whether it wants an event, how it is called."""

import inspect
import logging
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

from callsheet.agent.api import Cascade, Rule
from callsheet.agent.batching import Batch, Burst, Member
from callsheet.agent.connection import Connection, ThreadConnections
from callsheet.agent.context import Call, Context
from callsheet.agent.coroutines import LOOPS, cancelled_at, undone
from callsheet.agent.entity_prefetch import EntityPrefetch
from callsheet.agent.log_forwarding import at_work
from callsheet.agent.loop_guard import LoopGuard
from callsheet.agent.match_events import ANY, Filter, wanted
from callsheet.agent.signatures import WITH_LOGGER, WITHOUT_LOGGER, is_coroutine_function, place_of, shown_name
from callsheet.agent.verdicts import Verdict, skipped
from callsheet.wire.causality import NOBODY, Chain, Signature, chain_of, joined

Event = Dict[str, Any]
Description = Dict[str, Any]


class Callback:
    """What the runner knows of a callback. ``name`` is its identity within the plugin, ``ordinal`` its place in it."""

    logs_failures = False
    """Whether a failure is logged by the worker, where it happened."""

    def __init__(
        self, name: str, ordinal: int, logger: logging.Logger, function: Callable[..., Any], timeout: Optional[float]
    ) -> None:
        self.name = name
        self.ordinal = ordinal
        self.logger = logger
        self.awaits = is_coroutine_function(function)
        """Whether it is a coroutine function, so that what it returns is waited for."""
        self._function = function
        self._timeout = timeout
        self.on_dead = "continue"
        self.slots = 1
        self.together = False
        """Whether it is called for several deliveries at once: then with ``refused`` and ``prepare``, not with ``call``."""
        self.folds = False
        """Whether the last of those stands for all."""
        self.loops: Optional[LoopGuard] = None
        """What ends its loops of writes without a mark; None: nothing does."""
        self.prefetch: Optional[EntityPrefetch] = None
        """Where the entities that it shows are read; None if it shows none."""

    def describe(self) -> Description:
        """The callback as the manifest has it."""
        raise NotImplementedError

    def refusal(self, event: Event) -> Optional[str]:
        """Why the callback does not want this event after all; None if it does. Decides what only Python can."""
        raise NotImplementedError

    def call(self, event: Event, attempt: int, delivery_id: int, began: float) -> None:
        """Call the plugin's function; raises what that raises. ``began``: the monotonic time from which its timeout counts."""
        raise NotImplementedError

    def refused(self, event: Event) -> Optional[Verdict]:
        """Of one that is called together with others: the verdict, if it must not be called; None if it may."""
        raise NotImplementedError

    def prepare(self, members: List[Member]) -> Union[Batch, Burst]:
        """The call for these, which are all wanted."""
        raise NotImplementedError

    def _take(self, returned: Any, began: float) -> None:
        """Wait for a coroutine. Raises TypeError for what shows that the work was not done: it must not look as if it was."""
        if self.awaits and inspect.isawaitable(returned):
            returned = LOOPS.run(returned, cancelled_at(began, self._timeout))
        why = undone(returned)
        if why:
            raise TypeError(f"{shown_name(self._function)} returned {why}. ({place_of(self._function)})")


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
        timeout: Optional[float],
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
        super().__init__(name, ordinal, logger, function, timeout)
        self._toolkit = toolkit
        self._hosted = hosted
        self._signature = Signature(site, plugin)
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
            "batch": 1,
            "settle": 0.0,
        }

    def refusal(self, event: Event) -> Optional[str]:
        """Asks ``matchEvents`` itself where it is of a kind that the daemon can't decide."""
        if self._asks and not wanted(self._match_events, event):
            return "its matchEvents does not want this event"
        return None

    def call(self, event: Event, attempt: int, delivery_id: int, began: float) -> None:
        """Call with ``sg``, as the form wants it."""
        sg = self._connection.ready()
        if self._use_session_uuid:
            sg.set_session_uuid(event["session_uuid"])
        _writes_as(self._mark(event["session_uuid"]), self._toolkit)
        try:
            if self._form == WITH_LOGGER:
                returned = self._function(sg, self.logger, event, self._args)
            elif self._form == WITHOUT_LOGGER:
                returned = self._function(sg, event, self._args)
            else:
                returned = self._function(self._context(sg, event, attempt, delivery_id))
            if returned is not None:
                self._take(returned, began)
        finally:
            self._connection.used()

    def _mark(self, session_uuid: Any) -> str:
        """Of what it writes through Toolkit, as the site's script. A user's is handed on where that is asked for; without any,
        plugins of that script would take it for their own.
        """
        chain = chain_of(session_uuid)
        handed_on = self._use_session_uuid and session_uuid and chain == NOBODY
        return str(session_uuid) if handed_on else self._signature.mark(chain)

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
        timeout: Optional[float],
        connection: ThreadConnections,
        script: str,
        cascade: int,
        prefetch: Optional[EntityPrefetch],
        plugin: str,
        site: str,
        toolkit: Any,
        hosted: bool,
    ) -> None:
        super().__init__(name, ordinal, logger, rule.function, rule.timeout or timeout)
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
        self.together = rule.batch > 1 or rule.settle > 0
        self.folds = rule.settle > 0
        self.loops = LoopGuard(script) if rule.ignore_own is True else None
        self.prefetch = prefetch

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
            "batch": rule.batch,
            "settle": rule.settle,
        }

    def refusal(self, event: Event) -> Optional[str]:
        """Asks ``where``."""
        where = self._rule.where
        if where is None:
            return None
        answer = where(event)
        why = undone(answer)
        if why:
            raise TypeError(f"where= is no answer: it returned {why}. ({place_of(where)})")
        return None if answer else "where= said no"

    def call(self, event: Event, attempt: int, delivery_id: int, began: float) -> None:
        """Call with a context. What it writes is marked as this plugin's, and as one deeper in the chain than the event."""
        chain = chain_of(event["session_uuid"])
        if self._is_too_deep(chain):
            raise Cascade(self._why_too_deep(chain))
        self._call(self._context(event, attempt, delivery_id, connect=self._begin(chain)), began)

    def refused(self, event: Event) -> Optional[Verdict]:
        """Asks ``where``, and how deep it is in a chain of writes."""
        refusal = self.refusal(event)
        if refusal is not None:
            return skipped(refusal)
        chain = chain_of(event["session_uuid"])
        if self._is_too_deep(chain):
            return Verdict("give_up", {"kind": Cascade.__name__, "text": self._why_too_deep(chain)})
        return None

    def prepare(self, members: List[Member]) -> Union[Batch, Burst]:
        """A list of contexts, or the last one's, which stands for all. What it writes is one deeper than the deepest event."""
        chains = [chain_of(one.event["session_uuid"]) for one in members]
        connect = self._begin(joined(chains))
        last = members[-1]
        if self._rule.settle:
            folded = [one.event["id"] for one in members[:-1]]
            return Burst(self._call, self._context(last.event, last.attempt, last.delivery, connect=connect, folded=folded))
        call = Call(batch=True)
        if self.prefetch is not None:
            for one in members:
                self.prefetch.expect(one.delivery, one.event)
        contexts = [self._context(one.event, one.attempt, one.delivery, connect=connect, call=call) for one in members]
        return Batch(self._call, contexts)

    def _call(self, argument: Union[Context, List[Context]], began: float) -> None:
        try:
            returned = self._function(argument)
            if returned is not None:
                self._take(returned, began)
        finally:
            self._connection.used()

    def _context(
        self,
        event: Event,
        attempt: int,
        delivery_id: int,
        *,
        connect: Callable[[], Any],
        folded: Sequence[int] = (),
        call: Optional[Call] = None,
    ) -> Context:
        return Context(
            event,
            connect=connect,
            log=self.logger,
            attempt=attempt,
            delivery_id=delivery_id,
            site=self._site,
            plugin=self._plugin,
            folded=folded,
            prefetch=self.prefetch,
            call=call,
            toolkit=self._toolkit,
        )

    def _begin(self, chain: Chain) -> Callable[[], Any]:
        """Have what the call writes carry its mark. Returns how its contexts get at ``sg``."""
        mark = self._signature.mark(chain)
        _writes_as(mark, self._toolkit)
        return self._connection.begin(mark)

    def _is_too_deep(self, chain: Chain) -> bool:
        return chain.depth > self._cascade and self._signature.is_in(chain)

    def _why_too_deep(self, chain: Chain) -> str:
        return f"{chain.depth} of plugins' writes stand behind one another, and {self._cascade} are allowed"


def _writes_as(mark: str, toolkit: Any) -> None:
    """Have all carry the mark that this thread writes from now on by way of sessions, or of the Toolkit of this one."""
    at_work.mark = mark
    if toolkit is not None:
        toolkit.mark(mark)
