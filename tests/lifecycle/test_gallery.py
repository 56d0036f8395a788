"""One daemon with a plugin for each kind of trouble, and two well-behaved neighbours that must notice nothing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from callsheet.domain.delivery import State
from callsheet.domain.overview import BACKING_OFF, WorkerRow
from callsheet.domain.plugin import PluginState
from tests.support.gallery import GALLERY, HEALTHY, TROUBLED
from tests.support.running import RunningDaemon
from tests.support.studio import Studio
from tests.support.traces import legacy, noting

EVENTS = 200
NEIGHBOURS = ("a_neighbour", "z_neighbour")
"""The first and the last of all plugins to be loaded."""


@contextmanager
def opened(studio: Studio, workers: Mapping[str, Any]) -> Iterator[RunningDaemon]:
    """A daemon over all exhibits, which misbehave at the event that comes next."""
    studio.configure({"crew.loading": "3s", "crew.memory": "100MB", **{f"crew.{name}": value for name, value in workers.items()}})
    first = studio.sandbox.add_event("Shotgun_Project_Change") + 1
    for name, exhibit in GALLERY.items():
        studio.write(name, f"FIRST = {first}\n{exhibit.source}")
    studio.write(NEIGHBOURS[0], legacy())
    studio.write(NEIGHBOURS[1], noting(options="lane='plugin'"))
    with studio.started() as daemon:
        yield daemon
        # What forked children and programs of the plugins wait for.
        studio.trace.raise_flag("over")


def got_all(studio: Studio, plugin: str, events: tuple[int, ...]) -> bool:
    """Whether the plugin got all events; fails as soon as it got others, or in another order."""
    seen = studio.trace.events(plugin)
    assert seen == list(events[: len(seen)]), f"{plugin} got other events than these, or in another order"
    return len(seen) == len(events)


def all_is_known(studio: Studio) -> bool:
    """Whether the ledger has come to know what is wrong with each exhibit."""
    for name in TROUBLED:
        exhibit = GALLERY[name]
        plugin = studio.plugin(name)
        if plugin is None or (exhibit.why and not studio.deliveries(State.HELD, State.DEAD, plugin=name)):
            return False
        if exhibit.told and not exhibit.why and plugin.state is not PluginState.BROKEN:
            return False
    called = {worker.plugins: worker.call for worker in workers(studio)}
    return all(called.get((name,)) for name in TROUBLED if GALLERY[name].noted)


def assert_all_is_told(studio: Studio) -> None:
    """`status`, `workers` and `deliveries` name each exhibit in trouble, say why, and what to do."""
    troubles = [f"{one['what']} {one['next']}" for one in studio.status()["trouble"]]
    workers = {tuple(one["plugins"]): one for one in json.loads(studio.command("workers", "--json").stdout)}
    failed = json.loads(studio.command("deliveries", "--state", "held", "--state", "dead", "--failures", "--json").stdout)
    for name in TROUBLED:
        exhibit = GALLERY[name]
        mine = [one for one in troubles if f"--plugin {name} " in one or f"Fix {studio.plugins / name}.py" in one]
        assert not exhibit.told or any(exhibit.told in one for one in mine), (name, mine)
        said = ["\n".join(map(str, one["failure"].values())) for one in failed if one["plugin"] == name]
        assert not exhibit.why or any(exhibit.why in one for one in said), (name, said)
        assert not exhibit.noted or exhibit.noted in workers[(name,)]["call"], name


@pytest.mark.timeout(240)
def test_no_plugin_in_trouble_holds_up_another_and_each_is_told(studio: Studio) -> None:
    # Given a plugin for each kind of trouble, and two that are well
    with opened(studio, {}) as daemon:
        began = time.monotonic()
        events = tuple(studio.sandbox.add_events(EVENTS))

        # Then the two get every event, in order, while those in trouble have not finished one
        for name in NEIGHBOURS:
            daemon.until(partial(got_all, studio, name, events), 120)
        stuck = [name for name in GALLERY if name not in HEALTHY or name.startswith("floods")]
        assert [name for name in stuck if len(studio.trace.events(name)) >= EVENTS] == []
        print(f"{len(GALLERY)} plugins in trouble: the neighbours had {EVENTS} events in {time.monotonic() - began:.1f} s")  # noqa: T201

        # And each is told, with what to do
        daemon.until(partial(all_is_known, studio), 60)
        assert_all_is_told(studio)

        # And those that did nothing but odd things get every event as well
        studio.trace.raise_flag("dry")
        for name in HEALTHY:
            daemon.until(partial(got_all, studio, name, events), 120)
        assert daemon.stop(60) == 0


@pytest.mark.timeout(300)
def test_with_few_workers_and_a_timeout_all_get_through(studio: Studio) -> None:
    # Given the same in two workers, which a call may block, and a timeout that ends such calls
    with opened(studio, {"workers": 2, "timeout": "2s"}) as daemon:
        began = time.monotonic()
        events = tuple(studio.sandbox.add_events(EVENTS))

        # Then the neighbours get every event, in order, though they wait for those that they share a worker with
        for name in NEIGHBOURS:
            daemon.until(partial(got_all, studio, name, events), 200)
        print(f"two workers for {len(GALLERY) + 2} plugins: {EVENTS} events in {time.monotonic() - began:.1f} s")  # noqa: T201
        assert daemon.stop(60) == 0


def test_a_plugin_that_takes_down_every_worker_waits_longer_and_longer_and_its_cure_works_at_once(studio: Studio) -> None:
    # Given a plugin that ends its worker at every event, and goes on behind each
    studio.write("deadly", legacy("os._exit(7)", stop=False))
    studio.write("well", legacy())
    with studio.started() as daemon:
        events = tuple(studio.sandbox.add_events(100))
        daemon.until(partial(got_all, studio, "well", events))

        # Then it is started ever later, and `status` says so, and what to do
        daemon.until(lambda: len(re.findall(r"The worker of deadly died \d+ times in a row", daemon.log)) >= 2, 60)
        daemon.until(lambda: any(one.state == BACKING_OFF for one in workers(studio)))
        assert len(studio.deliveries(State.DEAD)) < len(events)

        # When it is fixed, then it is started at once, and goes on with what is left
        dead = len(studio.deliveries(State.DEAD))
        studio.write("deadly", legacy(stop=False))
        daemon.until(lambda: studio.waiting("deadly") == 0)
        assert dead <= len(studio.deliveries(State.DEAD)) <= dead + 1
        assert studio.trace.events("deadly") == [one for one in events if one in studio.trace.events("deadly")]
        daemon.until(lambda: not [one for one in workers(studio) if one.state == BACKING_OFF])  # told once a second


def workers(studio: Studio) -> tuple[WorkerRow, ...]:
    """What the daemon said last of its workers."""
    with studio.ledger() as ledger:
        return ledger.overview().workers
