"""The event log of a site, read with the vendor's client."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from http.client import HTTPException
from ssl import SSLError
from typing import Any, TypeVar
from xmlrpc.client import ProtocolError, ResponseError

from shotgun_api3.lib.httplib2 import HttpLib2Error
from shotgun_api3.shotgun import AuthenticationFault, Fault, Shotgun, ShotgunError

from callsheet.errors import SiteError, SiteRefusedError
from callsheet.model import Event, Gap
from callsheet.ports import Page

FIELDS = ("event_type", "attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at")
"""What plugins get of an event, besides ``type`` and ``id``."""

IDLE = 2.0
"""Seconds without a request after which a failed one is tried once more: whoever is between us and the site may have dropped
the idle connection, and the client says so only by failing (python-api since 3.8.5)."""

_NETWORK = (OSError, HTTPException, HttpLib2Error, ProtocolError, ResponseError)
"""What the client lets through when the site can't be reached."""

_DROPPED = (ConnectionError, HTTPException, SSLError, HttpLib2Error)
"""Those of them that a dropped connection may show as. Not silence: asking again would double the time until it is told."""

_NONSENSE = (ValueError, AttributeError, TypeError, KeyError, IndexError, ShotgunError)
"""What it stumbles over when the answer isn't the API's: a page of HTML, JSON that is none, a server without a version number."""

T = TypeVar("T")


class _PlainShotgun(Shotgun):
    """The vendor's client, but times stay as sent: the ledger keeps events as the site wrote them, and workers convert them."""

    # Waiting and trying again is the intake's decision, which says so aloud; the client would do it in silence, after 502 and 504.
    MAX_ATTEMPTS = 1

    def _transform_inbound(self, data: T) -> T:
        return data


class SiteEventLog:
    """Implements ports.EventLog. Not for several threads at once: the client's connection isn't either."""

    def __init__(self, site: str, url: str, script: str, key: str, *, proxy: str | None = None, timeout: float = 60.0) -> None:
        self._site = site
        self._url = url
        self._client = _PlainShotgun(url, script_name=script, api_key=key, http_proxy=proxy, connect=False)
        self._client.config.timeout_secs = timeout
        self._client.config.max_rpc_attempts = 1  # the same for errors of TLS
        self._used_at = time.monotonic()

    def newest_id(self) -> int:
        """See ports.EventLog."""
        newest = self._ask(
            lambda: self._client.find_one("EventLogEntry", [], ["id"], order=[{"field_name": "id", "direction": "desc"}])
        )
        return int(newest["id"]) if newest else 0

    def read(self, after: int, limit: int, *, until: int | None = None, missing: Sequence[Gap] = ()) -> Page:
        """See ports.EventLog."""
        filters = _filters(after, until, missing)
        found = self._ask(
            lambda: self._client.find(
                "EventLogEntry", filters, list(FIELDS), order=[{"field_name": "id", "direction": "asc"}], limit=limit
            )
        )
        return Page(tuple(Event(self._site, data) for data in found), full=len(found) >= limit)

    def close(self) -> None:
        """See ports.EventLog."""
        self._client.close()

    def _ask(self, question: Callable[[], Any]) -> Any:
        idle = time.monotonic() - self._used_at > IDLE
        try:
            try:
                return question()
            except _DROPPED:
                if not idle:
                    raise
                self._client.close()
                return question()
        except AuthenticationFault as error:
            raise SiteRefusedError(f"{self._url} refuses the script's name or key: {error}") from error
        except Fault as error:
            raise SiteError(f"{self._url} answered with a fault: {error}") from error
        except _NETWORK as error:
            self._client.close()
            raise SiteError(f"{self._url}: {_in_words(error)}") from error
        except _NONSENSE as error:
            self._client.close()
            raise SiteError(
                f"{self._url} gave an answer that isn't the API's ({_in_words(error)}). If this stays, see what stands between "
                "this machine and the site: a login page, a proxy, another server at that address."
            ) from error
        finally:
            self._used_at = time.monotonic()


def _filters(after: int, until: int | None, missing: Sequence[Gap]) -> list[Any]:
    fresh = ["id", "greater_than", after] if until is None else ["id", "between", [after + 1, until]]
    if not missing:
        return [fresh]
    single = sorted({gap.first for gap in missing if gap.first == gap.last})
    ranges = sorted({(gap.first, gap.last) for gap in missing if gap.first != gap.last})
    conditions = [fresh, *(["id", "between", [first, last]] for first, last in ranges)]
    if single:
        conditions.append(["id", "in", single])
    return [{"filter_operator": "any", "filters": conditions}]


def _in_words(error: Exception) -> str:
    """One line that says what went wrong, whatever the layer that raised."""
    if isinstance(error, ProtocolError):
        return f"HTTP {error.errcode} {error.errmsg}"
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text[:300]}"
