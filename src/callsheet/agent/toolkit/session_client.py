"""Sessions as plugins see them: ``session(project).call(function, …)`` from anywhere, ``here()`` inside one.

The function is called in the worker that has the project's Toolkit, and what it returns comes back: data, see ``carrying``.
"""

import itertools
import queue
import threading
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

from callsheet.agent import current_worker
from callsheet.agent.failures import Secrets, failure_of
from callsheet.agent.log_forwarding import at_work
from callsheet.agent.options import pause
from callsheet.agent.toolkit.serialization import CarryError, pack, unpack
from callsheet.wire import transient
from callsheet.wire.causality import Signature
from callsheet.wire.frames import Message

Project = Union[int, str, Mapping[str, Any]]


class SessionError(Exception):
    """The function failed in the session. ``kind`` is the name of what it raised there, ``traceback`` where it did."""

    def __init__(self, kind: str, text: str, traceback: str = "") -> None:
        super().__init__(f"{text}\n\nIn the session:\n{traceback}" if traceback else text)
        self.kind = kind
        self.traceback = traceback


class SessionTimeout(SessionError, TimeoutError):  # noqa: N818 - it is one, of the standard library's name
    """The function took longer than it was given, and its session was ended. It may or may not have done its work."""


class SessionLost(SessionError, ConnectionError):  # noqa: N818 - as above
    """The session ended in the middle, or could not be opened for now: trying again may help, and a failed attempt does."""


class ToolkitUnavailable(SessionError):  # noqa: N818 - as above
    """The project has no Toolkit, or one that can't be opened. The text names the project, the configuration and the cure."""


class Caller:
    """A worker's way to sessions. ``say`` sends a message to the daemon."""

    def __init__(
        self,
        say: Callable[[Message], None],
        owner: Callable[[Callable[..., Any]], str],
        site: str,
        toolkit: Any,
        project: Optional[int],
    ) -> None:
        """``owner``: the name of the plugin that a function is of. ``toolkit``: that of this worker, and whose, if it has one."""
        self._say = say
        self._site = site
        self._owner = owner
        self.toolkit = toolkit
        self.project = project
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: Dict[int, "queue.SimpleQueue[Message]"] = {}

    def call(self, project: Project, timeout: Optional[float], function: Callable[..., Any], arguments: List[Any]) -> Any:
        """Have the function called; waits for what it returns."""
        message = {
            "is": "call",
            "call": next(self._numbers),
            "project": _project_of(project),
            "plugin": self._owner(function),
            "module": function.__module__,
            "function": _name_of(function),
            "arguments": pack(arguments, "the arguments"),
            "timeout": timeout,
        }
        # Of a thread that no delivery runs in, nothing but the plugin is known.
        message["mark"] = at_work.mark or Signature(self._site, message["plugin"]).mark()
        answer: "queue.SimpleQueue[Message]" = queue.SimpleQueue()
        with self._lock:
            self._waiting[message["call"]] = answer
        self._say(message)
        return _returned(answer.get())

    def answered(self, message: Message) -> None:
        """The daemon says what came of a call."""
        with self._lock:
            waiting = self._waiting.pop(message["call"], None)
        if waiting is not None:
            waiting.put(message)


