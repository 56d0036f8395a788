"""Which deliveries a command is about: the options that ``deliveries``, ``retry`` and ``skip`` share, made into a DeliveryQuery."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from callsheet.cli.words import since as moment
from callsheet.desk import DeliveryQuery
from callsheet.model import State

STATES = [state.word for state in State]
NO_LIMIT = 2**31 - 1
"""Commands that change deliveries change all that are meant, however many."""

_OPTIONS = (
    click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="In that state; may be given several times."),
    click.option("--plugin", help="Of that plugin: its name, or SITE/NAME."),
    click.option("--site", help="Of that site."),
    click.option("--lane", help="Of that lane, as `deliveries ID` shows it."),
    click.option("--event", type=int, metavar="ID", help="Of that event."),
    click.option("--since", metavar="WHEN", help="Recorded since then: an age (90s, 10min, 2h, 3d) or an ISO date or time."),
)


def selection(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``[CONFIG] [ID]...`` and the options above."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return click.argument("config_and_ids", nargs=-1, metavar="[CONFIG] [ID]...")(function)


def split(config_and_ids: tuple[str, ...]) -> tuple[str | None, tuple[int, ...]]:
    """CONFIG and the ids of ``[CONFIG] [ID]...``: whatever is a number is an id (a file of that name is ``./412``)."""
    config = None if not config_and_ids or config_and_ids[0].isdigit() else config_and_ids[0]
    ids = config_and_ids if config is None else config_and_ids[1:]
    wrong = [one for one in ids if not one.isdigit()]
    if wrong:
        raise click.UsageError(
            f"{wrong[0]!r} is not a delivery's id. CONFIG comes first, then ids; `callsheet deliveries` shows them."
        )
    return config, tuple(map(int, ids))


def query(
    ids: tuple[int, ...],
    *,
    states: tuple[str, ...],
    plugin: str | None,
    site: str | None,
    lane: str | None,
    event: int | None,
    since: str | None,
    limit: int = NO_LIMIT,
    failures: bool = False,
) -> DeliveryQuery:
    """The deliveries for which all of it holds. Raises click.UsageError for a ``since`` that can't be understood."""
    named_site, name = named(plugin)
    return DeliveryQuery(
        states=tuple(State[word.upper()] for word in states),
        site=site or named_site,
        plugin=name,
        lane=lane,
        event_id=event,
        ids=ids,
        since=_moment(since),
        limit=limit,
        failures=failures,
    )


def named(plugin: str | None) -> tuple[str | None, str | None]:
    """Site and name of ``SITE/NAME``; the site is None where only the name was given."""
    if plugin is None:
        return None, None
    site, _, name = plugin.rpartition("/")
    return site or None, name


def _moment(since: str | None) -> float | None:
    if since is None:
        return None
    try:
        return moment(since, time.time())
    except ValueError:
        raise click.UsageError(f"--since {since!r} is neither an age (90s, 10min, 2h, 3d) nor an ISO date or time.") from None
