"""Carries replays out: reads events of the past again, for one plugin, a page at a time. One such service per site.

The ledger holds what was asked for and how far it is, so a replay goes on where it was, whatever ended the daemon. It reads beside
the intake over its own connection, so nobody waits for it; it waits while its plugin can't be routed to or has too much waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from callsheet import telemetry
from callsheet.domain.callback import Callback
from callsheet.domain.delivery import NewDelivery
from callsheet.domain.reading import Intake, Replay, SiteState
from callsheet.policy.replay_ranges import piece
from callsheet.policy.routing import Routes
from callsheet.ports import EventLog, Ledger
from callsheet.services import bisection
from callsheet.services.plugin_registry import PluginRegistry
from callsheet.services.router import routed, tell_odd
from callsheet.services.service import Service

LOOK_EVERY = 0.5
"""Seconds after which the ledger is asked for new replays: operators ask for them from outside."""


class ReplayService(Service):
    """Reads what operators want delivered again, and records it."""

    def __init__(
        self,
        site: str,
        ledger: Ledger,
        registry: PluginRegistry,
        log: EventLog,
        *,
        page: int,
        most_waiting: int,
        recorded: Callable[[], None],
        readable: Callable[[], bool] = lambda: True,
        timeout: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``page``, ``most_waiting``, ``timeout``: see settings.SiteSettings. ``recorded`` is called after deliveries were made.

        ``readable``: whether the site's log is the one that the replays are of.
        """
        super().__init__()
        self.name = f"replay-{site}"
        self.limit = timeout + 10
        self._site = site
        self._ledger = ledger
        self._registry = registry
        self._log = log
        self._page = page
        self._most_waiting = most_waiting
        self._recorded = recorded
        self._readable = readable
        self._now = clock
        self._begun: set[int] = set()
        self.crowded = False
        """A replay waits for room; whoever makes room should `wake` this service."""
        self.caught_up = False
        """At the end of the last step nothing was left to replay, for any plugin that can be replayed to."""
        self.steps = 0
        """Steps done; lets a drain see that a whole step has found nothing."""

    def step(self) -> float:
        """Read a page for each plugin that has a replay and room; returns the seconds to wait."""
        self.caught_up = False
        if self._registry.starting(self._site) or not self._readable():
            return LOOK_EVERY / 10
        state = self._ledger.site(self._site)
        ready = self._registry.ready(self._site).callbacks
        more = crowded = False
        # The oldest of each plugin: what was asked for first is delivered first.
        for one in {each.plugin.name: each for each in reversed(state.replays)}.values():
            if state.cursor is None or one.plugin.name not in ready:
                continue
            if state.waiting.get(one.plugin.name, 0) >= max(1, self._most_waiting // 2):
                crowded = True
                continue
            more |= self._go_on(one, state, ready[one.plugin.name])
            self.got_on()
        self.crowded = crowded
        self.caught_up = not more
        self.steps += 1
        return 0.0 if more else LOOK_EVERY

    def _go_on(self, replay: Replay, state: SiteState, callbacks: Iterable[Callback]) -> bool:
        """A page; True where more may follow, of this replay or of another of its plugin."""
        if replay.id not in self._begun:
            self._begun.add(replay.id)
            self._tell("replay.began", replay, first=replay.ranges[0][0], last=replay.ranges[-1][1], position=replay.position)
        # What the plugin has not come to yet is delivered in its turn.
        position = state.positions.get(replay.plugin.name)
        cursor = state.cursor if position is None else position
        wanted = piece(replay, cursor or 0, self._page)
        after = replay
        deliveries: tuple[NewDelivery, ...] = ()
        if wanted is not None:
            page = self._log.read(wanted.after, self._page, until=wanted.until, missing=wanted.besides)
            tell_odd(self._site, page.odd)
            routes = Routes(one for one in callbacks if replay.callback in {None, one.key.name})
            deliveries = tuple(routed(self._site, routes, page.events))
            reached = page.events[-1].id if page.full and not wanted.besides else wanted.reach
            after = replace(replay, position=reached, events=replay.events + len(page.events))
        over = piece(after, cursor or 0, self._page) is None
        after = replace(after, ended_at=self._now() if over else None)
        intake = Intake(self._site, deliveries, replay=after, log_epoch=state.log_epoch)
        made = bisection.record(self._ledger, intake, self._now(), before=replay)
        self._tell("replay.read", replay, events=after.events - replay.events, deliveries=made, position=after.position)
        if over:
            self._tell("replay.ended", replay, events=after.events, deliveries=replay.deliveries + made)
        if made:
            self._recorded()
        return True

    def _tell(self, signal: str, replay: Replay, **facts: object) -> None:
        telemetry.emit(signal, site=self._site, plugin=replay.plugin.name, callback=replay.callback, replay=replay.id, **facts)
