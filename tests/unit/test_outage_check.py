"""What came out of the client is the site's trouble if the reading has it as well, and is held back until that is known."""

from __future__ import annotations

from typing import Any

import pytest

from callsheet.domain.delivery import Failure, Report, RunEnded, Verdict
from callsheet.errors import SiteError
from callsheet.services.outage_check import OutageCheck
from callsheet.services.site_health import SiteMonitor

STACK = 'File "/lib/shotgun_api3/shotgun.py", line 1 in _call_rpc'


class Reading:
    """A site's monitor, as the intake has it; ``answers`` is a question that it answered to the end."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.monitor = SiteMonitor("studio", "http://studio", longest=1, tries=3, clock=lambda: self.now, steady=lambda: self.now)
        self.doubts = 0

    def doubt(self) -> int:
        self.doubts += 1
        self.monitor.doubts += 1
        return self.monitor.doubts

    def lost(self, doubt: int, since: float) -> bool | None:
        return self.monitor.lost(doubt, since)

    def answers(self) -> None:
        self.monitor.cleared = self.monitor.doubts
        self.monitor.answered()

    def fails(self) -> None:
        self.monitor.failed(SiteError("no answer"))


@pytest.fixture
def reading() -> Reading:
    return Reading()


@pytest.fixture
def check(reading: Reading) -> OutageCheck:
    return OutageCheck(lambda site: reading if site == "studio" else None)


def report(run: int = 1, **more: Any) -> Report:
    said = {
        "verdict": Verdict.FAILED,
        "started": 990.0,
        "ended": 1000.0,
        "failure": Failure("KeyError", "entities"),
        "client": True,
    }
    return Report(run, 10 * run, **{**said, **more})


@pytest.mark.parametrize(
    "said",
    [
        report(client=False),
        report(verdict=Verdict.OK),
        report(verdict=Verdict.GIVE_UP),
        report(verdict=Verdict.CRASHED),
        report(passing=True),
        report(verdict=Verdict.TIMEOUT, client=False),
        report(failure=Failure("shotgun_api3.shotgun.Fault", "API update() no such field")),
    ],
)
def test_what_is_beyond_doubt_goes_on_at_once(check: OutageCheck, reading: Reading, said: Report) -> None:
    assert check.checked(said, "studio") == said
    assert (reading.doubts, check.settled()) == (0, [])


@pytest.mark.parametrize("text", ["This site is being moved.", "API update() not now: the site is in maintenance"])
def test_a_fault_of_the_site_is_in_doubt_unless_it_is_about_the_request(check: OutageCheck, text: str) -> None:
    assert check.checked(report(failure=Failure("shotgun_api3.shotgun.Fault", text)), "studio") is None


@pytest.mark.parametrize(
    "said",
    [
        report(),
        report(verdict=Verdict.RETRY),
        report(verdict=Verdict.TIMEOUT, client=False, failure=Failure("Timeout", "late", STACK)),
        report(failure=Failure("shotgun_api3.shotgun.Fault", "API update() no such field")),
    ],
)
def test_while_the_site_is_lost_it_passes(check: OutageCheck, reading: Reading, said: Report) -> None:
    reading.fails()
    assert check.checked(said, "studio") == said._replace(passing=True)


def test_it_passes_too_if_the_site_was_lost_meanwhile(check: OutageCheck, reading: Reading) -> None:
    reading.fails()
    reading.now += 5
    reading.answers()
    assert check.checked(report(started=1004.0), "studio") == report(started=1004.0, passing=True)
    assert check.checked(report(2, started=1006.0), "studio") is None


@pytest.mark.parametrize("lost", [True, False])
def test_what_is_in_doubt_waits_for_the_site_and_with_it_what_follows(check: OutageCheck, reading: Reading, lost: bool) -> None:
    first, shares, ended, other = report(), report(shares=True), RunEnded(1), report(2, client=False)
    assert [check.checked(one, "studio") for one in (first, shares, ended)] == [None, None, None]
    assert check.checked(other, "studio") == other, "another run does not wait"
    assert (reading.doubts, check.settled()) == (1, [])

    (reading.fails if lost else reading.answers)()

    given = check.settled()
    assert given == [first, shares, ended]
    assert [check.checked(one, "studio") for one in given] == [first._replace(passing=lost), shares._replace(passing=lost), ended]
    assert check.settled() == []


def test_an_older_answer_clears_no_doubt(check: OutageCheck, reading: Reading) -> None:
    reading.answers()
    assert check.checked(report(), "studio") is None
    reading.monitor.answered()  # to a question from before
    assert check.settled() == []


def test_at_the_end_what_nobody_found_out_passes(check: OutageCheck, reading: Reading) -> None:
    assert check.checked(report(), "studio") is None
    (given,) = check.settled(over=True)
    assert check.checked(given, "studio") == report(passing=True)


def test_of_a_site_that_nobody_reads_nothing_is_in_doubt(check: OutageCheck) -> None:
    assert check.checked(report(), "elsewhere") == report()
