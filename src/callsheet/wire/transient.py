"""Which errors are transient: the site did not answer, or something else answered in its place. Trying again is the cure.

One classification for the daemon, which reads the event log, and for workers, whose plugins write: if the two disagreed, an outage
for the one would be a failure of the other. ``client_patch`` applies it where errors leave ``shotgun_api3``.
"""

import contextlib
import errno
import re
import threading
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, NamedTuple, Optional

_ERRNOS = frozenset(
    {"ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "ETIMEDOUT", "EPIPE"}
    | {"ESTALE", "EIO", "ENOTCONN", "EMFILE", "ENFILE", "EAGAIN"}
)  # by name, since not every system has them all
_CONNECTION = frozenset({"ConnectionError", "socket.timeout", "TimeoutError", "socket.gaierror", "ssl.SSLError"})
_ANSWER = frozenset({"http.client.HTTPException", "callsheet.wire.answers.UnusableAnswer"})
_CLIENT = frozenset({"ServerNotFoundError", "ProxiesUnavailableError"})
"""Classes, with what derives from them, by name: nobody need import ssl and urllib to see that an error is none of theirs. Those of
httplib2 without their module, since there are several copies.
"""

_PAYLOAD = frozenset({400, 413, 422})
"""HTTP: this one request can't be handled. Any other status that is no success says nothing of it: the API answers with 200."""

_STORE = frozenset({407, 408, 425, 429})
"""HTTP: the media store, or a proxy, asks to come back; below 500, all others are its answer."""

_SUCCESS = 300  # HTTP: below it
_SERVER = 500  # HTTP: from here on the server is in trouble

_REQUEST = re.compile(r"API \w+\(\) ")
"""How faults of the API begin that are about what it was asked."""

_MAINTENANCE = re.compile(
    r"maintenance|try again|retry later|too busy|overloaded|unavailable|temporar|read[- ]only mode|rate limit|too many requests"
    r"|time[d ]?-?out|currently down",
    re.IGNORECASE,
)

_MARK = "callsheet_transient"


class Tally(NamedTuple):
    """How often ``shotgun_api3`` has failed in this process, and how often of these the site did not answer."""

    failed: int = 0
    transient: int = 0


class _Counter:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tally = Tally()


_counter = _Counter()


def tally() -> Tally:
    """The count so far. What lies between two of these, in whichever thread, had a part in what failed meanwhile: callbacks wrap
    errors, or put them into words, or wait for threads in which they happen.
    """
    return _counter.tally


def note(error: BaseException, *, transient: bool, method: Any = "a transfer", params: Any = None) -> None:
    """Count an error that leaves ``shotgun_api3``, and remember of a transient one that it is that."""
    if transient:
        mark(error)
    with _counter.lock:
        failed, passed = _counter.tally
        _counter.tally = Tally(failed + 1, passed + transient)
    for watch in _watches:
        watch.failed(error, Call(str(method), repr(params)), transient=transient)


def answered(method: Any, params: Any) -> None:
    """Note that a call was answered."""
    for watch in _watches:
        watch.answered(Call(str(method), repr(params)))


class Call(NamedTuple):
    """A call of the API: the same method and parameters are the same call, made again."""

    method: str
    params: str


class CallWatch:
    """``with CallWatch() as calls: …`` collects which calls were never answered in the block, though they may have been made again,
    and whoever made them may have caught the error.
    """

    def __init__(self, mine: Callable[[], bool] = lambda: True) -> None:
        """``mine`` says whether a call of the current thread is of interest."""
        self.unanswered: Dict[Call, str] = {}
        """Call → the error, in words, of those that failed since the site did not answer."""
        self.refused: Dict[Call, str] = {}
        """The same of those for which the site did not know who asks; which it may say in passing, too."""
        self._mine = mine

    def __enter__(self) -> "CallWatch":
        _watches.append(self)
        return self

    def __exit__(self, *_error: object) -> None:
        _watches.remove(self)

    def failed(self, error: BaseException, call: Call, *, transient: bool) -> None:
        """The call has failed."""
        if not self._mine():
            return
        text = f"{call.method}: {type(error).__name__}: {error}"
        if transient:
            self.unanswered[call] = text
        elif any(kind.__name__ == "AuthenticationFault" for kind in type(error).__mro__):
            self.refused[call] = text

    def answered(self, call: Call) -> None:
        """The call was answered, whatever became of it before."""
        self.unanswered.pop(call, None)
        self.refused.pop(call, None)


_watches: List[CallWatch] = []


def mark(error: BaseException) -> None:
    """Have an error count as transient from now on, whatever its class, also where others are raised from it."""
    with contextlib.suppress(AttributeError):  # of a class that has room for nothing
        setattr(error, _MARK, True)


def is_transient(error: Optional[BaseException]) -> bool:
    """Whether the error, or one that led to it, is of the sort that a network, a share or a restarting site gives."""
    return any(hasattr(one, _MARK) or by_class(one) for one in _led_to(error))


def is_of_the_site(error: BaseException) -> bool:
    """Whether the error, or one that led to it, says that the site did not answer: it is transient and left ``shotgun_api3``.

    What a plugin's own connection to somewhere else says is the plugin's.
    """
    return any(hasattr(one, _MARK) or (by_class(one) and _left_the_client(one)) for one in _led_to(error))


def is_of_the_client(error: BaseException) -> bool:
    """Whether the error, or one that led to it, left ``shotgun_api3``."""
    return any(_left_the_client(one) for one in _led_to(error))


def by_class(error: BaseException) -> bool:
    """The same as ``is_transient`` of an error by itself, judged by what it is, not by where it comes from."""
    kinds = _names(error)
    if "urllib.error.HTTPError" in kinds:
        return store_status(getattr(error, "code", None))
    if "urllib.error.URLError" in kinds:  # whose reason is text where the address is none
        reason = getattr(error, "reason", None)
        return isinstance(reason, OSError) and (reason.errno is None or by_class(reason))
    if kinds & _CONNECTION or kinds & _ANSWER:
        return "http.client.InvalidURL" not in kinds
    if "xmlrpc.client.ProtocolError" in kinds:
        return site_status(getattr(error, "errcode", None))
    return type(error).__name__ in _CLIENT or (isinstance(error, OSError) and errno.errorcode.get(error.errno or 0) in _ERRNOS)


def is_maintenance(text: str) -> bool:
    """Whether a fault of the API says by its words that the site is not there for now, for whatever it was asked."""
    return _MAINTENANCE.search(text) is not None and not _REQUEST.match(text)


def is_in_doubt(kind: str, text: str) -> bool:
    """Whether a failure that came out of the client may be the site's trouble, though it does not say so: any may but a fault of
    the API that says by its words that it is this request which can't be met. ``kind``: the name of its class, with the module.
    """
    return not kind.endswith(".Fault") or _REQUEST.match(text) is None or _MAINTENANCE.search(text) is not None


def site_status(status: Any) -> bool:
    """Whether an HTTP status in the API's place says that the site does not answer."""
    return isinstance(status, int) and status >= _SUCCESS and status not in _PAYLOAD


def store_status(status: Any) -> bool:
    """The same of a media store's: most of what it refuses is meant."""
    return isinstance(status, int) and (status >= _SERVER or status in _STORE or _SUCCESS <= status < min(_PAYLOAD))


def _names(error: BaseException) -> FrozenSet[str]:
    return frozenset(
        kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__
    )


def _led_to(error: Optional[BaseException]) -> Iterator[BaseException]:
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _left_the_client(error: BaseException) -> bool:
    frames = error.__traceback__
    while frames is not None:
        # A Toolkit core has a copy of its own, under a longer name.
        if "shotgun_api3" in str(frames.tb_frame.f_globals.get("__name__", "")).split("."):
            return True
        frames = frames.tb_next
    return False
