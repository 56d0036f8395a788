"""Which trouble goes away by itself: a plugin that fails since the site is down is tried again, and is not to blame."""

import errno
import socket
from typing import Iterator, Optional

_NAMES = frozenset(
    {"ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "ETIMEDOUT", "EPIPE"}
    | {"ESTALE", "EIO", "ENOTCONN", "EMFILE", "ENFILE", "EAGAIN"}
)  # by name, since not every system has them all
_KINDS = frozenset({"ServerNotFoundError", "ProxiesUnavailableError", "URLError", "IncompleteRead", "BadStatusLine"})
"""By name: httplib2's, urllib's and http.client's."""
_TOO_MANY_REQUESTS = 429
_IN_TROUBLE = 500  # HTTP: below, the site has an opinion; from here on, it is in trouble


def passes(error: Optional[BaseException]) -> bool:
    """Whether the error, or one that led to it, is of the sort that a network, a share or a restarting site gives."""
    return any(_passes(one) for one in _led_to(error))


def is_of_the_site(error: BaseException) -> bool:
    """Whether the error, or one that led to it, says that the site did not answer, or not as a site that is well.

    That is what ``passes``, and came out of shotgun_api3: what a plugin's own connection to somewhere else says is the plugin's.
    """
    return any(_passes(one) and _came_out_of_the_api(one) for one in _led_to(error))


def _led_to(error: Optional[BaseException]) -> Iterator[BaseException]:
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _passes(error: BaseException) -> bool:
    if isinstance(error, (ConnectionError, socket.timeout, socket.gaierror)):
        return True
    if isinstance(error, OSError) and errno.errorcode.get(error.errno or 0) in _NAMES:
        return True
    if type(error).__name__ in _KINDS:
        return True
    status = getattr(error, "errcode", None)  # xmlrpc.client.ProtocolError, which shotgun_api3 raises
    return isinstance(status, int) and (status >= _IN_TROUBLE or status == _TOO_MANY_REQUESTS)


def _came_out_of_the_api(error: BaseException) -> bool:
    frames = error.__traceback__
    while frames is not None:
        # A Toolkit core has a copy of its own, under a longer name.
        if "shotgun_api3" in str(frames.tb_frame.f_globals.get("__name__", "")).split("."):
            return True
        frames = frames.tb_next
    return False
