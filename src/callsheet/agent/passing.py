"""Which trouble goes away by itself: a plugin that fails to load because the site is down is tried again."""

import errno
import socket
from typing import Optional

_NAMES = frozenset(
    {"ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "ETIMEDOUT", "EPIPE"}
    | {"ESTALE", "EIO", "ENOTCONN", "EMFILE", "ENFILE", "EAGAIN"}
)  # by name, since not every system has them all
_KINDS = frozenset({"ServerNotFoundError", "ProxiesUnavailableError", "URLError"})  # httplib2's and urllib's
_TOO_MANY_REQUESTS = 429
_IN_TROUBLE = 500  # HTTP: below, the site has an opinion; from here on, it is in trouble


def passes(error: Optional[BaseException]) -> bool:
    """Whether the error, or one that led to it, is of the sort that a network, a share or a restarting site gives."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, (ConnectionError, socket.timeout, socket.gaierror)):
            return True
        if isinstance(error, OSError) and errno.errorcode.get(error.errno or 0) in _NAMES:
            return True
        if type(error).__name__ in _KINDS:
            return True
        status = getattr(error, "errcode", None)  # xmlrpc.client.ProtocolError, which shotgun_api3 raises
        if isinstance(status, int) and (status >= _IN_TROUBLE or status == _TOO_MANY_REQUESTS):
            return True
        error = error.__cause__ or error.__context__
    return False
