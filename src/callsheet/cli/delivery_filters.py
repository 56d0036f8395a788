"""Which deliveries a command is about: the options that ``deliveries``, ``retry`` and ``skip`` share, made into a DeliveryQuery."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from callsheet.domain.delivery import NO_LIMIT, DeliveryQuery, State
from callsheet.report.formatting import since as moment
from callsheet.wire.texts import storable

STATES = [state.word for state in State]

LARGEST = 10**18 - 1
"""The largest id that is looked for."""

KEPT_TEXT = click.types.FuncParamType(storable)
"""An option's text that is looked up in the ledger, spelled as the ledger keeps it, whatever bytes the shell gave."""

KEPT_TEXT.name = "text"

_OPTIONS = (
    click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="In that state; may be given several times."),
    click.option("--plugin", type=KEPT_TEXT, help="Of that plugin: its name, or SITE/NAME."),
    click.option("--site", type=KEPT_TEXT, help="Of that site."),
    click.option("--lane", type=KEPT_TEXT, help="Of that lane, as `deliveries ID` shows it."),
    click.option("--callback", type=KEPT_TEXT, metavar="NAME", help="Of the callbacks of that name."),
    click.option("--event", type=click.IntRange(0, LARGEST), metavar="ID", help="Of that event."),
    click.option("--type", "event_type", metavar="TYPE", help="Of events of that type, such as Shotgun_Task_Change."),
    click.option("--entity", metavar="TYPE:ID", help="Of events of that entity, such as Task:14."),
    click.option("--project", metavar="ID|NAME", help="Of events of that project."),
    click.option("--error", metavar="KIND", help="Whose last failure was that, such as ConnectionError."),
    click.option(
        "--since", metavar="WHEN", help="Recorded or ended since then: an age (90s, 10min, 2h, 3d) or an ISO date or time."
    ),
    click.option("--older-than", "older_than", metavar="WHEN", help="Recorded before then: an age, or an ISO date or time."),
)
CONDITIONS = "--plugin, --state, --event, --site, --lane, --callback, --type, --entity, --project, --error, --since, --older-than"
"""The names of these options, for messages."""

_ENTITY = re.compile(r"(\w+)[ :]([0-9]{1,18})")


def is_id(text: str) -> bool:
    """Whether the text is a number that can be an id."""
    return re.fullmatch(r"[0-9]{1,18}", text) is not None


def selection(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``[CONFIG] [ID]...`` and the options above."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return click.argument("config_and_ids", nargs=-1, metavar="[CONFIG] [ID]...")(function)


def config_and_plugin(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``[CONFIG] PLUGIN``, as the parameters ``config`` and ``plugin``."""

    @wraps(function)
    def taking(*, config_and_plugin: tuple[str, ...], **options: Any) -> Any:
        *before, plugin = config_and_plugin
        if len(before) > 1:
            raise click.UsageError(f"One PLUGIN at a time; {' '.join(config_and_plugin)} names several.")
        return function(config=before[0] if before else None, plugin=storable(plugin), **options)

    return click.argument("config_and_plugin", nargs=-1, required=True, metavar="[CONFIG] PLUGIN")(taking)


def split(config_and_ids: tuple[str, ...]) -> tuple[str | None, tuple[int, ...]]:
    """CONFIG and the ids of ``[CONFIG] [ID]...``: whatever is a number is an id (a file of that name is ``./412``)."""
    config = None if not config_and_ids or is_id(config_and_ids[0]) else config_and_ids[0]
    ids = config_and_ids if config is None else config_and_ids[1:]
    wrong = [one for one in ids if not is_id(one)]
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
    callback: str | None = None,
    event: int | None,
    event_type: str | None = None,
    entity: str | None = None,
    project: str | None = None,
    error: str | None = None,
    since: str | None,
    older_than: str | None = None,
    limit: int = NO_LIMIT,
    failures: bool = False,
) -> DeliveryQuery:
    """The deliveries for which all of it holds. Raises click.UsageError for a value that can't be understood."""
    named_site, name = named(plugin)
    return DeliveryQuery(
        states=tuple(State[word.upper()] for word in states),
        site=site or named_site,
        plugin=name,
        lane=lane,
        callback=callback,
        event_id=event,
        event_type=event_type,
        entity=_entity(entity),
        project=int(project) if project is not None and is_id(project) else project,
        error=error,
        ids=ids,
        since=_moment("--since", since),
        before=_moment("--older-than", older_than),
        limit=limit,
        failures=failures,
    )


def named(plugin: str | None) -> tuple[str | None, str | None]:
    """Site and name of ``SITE/NAME``; the site is None where only the name was given."""
    if plugin is None:
        return None, None
    site, _, name = plugin.rpartition("/")
    return site or None, name


def _entity(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    match = _ENTITY.fullmatch(text.strip())
    if match is None:
        raise click.UsageError(f"--entity {text!r} is not a type and an id, such as Task:14.")
    return match[1], int(match[2])


def _moment(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return moment(text, time.time())
    except ValueError:
        raise click.UsageError(f"{option} {text!r} is neither an age (90s, 10min, 2h, 3d) nor an ISO date or time.") from None
