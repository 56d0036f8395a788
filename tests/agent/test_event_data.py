"""Times as shotgun_api3 itself converts them: it is the yardstick."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from typing import Any

import pytest
import shotgun_api3.shotgun as api
from hypothesis import given
from hypothesis import strategies as some

from callsheet.agent.event_data import KEYS, handed_over, local

stamps = some.integers(0, 2**31 - 1).map(lambda one: dt.datetime.fromtimestamp(one, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
texts = some.one_of(stamps, some.text(max_size=25), some.just("2026-13-45T03:40:10Z"), some.just("2026-11-22T03:40:60Z"))
metas = some.recursive(
    some.one_of(some.none(), some.booleans(), some.integers(), texts),
    lambda inner: some.one_of(some.lists(inner, max_size=3), some.dictionaries(texts, inner, max_size=3)),
)


@pytest.fixture(scope="module")
def sg() -> Any:
    return api.Shotgun("http://127.0.0.1:9", "script", "key", connect=False)


@given(metas)
def test_an_event_reads_as_shotgun_api3_gives_it(sg: Any, meta: Any) -> None:
    data = {"type": "EventLogEntry", "id": 5, "created_at": "2026-07-01T03:40:10Z", "meta": meta, "other": 1}
    expected = sg._transform_inbound(json.loads(json.dumps(data)))

    event = handed_over(json.loads(json.dumps(data)))

    assert tuple(event) == KEYS
    assert event["meta"] == expected["meta"]
    assert event["created_at"] == expected["created_at"]
    assert event["created_at"].tzinfo is api.SG_TIMEZONE.local
    assert event["entity"] is None


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_times_are_right_around_a_change_of_clocks(zone: str) -> None:
    # The zone of a process is fixed at its start.
    script = """if True:
        import datetime as dt, shotgun_api3
        from callsheet.agent.event_data import local
        sg = shotgun_api3.Shotgun("http://127.0.0.1:9", "script", "key", connect=False)
        for month in range(1, 13):
            for hour in range(0, 28 * 24 * 2):
                at = dt.datetime(2026, month, 1) + dt.timedelta(minutes=30 * hour, seconds=hour % 60)
                text = at.strftime("%Y-%m-%dT%H:%M:%SZ")
                there = sg._transform_inbound(text)
                here = local(text)
                assert here.isoformat() == there.isoformat(), text
    """
    subprocess.run([sys.executable, "-c", script], env={"TZ": zone, "PYTHONPATH": ":".join(sys.path)}, check=True)


@pytest.mark.parametrize(
    "text", ["2026-W47-7T03:40:10Z", "2026-11-22 03:40:10Z", "2026-11-22T03:40:10z", "aaaaaaaaaaaaaaaaaaaZ", ""]
)
def test_what_is_no_time_stays_text(text: str) -> None:
    assert local(text) == text
