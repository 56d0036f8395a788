"""Uploads and downloads of ``shotgun_api3``: their deadlines, and which of their failures are transient.

They go through urllib, to the site or to a media store, and are tried again by methods that forget the cause at last (``Max
attempts limit reached.``).
"""

import functools
import re
import threading
import urllib.request
from http.client import IncompleteRead
from typing import Any, Callable, Optional
from urllib.error import HTTPError

from callsheet.wire import transient
from callsheet.wire.answers import UnusableAnswer
from callsheet.wire.deadlines import Deadline, current

_BARE_ID = re.compile(r"^1\n(\d+)\s*$")

Method = Callable[..., Any]


class _Transfer:
    """One upload or download under way in a thread. ``site``: with the site itself, not with a media store."""

    def __init__(self, *, site: bool) -> None:
        self.site = site
        self.response: Any = None
        self.start: Optional[int] = None
        """Where the file that is sent began, at the first try."""
        self.transient = False
        """Whether a request has failed for a reason that passes; then what comes of the transfer says nothing of it."""


_mine = threading.local()


def with_site(original: Method) -> Method:
    """``_send_form`` with a deadline, judged."""
    return _judged(original, site=True)


def with_store(original: Method) -> Method:
    """``_upload_data_to_storage`` and ``download_attachment`` with a deadline, judged."""
    return _judged(original, site=False)


def build_opener(original: Method) -> Method:
    """``_build_opener``, whose openers keep the deadline of the transfer that they are for, and note what comes of it."""

    def build(self: Any, *handlers: Any) -> Any:
        opener = original(self, *handlers)
        opener.open = functools.partial(_open, opener.open)
        for one in opener.handlers:
            if isinstance(one, urllib.request.AbstractHTTPHandler):
                setattr(one, "do_open", functools.partial(_do_open, one.do_open))  # noqa: B010 - typed as a method
        return opener

    return build


def _judged(original: Method, *, site: bool) -> Method:
    def transfer(self: Any, *arguments: Any, **named: Any) -> Any:
        outer = getattr(_mine, "transfer", None)
        mine = _mine.transfer = _Transfer(site=site)
        try:
            with Deadline(None):
                return _checked(self.config.server, mine, original(self, *arguments, **named))
        except Exception as error:
            transient.note(error, transient=mine.transient or transient.is_transient(error))
            raise
        finally:
            _mine.transfer = outer

    return transfer


def _checked(server: str, transfer: _Transfer, result: Any) -> Any:
    """The result; raises where it is none, though the request was a success."""
    response = transfer.response
    if transfer.site:
        text = result.decode("utf-8", "replace") if isinstance(result, bytes) else str(result)
        if not text[:1].isdigit():
            raise UnusableAnswer(server, 200, f"the answer to an upload isn't the API's. It begins: {text[:200]!r}", {})
        # The client fails at an id without a colon, after the upload is done, and so would do it again at each try.
        return _BARE_ID.sub("1\n:\\1\n", text)
    if getattr(response, "length", None):  # urllib tells a transfer that is cut short from a whole one only if it is read at once
        raise IncompleteRead(b"", response.length)
    if result is None and "html" in str(getattr(response, "headers", {}).get("content-type")):
        raise UnusableAnswer(server, 200, "an upload was answered with a web page", {})
    return result


def _open(original: Method, *request: Any, **options: Any) -> Any:
    transfer: _Transfer = getattr(_mine, "transfer", None) or _Transfer(site=False)
    _rewind(transfer, getattr(request[0], "data", None))
    try:
        transfer.response = original(*request, **options)
    except Exception as error:
        # The site answers its forms with 200 alone, as the API does; a store means what it says.
        status = transient.site_status if transfer.site else transient.store_status
        transfer.transient |= status(error.code) if isinstance(error, HTTPError) else transient.is_transient(error)
        raise
    return transfer.response


def _rewind(transfer: _Transfer, data: Any) -> None:
    """Send the whole file, also at the second try: the client would send what the first one left of it, which is nothing."""
    if not hasattr(data, "seek") or not hasattr(data, "tell"):
        return
    if transfer.start is None:
        transfer.start = data.tell()
    else:
        data.seek(transfer.start)


def _do_open(original: Method, make: Method, request: Any, **options: Any) -> Any:
    def watched(*arguments: Any, **named: Any) -> Any:
        connection = make(*arguments, **named)
        deadline = current()
        if deadline is not None:
            _keep(deadline, connection)
        return connection

    return original(watched, request, **options)


def _keep(deadline: Deadline, connection: Any) -> None:
    """Have a connection of http.client keep that deadline, which is put off by the size of what it sends and gets."""
    create, connect, request, getresponse = (
        *(connection._create_connection, connection.connect),
        *(connection.request, connection.getresponse),
    )

    def followed(*where: Any, **how: Any) -> Any:
        sock = create(*where, **how)
        deadline.follow(sock)
        return sock

    def connect_in_time() -> None:
        connect()
        deadline.follow(connection.sock)  # another one, where there is TLS

    def send(method: str, url: str, body: Any = None, headers: Any = (), **options: Any) -> None:
        size = {name.lower(): value for name, value in dict(headers).items()}.get("content-length")
        deadline.allow(int(size or 0))
        request(method, url, body, headers, **options)

    def receive(*options: Any) -> Any:
        response = getresponse(*options)
        deadline.allow(response.length)
        return response

    connection._create_connection = followed
    connection.connect, connection.request, connection.getresponse = connect_in_time, send, receive
