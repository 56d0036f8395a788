"""A site that is down or out of its mind: the daemon says so, leaves it in peace, and catches up."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from callsheet.sandbox import Sandbox
from tests.support.running import RunningDaemon
from tests.support.studio import Studio
from tests.support.traces import noting

LONGEST_PAUSE = 0.2
TIMEOUT = 0.3
ATTEMPTS = re.compile(r"^(?:\S+ \S+ )?(\w+):engine:Unable to connect to SG \(attempt (\d+) of (\d+)\): (.*)$", re.MULTILINE)
FAULTS: dict[str, tuple[Callable[[Sandbox], object], str]] = {
    "slow": (lambda site: site.faults.slow(TIMEOUT * 3), "timed out"),
    "500": (lambda site: site.faults.status(500), "HTTP 500"),
    "502": (lambda site: site.faults.status(502), "HTTP 502"),
    "503": (lambda site: site.faults.status(503), "HTTP 503"),
    "429": (lambda site: site.faults.status(429, retry_after=1), "HTTP 429"),
    "hang": (lambda site: site.faults.hang(), "timed out"),
    "drop-before": (lambda site: site.faults.drop(), "closed connection"),
    "drop-after": (lambda site: site.faults.drop(after=True), "closed connection"),
    "truncate": (lambda site: site.faults.truncate(), "IncompleteRead"),
    "garble": (lambda site: site.faults.garble(), "isn't the API's"),
    "html": (lambda site: site.faults.html(), "isn't the API's"),
    "refuse": (lambda site: site.faults.refuse("This site is being moved."), "This site is being moved."),
}


def attempts(daemon: RunningDaemon) -> list[tuple[str, int, int, str]]:
    """Level, number, of how many, and text of each attempt told in the log."""
    return [(level, int(number), int(of), text) for level, number, of, text in ATTEMPTS.findall(daemon.log)]


def assert_left_in_peace(studio: Studio, daemon: RunningDaemon) -> None:
    """Whatever fails, there are few requests: no more than pauses of half the longest allow, and two per attempt."""
    before, began = sum(studio.sandbox.requests().values()), time.monotonic()
    seen = len(attempts(daemon))
    daemon.until(lambda: len(attempts(daemon)) >= seen + 2)
    lasted = time.monotonic() - began
    assert sum(studio.sandbox.requests().values()) - before <= 2 * (lasted / (LONGEST_PAUSE / 2) + 2)


def assert_caught_up(studio: Studio, daemon: RunningDaemon, events: range) -> None:
    daemon.until(lambda: studio.trace.events("plugin") == list(events))
    daemon.until(lambda: studio.health().error is None)
    assert daemon.said("Connected to SG again after")


@pytest.fixture
def impatient(studio: Studio) -> Studio:
    """The studio, in which a site that is silent for half a second counts as down."""
    studio.configure(timeout=TIMEOUT, retry_sleep=LONGEST_PAUSE, retries=3)
    studio.write("plugin", noting(options="lane='plugin'"))
    return studio


@pytest.mark.parametrize("fault", FAULTS)
def test_a_site_that_fails_is_told_left_in_peace_and_caught_up_with(impatient: Studio, fault: str) -> None:
    studio = impatient
    # Given a daemon that reads
    with studio.started() as daemon:
        # When the site fails, and events are written meanwhile
        fail, words = FAULTS[fault]
        fail(studio.sandbox)
        events = studio.sandbox.add_events(30)

        # Then it says so at once, and in status
        level, number, of, text = daemon.until(lambda: attempts(daemon), timeout=5)[0]
        assert (level, number, of) == ("WARNING", 1, 3)
        assert words in text
        assert studio.sandbox.url in text
        daemon.until(lambda: studio.health().error, timeout=5)
        status = studio.status()
        assert status["sites"][0]["answers"] is False
        assert not status["well"]
        assert "Site studio" in status["trouble"][0]["what"]
        # And does not hammer it
        assert_left_in_peace(studio, daemon)
        daemon.until(lambda: len(attempts(daemon)) >= 4)
        assert [number for _, number, _, _ in attempts(daemon)[:4]] == [1, 2, 3, 1]
        assert attempts(daemon)[2][0] == "ERROR"

        # When it answers again, nothing was lost
        studio.sandbox.faults.clear()
        assert_caught_up(studio, daemon, events)
        assert not daemon.said("Unexpected error")
        assert daemon.stop() == 0


def test_a_daemon_starts_while_its_site_is_down_and_catches_up(impatient: Studio) -> None:
    studio = impatient
    studio.drain()  # it was there once, so it knows where to go on
    events = studio.sandbox.add_events(30)
    studio.sandbox.stop()
    with studio.start() as daemon:
        daemon.until(lambda: len(attempts(daemon)) >= 3, timeout=10)
        assert "refused" in attempts(daemon)[0][3]
        daemon.until(lambda: studio.health().error)
        assert studio.sandbox.url in studio.status()["trouble"][0]["what"]

        studio.sandbox.start()

        assert_caught_up(studio, daemon, events)


def test_a_wrong_key_is_an_error_at_once_that_names_the_cure(impatient: Studio) -> None:
    studio = impatient
    studio.sandbox.faults.refuse("Can't authenticate script 'callsheet_demo'", code=102, method="read")
    with studio.start() as daemon:
        level, _, _, text = daemon.until(lambda: attempts(daemon), timeout=5)[0]
        assert level == "ERROR"
        assert "check the script's name, key and permissions" in text
        assert studio.sandbox.key not in daemon.log
        daemon.until(lambda: studio.health().error)
        assert "refuses" in studio.status()["trouble"][0]["what"]
        assert_left_in_peace(studio, daemon)
        # A first start begins at the newest event of the time when the site lets it in.
        studio.sandbox.faults.clear()
        daemon.until(lambda: studio.site().cursor is not None)
        events = studio.sandbox.add_events(3)
        daemon.until(lambda: studio.trace.events("plugin") == list(events))


def test_room_that_plugins_make_does_not_wake_a_failing_site(impatient: Studio) -> None:
    # Given a plugin with too much waiting, which ends one delivery after another, beside one that waits for the site
    studio = impatient
    studio.configure(timeout=TIMEOUT, retry_sleep=2, most_waiting=100, page=100)
    studio.write("plugin", noting("if not flag('quick'): time.sleep(0.02)", "lane='plugin'"))
    studio.write("fast", noting())
    events = studio.sandbox.add_events(300)
    with studio.start("--from", str(events[0])) as daemon:
        daemon.until(lambda: set(studio.trace.events("fast")) == set(events))
        # When the site fails
        studio.sandbox.faults.status(500)
        done = len(studio.trace.events("plugin"))
        daemon.until(lambda: attempts(daemon))
        before, seen = sum(studio.sandbox.requests().values()), len(attempts(daemon))
        daemon.until(lambda: len(studio.trace.events("plugin")) >= done + 50)
        # Then it is asked as seldom as if nothing else happened
        assert sum(studio.sandbox.requests().values()) - before <= 2 * (len(attempts(daemon)) - seen + 1)
        assert len(attempts(daemon)) - seen < 10
        studio.trace.raise_flag("quick")
        studio.sandbox.faults.clear()
        daemon.until(lambda: studio.trace.events("plugin") == list(events))


@pytest.mark.parametrize("fault", ["503", "hang"])
def test_sigterm_ends_a_daemon_whose_site_fails(impatient: Studio, fault: str) -> None:
    studio = impatient
    studio.configure({"grace": 1}, timeout=60 if fault == "hang" else TIMEOUT, retry_sleep=60)
    with studio.started() as daemon:
        FAULTS[fault][0](studio.sandbox)
        before = sum(studio.sandbox.requests().values())
        daemon.until(lambda: sum(studio.sandbox.requests().values()) > before if fault == "hang" else attempts(daemon))

        assert daemon.stop(timeout=4) == 0


def test_sigterm_ends_a_daemon_that_waits_for_several_pages_at_once(impatient: Studio) -> None:
    # Given a daemon far behind, all of whose requests hang
    studio = impatient
    studio.configure({"grace": 1}, timeout=60, page=10)
    events = studio.sandbox.add_events(500)
    studio.sandbox.faults.hang(skip=4)
    with studio.start("--from", str(events[0])) as daemon:
        daemon.until(lambda: studio.trace.events("plugin"))
        daemon.until(lambda: sum(studio.sandbox.requests().values()) >= 7)

        assert daemon.stop(timeout=4) == 0


def test_a_drain_does_not_wait_for_a_site_that_refuses(studio: Studio) -> None:
    studio.configure(script="nobody")
    studio.write("plugin", noting())
    log = studio.drain(code=1)
    assert "a drain does not wait for it" in log
    assert "has not answered" in log, "the trouble is told at the end, with its cure"


def test_a_drain_does_not_wait_for_a_site_that_is_down_and_the_next_one_has_all(studio: Studio) -> None:
    studio.configure(retries=2)
    studio.write("plugin", noting())
    studio.drain()
    events = studio.sandbox.add_events(5)
    studio.sandbox.stop()
    assert "a drain does not wait for it" in studio.drain(code=1)
    studio.sandbox.start()
    studio.drain()
    assert studio.trace.events("plugin") == list(events)
