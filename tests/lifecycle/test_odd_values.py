"""Odd values from plugins, files and the site, all at once: those that they are of are told, and nobody else notices."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet.domain.delivery import DeliveryRow, State
from callsheet.domain.plugin import PluginState
from tests.support.gateway import Gateway
from tests.support.running import CALLSHEET, RunningDaemon
from tests.support.studio import Studio
from tests.support.traces import legacy, noting

HALF = r"caf\udce9"
"""As half characters are shown, and written in a plugin."""

ODD = f"""
import sys
from callsheet import GiveUp, Retry, Skip, on

TYPE = "Shotgun_Task_Change"

@on(TYPE, retry=1)
def raises(ctx): raise ValueError("{HALF} \\0")

@on(TYPE)
def skips(ctx): raise Skip("{HALF}")

@on(TYPE, retry=1)
def waits_for_ever(ctx): raise Retry(after=float("inf"))

@on(TYPE, retry=1, batch=5, lane="plugin")
def waits_for_a_text(contexts): contexts[0].retry(after="soon")

@on(TYPE, lane="meta.new_value,meta.entity_id")
def has_odd_lanes(ctx): note("done", ctx.event, "has_odd_lanes")

@on(TYPE, retry=1)
def has_odd_locals(ctx):
    number = 10 ** 6000
    raise LookupError(str(ctx.event["id"]))

def has_an_odd_name(ctx): note("done", ctx.event, "has_an_odd_name")

