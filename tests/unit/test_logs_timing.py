"""The timing log, as shotgunEvents writes it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from callsheet.domain.delivery import State
from callsheet.logs.timing_log import TimingLog, line, pretty
from callsheet.settings import LogSettings
from callsheet.telemetry import emit, listening

SETTLED: dict[str, Any] = {
    "site": "s",
    "plugin": "follow",
    "callback": "shot_follows",
    "event_id": 7,
    "delivery_id": 1,
    "state": State.DONE.word,
    "attempts": 1,
    "started": 1_795_318_812.5,
    "ended": 1_795_318_813.0,
    "created_at": "2026-11-22T03:40:10Z",
    "error": False,
    "due": None,
    "legacy": True,
}


@pytest.fixture
def los_angeles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("los_angeles")
def test_line_is_the_one_of_shotgun_events_in_local_time() -> None:
    assert line(SETTLED) == (
        "event_id=7 created_at=2026-11-21T19:40:10-08:00 callback=follow.shot_follows start=2026-11-21T19:40:12.500000-08:00 "
        "end=2026-11-21T19:40:13-08:00 duration=00:00:00:00.500000 error=False delay=00:00:00:02.500000"
    )


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        (timedelta(days=1, hours=2, minutes=3, seconds=4, microseconds=5), "01:02:03:04.000005"),
        (timedelta(seconds=-0.5), "-1:23:59:59.500000"),
        (timedelta(days=120), "120:00:00:00.000000"),
    ],
)
def test_durations_have_the_shape_of_the_reference(delta: timedelta, text: str) -> None:
    assert pretty(delta) == text


@pytest.mark.parametrize("created", [None, "", "yesterday", "0001-01-01T00:00:00", 1e300, float("nan"), ["a"]])
def test_event_without_a_usable_time_still_gets_its_line(created: object) -> None:
    assert " created_at=unknown " in line({**SETTLED, "created_at": created})


def test_each_callback_that_ran_has_its_line_in_the_file(tmp_path: Path) -> None:
    timing = TimingLog(LogSettings(path=tmp_path, file="daemon", timing=True))
    emit("delivery.settled", **SETTLED)
    emit("delivery.settled", **{**SETTLED, "event_id": 8, "error": True, "state": State.RETRYING.word, "legacy": False})
    emit("delivery.settled", **{**SETTLED, "event_id": 9, "state": State.SKIPPED.word})
    emit("delivery.settled", **{**SETTLED, "event_id": 10, "state": State.SKIPPED.word, "started": None, "ended": None})
    timing.close()

    lines = (tmp_path / "daemon.timing").read_text().splitlines()
    assert [re.findall(r"timing - INFO - event_id=(\d+) .* error=(\w+)", one) for one in lines] == [
        [("7", "False")],
        [("8", "True")],
    ]
    assert not listening("delivery.settled")
