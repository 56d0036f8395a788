"""Steps 3 and 4 of an event's path, for one site: what an event means for each plugin, and its record in the ledger."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from callsheet import telemetry
from callsheet.domain.delivery import NewDelivery
from callsheet.domain.event import Event
from callsheet.domain.reading import Gap, Intake, SiteState
from callsheet.policy.routing import Routes
from callsheet.ports import Ledger, OddEvent
from callsheet.services import bisection
from callsheet.services.known_plugins import Ready

OWED = 1e15
"""A gap with this end never ends: a late event that a plugin could not be given when it showed, kept for it until it can, since it
was loading, broken or away, or had not come to that id yet and may have read the page without it."""

MOST_ODD = 1000
"""Events without ids that are remembered, so as to tell of each once."""


class Router:
    """Routes the events of one site and records the deliveries.

    ``recorded`` is called after new ones, and when a plugin has come to the cursor: others may have waited for that.
    """

    def __init__(self, site: str, ledger: Ledger, recorded: Callable[[], None], clock: Callable[[], float] = time.time) -> None:
        self._site = site
        self._ledger = ledger
        self._recorded = recorded
        self._now = clock
        self._routes: dict[tuple[str, ...], Routes] = {}
        self._version = -1
        self._left_out: set[str] = set()
        self._odd: set[OddEvent] = set()

    def routes(self, names: Iterable[str], ready: Ready) -> Routes:
        """The routes to these plugins, in the plugins' order."""
        if ready.version != self._version:
            self._routes, self._version = {}, ready.version
        wanted = set(names)
        group = tuple(name for name in ready.callbacks if name in wanted)
        routes = self._routes.get(group)
        if routes is None:
            routes = self._routes[group] = Routes(callback for name in group for callback in ready.callbacks[name])
        return routes

    def route_late(
        self, late: Iterable[tuple[Event, str | None]], state: SiteState, ready: Ready, own: Counter[str]
    ) -> tuple[list[NewDelivery], tuple[Gap, ...]]:
        """Deliveries of late events for those that have passed them, and gaps that keep them for those that can't be given them.

        ``own``: see Routes.route.
        """
        deliveries: list[NewDelivery] = []
        owed: list[Gap] = []
        for event, owner in late:
            names = list(state.positions) if owner is None else [owner]
            takers = [name for name in names if name in ready.callbacks and has_passed(state, name, event.id)]
            deliveries += routed(self._site, self.routes(takers, ready), [event], own)
            owed += [Gap(event.id, event.id, OWED, name) for name in names if name not in takers]
            telemetry.emit("gap.filled", site=self._site, event_id=event.id, plugin=owner)
        return deliveries, tuple(owed)

    def tell_odd(self, odd: Sequence[OddEvent]) -> None:
        """Say it, once: an event that can't be passed for good, since it has no id, comes with each page."""
        new = set(odd) - self._odd
        if len(self._odd) > MOST_ODD:
            self._odd.clear()
        self._odd |= new
        tell_odd(self._site, sorted(new, key=odd.index))

    def record(self, intake: Intake) -> None:
        """Record what one page changes, in one transaction."""
        new = bisection.record(self._ledger, intake, self._now())
        for plugin, count in intake.own.items():
            if plugin not in self._left_out:
                self._left_out.add(plugin)
                telemetry.emit("plugin.own", site=self._site, plugin=plugin, count=count)
        if new and telemetry.listening("events.routed"):
            _tell_routed(intake, new)
        if new or None in intake.positions.values():
            self._recorded()


def routed(site: str, routes: Routes, events: Iterable[Event], own: Counter[str] | None = None) -> list[NewDelivery]:
    """The deliveries that these events make; for ``own`` see Routes.route. One that can't be routed is said, and passed by."""
    deliveries: list[NewDelivery] = []
    for event in events:
        try:
            deliveries += routes.route(event, own)
        except Exception as error:  # noqa: BLE001 - an event is whatever its site says
            bisection.tell_left_out(site, event.id, f"{type(error).__name__}: {error}")
    return deliveries


def _tell_routed(intake: Intake, new: int) -> None:
    telemetry.emit(
        "events.routed",
        site=intake.site,
        events=len({delivery.event.id for delivery in intake.deliveries}),
        deliveries=new,
        plugins=Counter(delivery.callback.plugin.name for delivery in intake.deliveries),
    )


def has_passed(state: SiteState, plugin: str, event_id: int) -> bool:
    """Whether the plugin stands behind that id."""
    position = state.positions.get(plugin)
    return position is None or position >= event_id


def tell_odd(site: str, odd: Iterable[OddEvent]) -> None:
    """Say which events could not be taken as the site has them."""
    for one in odd:
        if one.taken:
            telemetry.emit("event.reduced", site=site, event_id=one.event_id, why=one.why)
        else:
            bisection.tell_left_out(site, one.event_id, one.why)


def tell_read(site: str, events: tuple[Event, ...], seconds: float, *, late: int) -> None:
    """Say that events have come, if any did."""
    if events:
        telemetry.emit(
            "events.read", site=site, count=len(events), first=events[0].id, last=events[-1].id, seconds=seconds, late=late
        )
