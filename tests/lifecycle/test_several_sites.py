"""Two sites in one daemon: the same event ids, the same plugin names, and no mixing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet.domain.delivery import State
from callsheet.sandbox import Sandbox
from tests.support.studio import Studio
from tests.support.traces import Trace, noting

SITES = ("london", "montreal")


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Sandbox() as london, Sandbox() as montreal:
        studio = Studio(tmp_path, dict(zip(SITES, (london, montreal), strict=True)))
        for site in SITES:
            # What the plugin says of where it runs: its folder, and the site that it was handed a connection to.
            studio.write("plugin", noting(f"note({site!r} + ' ' + ctx.sg.base_url, event)", "lane='plugin'"), site=site)
        yield studio
    for daemon in studio.daemons:
        print(daemon.log[-10_000:])  # noqa: T201 - pytest shows it for tests that fail


def noted(trace: Trace, studio: Studio, site: str) -> list[int]:
    return trace.events("plugin", word=f"{site} {studio.sites[site].url}")


def test_two_sites_with_the_same_ids_and_plugin_names_do_not_mix(studio: Studio) -> None:
    london, montreal = studio.sites.values()
    with studio.started() as daemon:
        many, few = london.add_events(50), montreal.add_events(30)
        assert set(few) < set(many), "the same ids"

        daemon.until(lambda: studio.states() == {"done": 80})

        assert noted(studio.trace, studio, "london") == list(many)
        assert noted(studio.trace, studio, "montreal") == list(few)
        assert studio.site("london").cursor == many[-1]
        assert studio.site("montreal").cursor == few[-1]
        counted = [(one.site, one.event_id) for one in studio.deliveries(State.DONE)]
        assert sorted(counted) == sorted([*(("london", one) for one in many), *(("montreal", one) for one in few)])


def test_a_site_that_is_down_does_not_hold_up_the_other(studio: Studio) -> None:
    london, montreal = studio.sites.values()
    with studio.started() as daemon:
        london.stop()
        missed, others = london.add_events(10), montreal.add_events(10)
        daemon.until(lambda: noted(studio.trace, studio, "montreal") == list(others))
        daemon.until(lambda: studio.health("london").error)
        assert [trouble["what"].split(" (")[0] for trouble in studio.status()["trouble"]] == ["Site london"]
        london.start()
        daemon.until(lambda: noted(studio.trace, studio, "london") == list(missed))
        assert noted(studio.trace, studio, "montreal") == list(others)


def test_a_gap_of_one_site_is_none_of_the_other(studio: Studio) -> None:
    london, montreal = studio.sites.values()
    with studio.started() as daemon:
        london.withhold(next=1)
        late, *others = london.add_events(3)
        events = montreal.add_events(3)
        daemon.until(lambda: noted(studio.trace, studio, "montreal") == list(events))
        daemon.until(lambda: studio.site("london").gaps)
        assert studio.site("montreal").gaps == ()
        london.release(late)
        daemon.until(lambda: noted(studio.trace, studio, "london") == [*others, late])
        assert noted(studio.trace, studio, "montreal") == list(events)