has_an_odd_name.__name__ = "{HALF}"
on(TYPE)(has_an_odd_name)
"""
CLOCK = legacy("time.time = lambda: float('nan')\nraise ValueError('what time is it?')", stop=False)
BROKEN = f"raise RuntimeError('no licence for {HALF}')"


@pytest.fixture
def gateway(studio: Studio) -> Iterator[Gateway]:
    with Gateway(studio.sandbox.url) as gateway:
        studio.configure(url=gateway.url)
        yield gateway


def write_all(studio: Studio) -> None:
    """The bystander, and all that is odd."""
    studio.write("bystander", noting(options="lane='plugin'", types=["*"]))
    studio.write("odd", ODD)
    studio.write("clock", CLOCK)
    studio.write("broken", BROKEN)
    source = studio.trace.source(noting(options="lane='plugin'"))
    Path(os.fsdecode(os.fsencode(studio.plugins) + b"/d\xe9mo.py")).write_text(source)


def change(studio: Studio, **meta: object) -> int:
    """A change of a task whose meta has that as well."""
    told = {"type": "attribute_change", "entity_type": "Task", "entity_id": 301, "new_value": "ip", **meta}
    return studio.sandbox.add_event("Shotgun_Task_Change", attribute_name="sg_status_list", meta=told)


def odd_events(studio: Studio, gateway: Gateway) -> list[int]:
    """Events that the gateway makes odd on their way; the ids of those that can be taken."""
    deep = "[" * 3_000 + "]" * 3_000
    gateway.rewritten = {
        b'"DEEP"': deep.encode(),
        b"Shotgun_Odd_Change": rb"Shotgun_\ud83c_Change",
        b'"HALF"': rb'"\ud83c"',
        b'"NUL"': rb'"a\u0000b"',
        b'"HUGE"': str(2**70).encode(),
        b'"NAN"': b"NaN",
        b'"LONG"': b'"' + b"x" * 200_000 + b'"',
    }
    ids = [change(studio, new_value=word) for word in ("DEEP", "HALF", "NUL", "HUGE", "NAN", "LONG")]
    ids.append(change(studio, entity_id="HUGE"))
    ids.append(studio.sandbox.add_event("Shotgun_Odd_Change", project=None))
    return ids


def of(studio: Studio, callback: str, event: int) -> DeliveryRow:
    (row,) = [one for one in studio.deliveries(event_id=event) if one.callback == callback]
    return row


def all_is_told(studio: Studio, event: int) -> bool:
    """Whether each odd callback has come to its end for that event."""
    ends = {"raises", "skips", "waits_for_ever", "waits_for_a_text", "has_odd_lanes", "has_odd_locals", HALF, "first"}
    return ends <= {one.callback for one in studio.deliveries(State.DEAD, State.SKIPPED, State.DONE, event_id=event)}


def printed(studio: Studio, *arguments: str, encoding: str) -> str:
    """What a command prints where the terminal has that encoding."""
    environ = {**os.environ, **studio.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environ |= {"PYTHONIOENCODING": encoding, "COLUMNS": "200"}
    words, *rest = arguments
    line = [*CALLSHEET, words, str(studio.config), *rest]
    done = subprocess.run(line, capture_output=True, check=False, env=environ)
    assert b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
    assert done.returncode in (0, 1), done.stderr.decode(errors="replace")
    return done.stdout.decode("latin-1" if encoding == "latin-1" else "utf-8")


@pytest.mark.timeout(180)
def test_odd_values_of_some_stop_nobody_else_over_restarts(studio: Studio, gateway: Gateway) -> None:
    write_all(studio)
    with studio.started() as daemon:
        first = change(studio)
        daemon.until(lambda: studio.trace.events("bystander") == [first])
        daemon.until(lambda: all_is_told(studio, first))
        odd = odd_events(studio, gateway)
        daemon.until(lambda: studio.trace.events("bystander") == [first, *odd], 60)
        assert_all_is_told(studio, daemon, first, odd)

        # A newest event whose id no ledger holds comes with each page
        gateway.rewritten[b'"id":%d' % (odd[-1] + 1)] = b'"id":%d' % 2**70
        change(studio)
        daemon.until(lambda: daemon.said(f"Event {2**70} is passed by for all plugins"))
        assert daemon.stop() == 0

    del gateway.rewritten[b'"id":%d' % (odd[-1] + 1)]
    with studio.start() as daemon:
        last = change(studio)
        daemon.until(lambda: studio.trace.events("bystander") == [first, *odd, odd[-1] + 1, last], 60)
        daemon.until(lambda: all_is_told(studio, last))
        assert not daemon.said("Unexpected error")
        daemon.until(lambda: studio.status()["daemon"]["running"])
        assert_all_is_shown(studio, first)
        assert daemon.stop() == 0


def assert_all_is_told(studio: Studio, daemon: RunningDaemon, first: int, odd: list[int]) -> None:
    assert not daemon.said("Unexpected error")
    assert (row := of(studio, "raises", first)).state is State.DEAD
    assert row.failure is not None
    assert row.failure.text == rf"{HALF} \x00"
    assert of(studio, "skips", first).state is State.SKIPPED
    for callback in ("waits_for_ever", "waits_for_a_text"):
        failed = of(studio, callback, first)
        assert failed.state is State.DEAD
        assert failed.failure is not None
        assert "from now, so 0 or more, and 100 years at most" in failed.failure.text
    assert of(studio, HALF, first).state is State.DONE
    daemon.until(lambda: studio.trace.events("odd", callback="has_odd_lanes") and all_is_told(studio, odd[-2]))
    assert sorted(studio.trace.events("odd", callback="has_odd_lanes")) == [first, *odd[:-1]]
    daemon.until(lambda: studio.trace.events("d\udce9mo") == [first, *odd[:-1]])
    assert daemon.said(f"Event {odd[0]} is handed on without what can't be taken of it: it is nested deeper than 100 levels.")
    broken = studio.plugin("broken")
    assert broken is not None
    assert broken.state is PluginState.BROKEN
    assert f"RuntimeError: no licence for {HALF}" in broken.problem
    clock = of(studio, "first", first)
    assert clock.state is State.DEAD
    assert clock.started_at is not None


def assert_all_is_shown(studio: Studio, first: int) -> None:
    number = str(of(studio, "raises", first).id)
    for encoding in ("ascii", "latin-1", "utf-8"):
        assert f"no licence for {HALF}" in printed(studio, "status", encoding=encoding)
        assert r"d\udce9mo" in printed(studio, "plugins", encoding=encoding)
        assert rf"ValueError: {HALF}" in printed(studio, "deliveries", "--plugin", "odd", encoding=encoding)
        assert rf"{HALF} \x00" in printed(studio, "deliveries", number, encoding=encoding)
        for command in ("status", "plugins", "deliveries"):
            json.loads(printed(studio, command, "--json", encoding=encoding))
    by_name = printed(studio, "deliveries", "--plugin", os.fsdecode(b"d\xe9mo"), "--json", encoding="utf-8")
    assert [one["event_id"] for one in json.loads(by_name)][-1] == first
