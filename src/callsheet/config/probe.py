"""Asks a site whether it answers and takes the script's key, and says what to do where it doesn't: one line, never a key in it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import urlsplit
from xmlrpc.client import ProtocolError

from shotgun_api3.lib import httplib2
from shotgun_api3.shotgun import Fault

from callsheet.config.kinds import without_password
from callsheet.errors import SiteError, SiteRefusedError
from callsheet.settings import SiteSettings
from callsheet.site.event_log import SiteEventLog
from callsheet.wire.answers import UnusableAnswer

PATIENCE = 15.0
"""Seconds that a check waits at most; the daemon itself waits for the site's ``timeout``."""

PROXY_ERROR: type[Exception] = httplib2.socks.ProxyError  # type: ignore[attr-defined] # PySocks, or the copy that comes with it

_NONSENSE = (ValueError, AttributeError, TypeError, KeyError)
"""What the client raises over an answer that is no site's: no JSON, a web page, JSON of another shape."""

_STATUS = {
    401: "a web server before it asks for a password; write url as https://user:password@host",
    403: "access is blocked; ask the site's administrator whether this machine's address may use the API",
    404: "no Flow Production Tracking site is there; fix url: it ends with the host, as in https://studio.shotgrid.autodesk.com",
    407: "the proxy asks for a password; write proxy as user:password@host:port",
    429: "it has too many requests at the moment; try again in a minute",
}
_NO_SITE = "something answers at {url}, but it is no Flow Production Tracking site; fix url"
_BUSY = 500
"""HTTP statuses from here on are the site's own trouble."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a site said. ``newest`` is its newest event's id (0: no event yet), None where there is a ``problem``."""

    newest: int | None = None
    problem: str | None = None


def probe(site: SiteSettings) -> Answer:
    """Ask ``site`` for its newest event, as the daemon will. Never raises for what a site or a network does."""
    patience = min(site.timeout, PATIENCE)
    log = SiteEventLog.of(site, timeout=patience)
    try:
        return Answer(newest=log.newest_id())
    except SiteRefusedError:
        cure = "compare both with the site's Scripts page, where a key can be renewed"
        return Answer(problem=f"it answers, but refuses script {site.script!r} with this key; {cure}")
    except SiteError as error:
        return Answer(problem=_said(site, error.__cause__ or error, patience))
    except (PROXY_ERROR, *_NONSENSE) as error:  # what the client lets through from proxies, and for pages that are no answer
        return Answer(problem=_said(site, error, patience))
    finally:
        log.close()


def _said(site: SiteSettings, cause: BaseException, patience: float) -> str:
    asked = f"proxy {without_password(site.proxy)}" if site.proxy else f"{urlsplit(site.url).hostname}"
    match cause:
        case UnusableAnswer():
            said = _NO_SITE.format(url=without_password(site.url))
        case ProtocolError():
            said = _status(cause)
        case Fault():
            said = f"it answers, but with a fault: {_short(cause)}; may script {site.script!r} read event log entries?"
        case httplib2.ServerNotFoundError() | socket.gaierror():
            said = f"the host name of {asked} is unknown; fix its spelling, or this machine's name service (DNS)"
        case OSError():
            said = _network(cause, asked, patience)
        case _ if isinstance(cause, _NONSENSE):
            said = _NO_SITE.format(url=without_password(site.url))
        case _ if isinstance(cause, PROXY_ERROR):
            said = f"{asked} does not let us through ({_short(cause)}); fix proxy, or ask whoever runs it"
        case HTTPException() | httplib2.HttpLib2Error():
            said = f"{asked} broke the connection off ({_short(cause)}); is url right, and is a proxy needed?"
        case _:
            said = f"it does not answer properly: {_short(cause)}"
    return said


def _status(error: ProtocolError) -> str:
    cure = _STATUS.get(error.errcode)
    if cure is None and error.errcode >= _BUSY:
        cure = "that is the site's own trouble; try again later, as the daemon does by itself"
    return f"it answers with HTTP {error.errcode}: {cure or 'fix url, and proxy if there is one'}"


def _network(error: OSError, asked: str, patience: float) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            why, cure = (
                error.verify_message,
                'name the file of your certificate authority: ca = "FILE" in the site (a conf: ca in [callsheet])',
            )
            said = f"the certificate of {asked} is not trusted ({why}); {cure}"
        case ssl.SSLError():
            said = f"{asked} does not speak TLS ({error.reason}); should url begin with http://, or is a proxy needed?"
        case TimeoutError():
            said = f"{asked} did not answer within {patience:g} s; is a firewall in between, or a proxy needed?"
        case ConnectionRefusedError():
            said = f"{asked} refuses the connection, since nothing listens at that port; fix url or proxy"
        case _:
            said = f"{asked} can't be reached ({_short(error)}); is the network up?"
    return said


def _short(error: BaseException) -> str:
    match error.args:
        case ((int() as number, bytes() as words), *_):  # what a proxy answered
            return f"{number} {words.decode('latin-1')}"
    return without_password(" ".join(str(error).split())[:200]) or type(error).__name__
