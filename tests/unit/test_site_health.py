"""How a site is, as its reading tells it."""

from __future__ import annotations

from callsheet.errors import SiteError
from callsheet.services.site_health import SLOW_ANSWER, SiteMonitor


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_question_without_an_answer_is_told_before_its_time_out() -> None:
    clock = Clock()
    monitor = SiteMonitor("studio", "http://studio", longest=1, tries=3, clock=clock, steady=clock)
    with monitor.asking():
        clock.now += SLOW_ANSWER
        assert monitor.health(7).error is None
        clock.now += 1
        health = monitor.health(7)
        assert health.error == "http://studio: asked 21 s ago, and there is no whole answer yet"
        assert health.error_since == clock.now - 21
        # A page came, and the next one is asked for
        monitor.answered()
        clock.now += 2
        assert monitor.health(7).error is None
    clock.now += 100
    assert monitor.health(7).error is None, "nothing is asked"


def test_what_failed_says_more() -> None:
    clock = Clock()
    monitor = SiteMonitor("studio", "http://studio", longest=1, tries=3, clock=clock, steady=clock)
    monitor.failed(SiteError("no route"))
    with monitor.asking():
        clock.now += 2 * SLOW_ANSWER
        assert monitor.health(7).error == "no route"