class Session:
    """A project's session, from any plugin. See ``session``."""

    def __init__(self, caller: Caller, project: Project, timeout: Optional[float]) -> None:
        self._caller = caller
        self._project = project
        self._timeout = timeout

    def call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Call ``function``, one of the plugin's file or of a module that it imports, in the session, and return what it returns.

        There, ``import sgtk`` is the project's own core, and ``callsheet.toolkit.here()`` has ``tk`` and ``engine``. What goes
        there and comes back is data: JSON's kinds, tuples, sets, dates, times, paths, bytes and ``sgtk.Context``. Waits; other
        lanes go on meanwhile. Raises CarryError for what can't be carried, SessionError with the far traceback for what the
        function raised, SessionTimeout, SessionLost, and ToolkitUnavailable.
        """
        if self._caller.project is not None and _project_of(self._project) == self._caller.project:
            return function(*arguments, **keywords)  # in its own session it would wait for itself
        return self._caller.call(self._project, self._timeout, function, [list(arguments), keywords])


def session(project: Project, *, timeout: Optional[float] = None) -> Session:
    """The warm Toolkit session of a project: an id, a name, or a link. ``timeout``: seconds that a call may take in it.

    One per project, shared by all who ask, opened at the first call and kept. Raises ValueError for a timeout that is no time.
    """
    return Session(_caller("session()"), project, pause(f"session(timeout={timeout!r})", timeout))


def here() -> Any:
    """This session's Toolkit, inside of one: ``sgtk``, ``tk``, ``engine``, and ``context_for(link)``. RuntimeError elsewhere."""
    toolkit = _caller("here()").toolkit
    if toolkit is None:
        raise RuntimeError(
            "This worker has no Toolkit: say toolkit=True at the callback, or have the function called with "
            "callsheet.toolkit.session(project).call(function)."
        )
    return toolkit


def answer_to(order: Message, function: Callable[..., Any], toolkit: Any, secrets: Secrets) -> Message:
    """Make the call that the order asks for, inside a session; what to say of it."""
    before = transient.tally()
    try:
        context = getattr(getattr(toolkit.sgtk, "Context", None), "from_dict", None)
        arguments, keywords = unpack(order["arguments"], toolkit.tk, context)
        value = pack(function(*arguments, **keywords), f"what {order['function']} returned")
    except BaseException as error:  # noqa: BLE001 - sys.exit in a function is its failure as well
        failure = failure_of(error, secrets, skip=1)
        kind = "CarryError" if isinstance(error, CarryError) else failure["kind"]
        told = {"kind": kind, "text": failure["text"], "traceback": failure["traceback"], "lost": False}
        after = transient.tally()
        told["passing"] = transient.is_of_the_site(error) or after.transient > before.transient
        told["client"] = told["passing"] or transient.is_of_the_client(error) or after.failed > before.failed
        return {"is": "answer", "call": order["call"], "failure": told}
    return {"is": "answer", "call": order["call"], "value": value}


def _returned(answer: Message) -> Any:
    failure = answer.get("failure")
    if failure is None:
        return unpack(answer["value"])
    kind, text, traceback = failure["kind"], failure["text"], failure["traceback"]
    if kind == "CarryError":
        raise CarryError(text)
    for known in (SessionTimeout, SessionLost):
        if kind == known.__name__:
            raise known(kind, text, traceback)
    if kind == "ToolkitError":
        away = (SessionLost if failure["lost"] else ToolkitUnavailable)(kind, text, traceback)
        if failure["lost"]:
            transient.note(away, transient=True)  # nothing was called: an attempt that fails with this is not counted
        raise away
    error = SessionError(kind, f"{kind}: {text}", traceback)
    if failure.get("client"):  # as if it had been called here
        transient.note(error, transient=bool(failure["passing"]))
    raise error


def _caller(what: str) -> Caller:
    if current_worker.worker is None:
        raise RuntimeError(f"callsheet.toolkit.{what} works in plugins that Callsheet runs.")
    caller: Caller = current_worker.worker.caller()
    return caller


def _project_of(project: Project) -> Union[int, str]:
    found = project.get("id") if isinstance(project, Mapping) else project
    if isinstance(found, bool) or not isinstance(found, (int, str)):
        raise TypeError(f"session() takes a project's id, its name or its link, not {project!r}.")
    return found


def _name_of(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", None)
    if name is None or not hasattr(function, "__module__") or "<" in name:
        raise CarryError(
            f"{function!r} can't be called in another process: give a function that stands at the head of a file, not one made "
            "inside another function."
        )
    return str(name)
