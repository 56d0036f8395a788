"""Has ``shotgun_api3`` tell what the API answers from everything else, and come back from every request.

``shotgun_api3`` returns a web page as the result of a write, has no deadline for a request, spins for ever when a proxy drops a
connection inside CONNECT, and lets out whatever its layers raise. So the class is patched, of every copy in the process: whoever
makes a connection, and how, it is a ``shotgun_api3.Shotgun``. The methods have had these names and arguments since 3.0.
"""

import functools
import threading
import time
import weakref
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Tuple

from callsheet.wire import answers, media, transient
from callsheet.wire.answers import UnusableAnswer
from callsheet.wire.deadlines import Deadline, current

REFUSED = 3600.0
"""Seconds for which a key that worked before may be refused until that is taken for meant, and no trouble of the site's."""

_PATCHED = "callsheet_patched"


class _Keys:
    """Who was let in before, and since when is not any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refused: Dict[Tuple[Any, ...], Optional[float]] = {}

    def worked(self, sg: Any) -> None:
        with self._lock:
            self._refused[_identity(sg)] = None

    def may_pass(self, sg: Any) -> bool:
        """Whether a refusal now may be the site's trouble."""
        who = _identity(sg)
        with self._lock:
            if who not in self._refused:
                return False
            since = self._refused[who] = self._refused[who] or time.monotonic()
        return time.monotonic() - since < REFUSED


class _Call:
    """One call of the API under way in a thread."""

    def __init__(self, method: Any, params: Any) -> None:
        self.method = method
        self.params = params
        self.status = 200
        self.type = ""


_keys = _Keys()
_mine = threading.local()
_turns: "weakref.WeakKeyDictionary[Any, Any]" = weakref.WeakKeyDictionary()
_turns_lock = threading.Lock()


def patch(module: ModuleType) -> None:
    """Patch that copy of ``shotgun_api3.shotgun``. Once is enough; a module without the class is left alone."""
    shotgun = getattr(module, "Shotgun", None)
    if shotgun is None or vars(module).get(_PATCHED):
        return
    setattr(module, _PATCHED, True)
    for name, make in _METHODS.items():
        original = vars(shotgun).get(name)
        if callable(original):
            setattr(shotgun, name, functools.wraps(original)(make(original)))
    _patch_socks(getattr(module, "socks", None))


def turn_of(sg: Any) -> Any:
    """The lock that a call of this object holds. It has one connection, by which two threads would get each other's answers, or
    none; and coroutines give one object to several threads at once.
    """
    with _turns_lock:
        turn = _turns.get(sg)
        if turn is None:
            turn = _turns[sg] = threading.RLock()
        return turn


def _call_rpc(original: Callable[..., Any]) -> Callable[..., Any]:
    def call_rpc(self: Any, method: Any, params: Any, *rest: Any, **named: Any) -> Any:
        outer, _mine.call = getattr(_mine, "call", None), _Call(method, params)
        try:
            with turn_of(self):
                results = _made(original, self, method, params, *rest, **named)
        except Exception as error:
            transient.note(error, transient=_is_transient(self, error), method=method, params=params)
            raise
        finally:
            _mine.call = outer
        if rest[0] if rest else named.get("include_auth_params", True):
            _keys.worked(self)
        transient.answered(method, params)
        return results

    return call_rpc


def _made(original: Callable[..., Any], sg: Any, *arguments: Any, **named: Any) -> Any:
    try:
        return original(sg, *arguments, **named)
    except UnusableAnswer:
        sg.close()  # who answered so may be asked no more
        raise


def _is_transient(sg: Any, error: Exception) -> bool:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "AuthenticationFault" in kinds:
        return _keys.may_pass(sg)
    if "Fault" in kinds:
        return transient.is_maintenance(str(error))
    return transient.is_transient(error)


def _identity(sg: Any) -> Tuple[Any, ...]:
    # A session's token is none: it ends, for good.
    config = sg.config
    return (config.server, *(getattr(config, name, None) for name in ("script_name", "api_key", "user_login", "user_password")))


