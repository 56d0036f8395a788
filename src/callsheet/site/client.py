"""The vendor's client as all of this package uses it: answers as the site sent them, and trouble as SiteError."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from ssl import SSLError
from typing import Any, Self, TypeVar
from xmlrpc.client import ProtocolError

from shotgun_api3.lib.httplib2 import HttpLib2Error
from shotgun_api3.shotgun import AuthenticationFault, Fault, Shotgun, ShotgunError

from callsheet.errors import SiteError, SiteRefusedError
from callsheet.settings import SiteSettings
from callsheet.site.raw_entities import decoded
from callsheet.wire import client_patch
from callsheet.wire.answers import UnusableAnswer
from callsheet.wire.texts import without_passwords
from callsheet.wire.transient import is_transient

# As in workers: what is no answer of the API's is none for the one as for the others, and nothing waits for ever.
client_patch.patch(sys.modules[Shotgun.__module__])

IDLE = 2.0
"""Seconds without a request after which a failed one is tried once more: whoever is between us and the site may have dropped
the idle connection, and the client says so only by failing (python-api since 3.8.5)."""

_DROPPED = (ConnectionError, HTTPException, SSLError, HttpLib2Error)
"""What a dropped connection may show as. Not silence: asking again would double the time until it is told."""

_STUMBLED = (ValueError, AttributeError, TypeError, KeyError, IndexError, ShotgunError)
"""What the client raises over a part of an answer that it did not expect, and that nobody looked at before."""

_IF_IT_STAYS = (
    "If this stays, see what stands between this machine and the site: a login page, a proxy, another server at that address."
)

T = TypeVar("T")


class RawShotgun(Shotgun):
    """The vendor's client, but times stay as sent: the ledger keeps events as the site wrote them, and workers convert them."""

    # Waiting and trying again is the intake's decision, which says so aloud; the client would do it in silence, after 502 and 504.
    MAX_ATTEMPTS = 1

    answered_at: float | None = None
    texts: list[str | None] | None = None
    """Where the texts of entities go that are read, in their order, None for one that the client changes; None: nowhere. Whoever
    reads puts a list here.
    """

    def _transform_inbound(self, data: T) -> T:
        return data

    def _http_request(self, *request: Any) -> Any:
        status, headers, body = super()._http_request(*request)
        self.answered_at = _epoch(headers.get("date"))
        return status, headers, body

    def _json_loads(self, body: str | bytes) -> Any:
        if self.texts is None:
            return json.loads(body)
        try:
            text = body if isinstance(body, str) else body.decode()
        except UnicodeDecodeError:  # the decoder makes something even of that
            return json.loads(body)
        answer, texts = decoded(text)
        # Nearly no page has any such; a look at the page as a whole costs a tenth of a look at each.
        self.texts += [None if one is None or _changed(one) else one for one in texts] if _changed(text) else texts
        return answer

    def _parse_records(self, records: Any) -> Any:
        # It walks through every field of every entity, for the sake of the few that it changes.
        if self.texts and len(self.texts) == len(records) and None not in self.texts:
            return records
        return super()._parse_records(records)


def _changed(text: str) -> bool:
    """Whether the client changes an entity of that text: it turns ``&lt;`` back, however that is written, and completes links to
    files.
    """
    return "lt;" in text or '"link_type"' in text


class SiteClient:
    """One connection to a site. Not for several threads at once."""

    def __init__(
        self, url: str, script: str, key: str, *, proxy: str | None = None, ca: str | None = None, timeout: float = 60.0
    ) -> None:
        """``ca``: a file of certificates by which the site's is judged, instead of the client's own."""
        self._url = without_passwords(url)
        self._client = RawShotgun(url, script_name=script, api_key=key, http_proxy=proxy, ca_certs=ca, connect=False)
        self._client.config.timeout_secs = timeout
        self._client.config.max_rpc_attempts = 1  # the same for errors of TLS
        self._used_at = time.monotonic()

    @classmethod
    def of(cls, site: SiteSettings) -> Self:
        """A connection to a site as it is configured."""
        key = site.key.reveal()
        return cls(site.full_url, site.script, key, proxy=site.proxy, ca=site.ca_file, timeout=site.timeout)

    def ask(self, question: Callable[[RawShotgun], T]) -> T:
        """What the question makes of the client. Raises SiteError, and SiteRefusedError when the site says no."""
        idle = time.monotonic() - self._used_at > IDLE
        try:
            try:
                return question(self._client)
            except _DROPPED:
                if not idle:
                    raise
                self._client.close()
                return question(self._client)
        except Exception as error:
            found = self._trouble(error)
            if found is None:
                raise
            self._client.close()  # who answered so, or not at all, need not be asked again
            raise found from error
        finally:
            self._used_at = time.monotonic()

    def _trouble(self, error: Exception) -> SiteError | None:
        """What the site's silence, or an answer that isn't the API's, is to the daemon; None for a defect of ours."""
        if isinstance(error, AuthenticationFault):
            return SiteRefusedError(f"{self._url} refuses the script's name or key: {error}")
        if isinstance(error, Fault):
            return SiteError(f"{self._url} answered with a fault: {error}")
        if isinstance(error, UnusableAnswer):
            return SiteError(f"{self._url}: {_in_words(error)} {_IF_IT_STAYS}")
        # HTTP 400 and the like are no outage for a plugin, whose payload it may be; ours is never at fault.
        if is_transient(error) or isinstance(error, (OSError, ProtocolError)):
            return SiteError(f"{self._url}: {_in_words(error)}")
        if isinstance(error, _STUMBLED):
            return SiteError(f"{self._url} gave an answer that isn't the API's ({_in_words(error)}). {_IF_IT_STAYS}")
        return None

    @property
    def answered_at(self) -> float | None:
        """What the site's own clock said with its last answer, in epoch seconds; None where it didn't say."""
        return self._client.answered_at

    def close(self) -> None:
        """Drop the connection; the next question opens another."""
        self._client.close()


def _epoch(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None


def _in_words(error: Exception) -> str:
    """One line that says what went wrong, whatever the layer that raised."""
    if isinstance(error, UnusableAnswer):
        return f"{error.errmsg}."
    if isinstance(error, ProtocolError):
        return f"HTTP {error.errcode} {error.errmsg}"
    text = without_passwords(" ".join(str(error).split())) or "no message"
    return f"{type(error).__name__}: {text[:300]}"
