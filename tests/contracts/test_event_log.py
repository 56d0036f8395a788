"""Both adapters of the EventLog port keep its contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from callsheet.ports import EventLog
from callsheet.sandbox import Sandbox
from callsheet.site.event_log import SiteEventLog
from callsheet.site.prefetch import Prefetch
from tests.contracts.event_log import SITE, EventLogContract


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A site with nothing on it, and an empty event log."""
    with Sandbox(show=False) as sandbox:
        yield sandbox


class TestSiteEventLog(EventLogContract):
    @pytest.fixture
    def log(self, sandbox: Sandbox, timeout: float) -> Iterator[EventLog]:
        log = SiteEventLog(SITE, sandbox.url, sandbox.script, sandbox.key, timeout=timeout)
        yield log
        log.close()

    @pytest.fixture
    def refused(self, sandbox: Sandbox, timeout: float) -> EventLog:
        return SiteEventLog(SITE, sandbox.url, sandbox.script, "not the key", timeout=timeout)


class TestReadAhead(EventLogContract):
    @pytest.fixture
    def log(self, sandbox: Sandbox, timeout: float) -> Iterator[EventLog]:
        log = Prefetch(lambda: SiteEventLog(SITE, sandbox.url, sandbox.script, sandbox.key, timeout=timeout))
        yield log
        log.close()

    @pytest.fixture
    def refused(self, sandbox: Sandbox, timeout: float) -> EventLog:
        return Prefetch(lambda: SiteEventLog(SITE, sandbox.url, sandbox.script, "not the key", timeout=timeout))