def _http_request(original: Callable[..., Any]) -> Callable[..., Any]:
    def http_request(self: Any, *request: Any) -> Any:
        try:
            with Deadline(self.config.timeout_secs, functools.partial(_sockets, self)):
                status, headers, body = original(self, *request)
        except Exception as error:
            # Nothing is done in there but to connect, to send and to receive, so whatever is raised comes of that.
            transient.mark(error)
            raise
        call = getattr(_mine, "call", None)
        if call is not None:
            call.status, call.type = status[0], str(headers.get("content-type") or "no content type")
        return status, headers, body

    return http_request


def _sockets(sg: Any) -> List[Any]:
    http = getattr(sg, "_connection", None)
    return [getattr(one, "sock", None) for one in list(getattr(http, "connections", {}).values())]


def _decode_response(original: Callable[..., Any]) -> Callable[..., Any]:
    def decode_response(self: Any, headers: Any, body: Any) -> Any:
        try:
            return original(self, headers, body)
        except Exception as error:
            raise _unusable(self, f"it can't be decoded ({type(error).__name__})", body) from error

    return decode_response


def _response_errors(original: Callable[..., Any]) -> Callable[..., Any]:
    def response_errors(self: Any, answer: Any) -> Any:
        call = getattr(_mine, "call", None)
        problem = answers.problem(call.method, call.params, answer) if call is not None else None
        if problem is not None:
            raise _unusable(self, problem, answer)
        return original(self, answer)

    return response_errors


def _build_thumb_url(original: Callable[..., Any]) -> Callable[..., Any]:
    def build_thumb_url(self: Any, *which: Any) -> Any:
        try:
            return original(self, *which)
        except (ValueError, RuntimeError) as error:  # two lines were expected, the first of which is a number
            problem = UnusableAnswer(self.config.server, 200, f"the answer about a thumbnail is not the API's ({error})", {})
            transient.note(problem, transient=True)
            raise problem from error
        except Exception as error:
            transient.note(error, transient=transient.is_transient(error))
            raise

    return build_thumb_url


def _unusable(sg: Any, problem: str, body: Any) -> UnusableAnswer:
    call = getattr(_mine, "call", None) or _Call("a call", None)
    shown = " ".join(str(body if not isinstance(body, bytes) else body[:400].decode("utf-8", "replace")).split())[:200]
    text = f"the answer to {call.method}() isn't the API's: {problem} (HTTP {call.status}, {call.type}). It begins: {shown!r}"
    return UnusableAnswer(sg.config.server, call.status, text, {})


_METHODS: Dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "_call_rpc": _call_rpc,
    "_http_request": _http_request,
    "_decode_response": _decode_response,
    "_response_errors": _response_errors,
    "_build_thumb_url": _build_thumb_url,
    "_send_form": media.with_site,
    "_upload_data_to_storage": media.with_store,
    "download_attachment": media.with_store,
    "_build_opener": media.build_opener,
}


def _patch_socks(socks: Any) -> None:
    """The socket to a proxy: within its deadline, and not for ever at the end of what the proxy says."""
    kind = getattr(socks, "socksocket", None)
    if kind is None or vars(kind).get(_PATCHED):
        return
    setattr(kind, _PATCHED, True)
    connect, receive = kind.connect, kind.recv
    reads_by_recv = "_socksocket__negotiatehttp" in vars(kind)  # the copy that comes with the client, not PySocks

    def connect_in_time(self: Any, *where: Any, **options: Any) -> Any:
        deadline = current()
        if deadline is not None:
            deadline.follow(self)
        self.callsheet_negotiates = True
        try:
            return connect(self, *where, **options)
        finally:
            self.callsheet_negotiates = False

    def receive_something(self: Any, *size: Any) -> bytes:
        data: bytes = receive(self, *size)
        if not data and getattr(self, "callsheet_negotiates", False):
            raise socks.GeneralProxyError((0, "the proxy closed the connection before it let us through"))
        return data

    kind.connect = connect_in_time
    if reads_by_recv:
        kind.recv = receive_something
