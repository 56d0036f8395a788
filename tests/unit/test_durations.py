"""One grammar for durations, wherever they are written."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callsheet import Retry
from callsheet.agent.api import gather, on
from callsheet.config.kinds import Duration, ParseContext
from callsheet.report.formatting import since
from callsheet.wire.durations import seconds_of, written

MEANT = {"90": 90.0, "500ms": 0.5, "30 s": 30.0, "2m": 120.0, "2min": 120.0, "1.5h": 5400.0, "14d": 1_209_600.0, "1w": 604_800.0}
NO_TIME = ("", "soon", "5 parsecs", "-5s", "1h30m", "2M", True, None, [5])


@pytest.mark.parametrize("text", MEANT)
def test_all_places_read_the_same(text: str) -> None:
    seconds = MEANT[text]
    assert seconds_of(text) == seconds
    assert Retry(after=text).after == seconds
    assert Duration(0, 1e9).parse(text, ParseContext(Path(), {})) == seconds
    assert since(text, 1e9) == 1e9 - seconds
    with gather() as rules:
        on("*", timeout=text, settle=text, retry={"first": text, "max_age": text})(lambda ctx: None)
    (rule,) = rules
    assert (rule.timeout, rule.settle, rule.retry) == (seconds, seconds, {"first": seconds, "max_age": seconds})


@pytest.mark.parametrize("value", NO_TIME)
def test_what_is_no_time_is_none_anywhere(value: Any) -> None:
    assert seconds_of(value) is None
    if value is not None:
        with pytest.raises(ValueError, match=r"timeout=.*such as"):
            on("*", timeout=value)
        with pytest.raises(ValueError, match=r"Retry\(after=.*such as"):
            Retry(after=value)


def test_numbers_are_seconds() -> None:
    assert [seconds_of(one) for one in (5, 0.5, -1)] == [5.0, 0.5, -1.0]
    assert seconds_of(Decimal(5)) is None  # no Real, and nothing that a plugin would write


@pytest.mark.parametrize(("seconds", "text"), [(0, "0"), (300, "5m"), (90, "90s"), (86400, "1d"), (0.5, "500ms")])
def test_a_duration_is_written_in_its_largest_whole_unit(seconds: float, text: str) -> None:
    assert written(seconds) == text


def test_a_number_where_the_reason_belongs_is_refused_with_what_was_meant() -> None:
    with pytest.raises(TypeError, match=r"Retry\(60\): what comes first is the reason, a text. Write Retry\(after=60\)."):
        Retry(60)  # type: ignore[arg-type] # as authors write it
    assert str(Retry("60 frames are missing")) == "60 frames are missing"
