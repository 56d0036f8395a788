"""Which errors are transient: the site did not answer, or something else answered in its place. Trying again is the cure.

One classification for the daemon, which reads the event log, and for workers, whose plugins write: if the two disagreed, an outage
for the one would be a failure of the other. ``client_patch`` applies it where errors leave ``shotgun_api3``.
"""

import contextlib
import errno
import socket
import threading
from http.client import HTTPException, InvalidURL
from ssl import SSLError
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional
from urllib.error import HTTPError, URLError
from xmlrpc.client import ProtocolError

_ERRNOS = frozenset(
    {"ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "ETIMEDOUT", "EPIPE"}
    | {"ESTALE", "EIO", "ENOTCONN", "EMFILE", "ENFILE", "EAGAIN"}
)  # by name, since not every system has them all
_KINDS = frozenset({"ServerNotFoundError", "ProxiesUnavailableError"})
"""By name: httplib2's, of which there are several copies."""

_PAYLOAD = frozenset({400, 413, 422})
"""HTTP: this one request can't be handled. Any other status that is no success says nothing of it: the API answers with 200."""

_STORE = frozenset({407, 408, 425, 429})
"""HTTP: the media store, or a proxy, asks to come back; below 500, all others are its answer."""

_SUCCESS = 300  # HTTP: below it
_SERVER = 500  # HTTP: from here on the server is in trouble

_MARK = "callsheet_transient"


class UnusableAnswer(ProtocolError):  # noqa: N818 - as ProtocolError's other subclasses would be: it is one, for whoever catches those
    """Something answered with success, but not as the API does. ``errcode`` is the HTTP status, ``errmsg`` says what came."""

    def __str__(self) -> str:
        return f"{self.url}: {self.errmsg}"


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
    if isinstance(error, HTTPError):
        return store_status(error.code)
    if isinstance(error, ProtocolError):
        return isinstance(error, UnusableAnswer) or site_status(error.errcode)
    if isinstance(error, URLError):  # whose reason is text where the address is none
        return isinstance(error.reason, OSError) and (error.reason.errno is None or by_class(error.reason))
    if isinstance(error, (ConnectionError, socket.timeout, socket.gaierror, SSLError, HTTPException)):
        return not isinstance(error, InvalidURL)
    return type(error).__name__ in _KINDS or (isinstance(error, OSError) and errno.errorcode.get(error.errno or 0) in _ERRNOS)


def site_status(status: Any) -> bool:
    """Whether an HTTP status in the API's place says that the site does not answer."""
    return isinstance(status, int) and status >= _SUCCESS and status not in _PAYLOAD


def store_status(status: Any) -> bool:
    """The same of a media store's: most of what it refuses is meant."""
    return isinstance(status, int) and (status >= _SERVER or status in _STORE or _SUCCESS <= status < min(_PAYLOAD))


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
