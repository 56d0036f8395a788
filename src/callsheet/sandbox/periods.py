"""Periods of time in filters: so long ago, so far ahead, and days, weeks, months and years of the calendar. All in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_UNITS = {"HOUR": timedelta(hours=1), "DAY": timedelta(days=1), "WEEK": timedelta(weeks=1)}
_MONTHS = {"MONTH": 1, "YEAR": 12}


def around(number: int, unit: str, now: float) -> tuple[datetime, datetime]:
    """From now to ``number`` units away, the earlier first; KeyError for a unit there is none of."""
    here = datetime.fromtimestamp(now, UTC)
    there = here + number * _UNITS[unit] if unit in _UNITS else _months_on(here, number * _MONTHS[unit])
    return min(here, there), max(here, there)


def calendar(unit: str, offset: int, now: datetime) -> tuple[datetime, datetime]:
    """The first and the last second of the day, week (from Monday), month or year that lies ``offset`` from now's."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "day":
            start = day + timedelta(days=offset)
            end = start + timedelta(days=1)
        case "week":
            start = day - timedelta(days=day.weekday()) + timedelta(weeks=offset)
            end = start + timedelta(weeks=1)
        case "month":
            start = _months_on(day.replace(day=1), offset)
            end = _months_on(start, 1)
        case _:
            start = _months_on(day.replace(month=1, day=1), 12 * offset)
            end = _months_on(start, 12)
    return start, end - timedelta(seconds=1)


def _months_on(when: datetime, months: int) -> datetime:
    """The same day of the month that many months on, or the last day that this month has."""
    year, month = divmod(when.year * 12 + when.month - 1 + months, 12)
    for day in range(when.day, 0, -1):
        try:
            return when.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    raise OverflowError(f"no year {year}")
