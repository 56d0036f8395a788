"""Steps 5 to 8 of an event's path: claim runs, have them run, decide, settle."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Container

from callsheet import telemetry
from callsheet.domain.callback import Callback, OnDead, PluginKey, RetryPolicy
from callsheet.domain.delivery import Delivery, Outcome, Report, Run, RunEnded, State, Verdict
from callsheet.domain.plugin import Manifest, PluginImports
from callsheet.errors import StateError
from callsheet.policy import loop_protection, retries
from callsheet.ports import Executor, Ledger, Message
from callsheet.services import bisection
from callsheet.services.outage_check import OutageCheck, SiteCheck
from callsheet.services.plugin_registry import PluginRegistry
from callsheet.services.service import Service

GROUP = 0.01
"""Seconds for which finished work may wait to be settled together: what is lost, and so run again, if the daemon is killed."""

MOST_IN_GROUP = 500
LOOK_EVERY = 0.5
"""Seconds after which the ledger is asked for work even if nobody called: operators change it from outside."""


class Dispatch(Service):
    """Keeps workers busy with runs and the ledger up to date with what came of them."""

    name = "dispatch"

    def __init__(
        self,
        executor: Executor,
        ledger: Ledger,
        registry: PluginRegistry,
        owner: str,
        *,
        settled: Callable[[], None] = lambda: None,
        stopped: Callable[[], Container[str]] = frozenset,
        reading: Callable[[str], SiteCheck | None] = lambda _: None,
        run_length: int = 2000,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``owner`` names this daemon in the ledger's lanes. ``settled`` is called whenever deliveries were finished.

        ``stopped``: the sites of which nothing may be run now. ``reading`` finds that of a site by name.
        """
        super().__init__()
        self._settled = settled
        self._stopped = stopped
        self._outages = OutageCheck(reading)
        self._unanswered: dict[int, int] = {}
        self._executor = executor
        self._ledger = ledger
        self._registry = registry
        self._owner = owner
        self._run_length = run_length
        self._clock = clock
        self._steady = steady
        self._chance = chance
        self._messages: deque[Message] = deque()
        self._running: dict[int, tuple[Run, dict[int, Delivery]]] = {}
        self._outcomes: list[Outcome] = []
        self._ended: list[int] = []
        self._pending_since: float | None = None
        self._look_at = 0.0
        self._asked = True
        self._claiming = True
        self._exhausted = False
        self._recall_at = 0.0
        self._recalled: set[int] = set()
        self._last_call: tuple[tuple[int, float, float], float] = ((0, 0.0, 0.0), 0.0)

    def wake(self) -> None:
        """There may be new work in the ledger."""
        self._asked = True
        self._exhausted = False
        super().wake()
        self._executor.wake()

    def claim_no_more(self) -> None:
        """Hand out no further runs; what comes of those that are handed out is settled as ever, until ``stop``."""
        self._claiming = False
        self._executor.wake()

    def stop(self) -> None:
        """Begin no further step; what the executor has said by now is settled yet."""
        super().stop()
        self._executor.wake()

    @property
    def idle(self) -> bool:
        """Nothing is running, and at the last look nothing was due, now or later, for any plugin that can run."""
        return self._exhausted and not self._running

    @property
    def unanswered(self) -> int:
        """How often in a row a site did not answer the calls of a delivery; 0 while anything else runs, or may."""
        return 0 if self._running or self._asked else max(self._unanswered.values(), default=0)

    def step(self) -> float:
        """Collect what came in, settle it in groups, hand out what is ready."""
        self._collect(self._patience())
        if self._due_to_settle():
            self._settle()
        if self._claiming and self._running and self._steady() >= self._recall_at:
            self._recall()
        if self._claiming and (self._asked or self._steady() >= self._look_at):
            self._claim()
        return 0.0

    def finish(self) -> None:
        """Settle all that the executor still has to say, which is closed by now."""
        self._collect(0.0)
        self._messages.extend(self._outages.settled(over=True))
        self._collect(0.0)
        self._settle()

    def _collect(self, patience: float) -> None:
        """Take in what came. What the ledger could not take (its disk may be full) stays for the next time, in order."""
        self._messages.extend(self._executor.collect(0.0 if self._messages else patience))
        self._messages.extend(self._outages.settled())
        while self._messages:
            message = self._messages.popleft()
            try:
                self._take(message)
            except StateError:
                self._messages.appendleft(message)
                raise

    def _patience(self) -> float:
        if self._pending_since is not None:
            return max(0.0, self._pending_since + GROUP - self._steady())
        if not self._claiming:
            return LOOK_EVERY
        return 0.0 if self._asked else max(0.0, self._look_at - self._steady())

    def _take(self, message: Message) -> None:
        if isinstance(message, Manifest):
            self._registry.described(message)
            self._asked = True
            return
        if isinstance(message, PluginImports):
            self._registry.imported(message)
            return
        if self._pending_since is None:
            self._pending_since = self._steady()
        run, deliveries = self._running.get(message.run_id, (None, {}))
        if run is None:
            return
        known = self._outages.checked(message, run.plugin.site)
        if isinstance(known, RunEnded):
            del self._running[known.run_id]
            self._ended.append(known.run_id)
        elif known is not None and (delivery := deliveries.get(known.delivery_id)) is not None:
            self._outcomes.append(self._outcome(run, delivery, known))

    def _outcome(self, run: Run, delivery: Delivery, report: Report) -> Outcome:
        try:
            outcome = self._decide(run, delivery, report)
        except Exception as error:  # noqa: BLE001 - what can't be decided is that delivery's failure
            outcome = bisection.undecided(report, error, self._clock())
        self._unanswered.pop(delivery.id, None)
        if outcome.outages and outcome.state is State.RETRYING:
            self._unanswered[delivery.id] = outcome.outages
        return outcome

    def _decide(self, run: Run, delivery: Delivery, report: Report) -> Outcome:
        callback = self._registry.callback(delivery.callback)
        if report.failure is not None and report.failure.kind == loop_protection.KIND:
            report = self._explain(run, delivery, report)
        policy: RetryPolicy = callback.retry if callback else RetryPolicy()
        on_dead: OnDead = callback.on_dead if callback else "continue"
        if report.ended > self._clock():  # the clock was set back since; what is due must be due on today's
            report = report._replace(ended=self._clock())
        outcome = retries.decide(report, delivery, policy, on_dead, chance=self._chance_of(report))
        if report.verdict not in (Verdict.OK, Verdict.SKIP) and not report.shares:
            self._tell_failure(run, delivery, report, outcome, callback)
        if telemetry.listening("delivery.settled"):
            _tell_settled(run, delivery, outcome, callback)
        return outcome

    def _tell_failure(self, run: Run, delivery: Delivery, report: Report, outcome: Outcome, callback: Callback | None) -> None:
        facts = {
            "site": run.plugin.site,
            "plugin": run.plugin.name,
            "callback": delivery.callback.name,
            "event_id": delivery.event_id,
        }
        telemetry.emit(
            "delivery.failed",
            **facts,
            delivery_id=delivery.id,
            attempt=outcome.attempts,
            state=outcome.state.word,
            failure=report.failure,
            due=outcome.due,
            legacy=callback.legacy if callback else False,
            logged=report.logged,
            raised=report.verdict is Verdict.FAILED,
            outages=outcome.outages,
        )
        if outcome.state is State.HELD:
            why = report.failure.text if report.failure else report.verdict.value
            telemetry.emit("lane.held", **facts, lane=run.lane, why=why)

    def _chance_of(self, report: Report) -> float:
        """The same for all that were called together: what failed together is to come due together."""
        call = (report.run_id, report.started, report.ended)
        if not report.shares or self._last_call[0] != call:
            self._last_call = (call, self._chance())
        return self._last_call[1]

    def _explain(self, run: Run, delivery: Delivery, report: Report) -> Report:
        """Name those who answer each other's writes."""
        assert report.failure is not None
        plugins = [PluginKey(run.plugin.site, name) for name in self._registry.ready(run.plugin.site).callbacks]
        failure = loop_protection.explain(report.failure, delivery.event_value("session_uuid"), run.plugin, plugins)
        telemetry.emit(
            "cascade.stopped",
            site=run.plugin.site,
            plugin=run.plugin.name,
            callback=delivery.callback.name,
            event_id=delivery.event_id,
            delivery_id=delivery.id,
            why=failure.text,
        )
        return report._replace(failure=failure)

    def _due_to_settle(self) -> bool:
        if self._pending_since is None:
            return False
        # A worker whose run has ended waits for the next one: settling gives its lane back, so it is not put off.
        return bool(self._ended) or len(self._outcomes) >= MOST_IN_GROUP or self._steady() >= self._pending_since + GROUP

    def _settle(self) -> None:
        if self._outcomes or self._ended:
            bisection.settle(self._ledger, self._outcomes, self._ended, self._clock())
            self._settled()
        self._outcomes, self._ended, self._pending_since = [], [], None
        self._asked = True
        self._exhausted = False

    def _recall(self) -> None:
        """Take back what waits in workers and is held by now: operators hold things from outside."""
        self._recall_at = self._steady() + LOOK_EVERY
        runs = [run for run, _ in self._running.values()]
        self._recalled &= self._running.keys()
        holds = {site: self._ledger.site(site).holds for site in {run.plugin.site for run in runs}}
        stopped = self._stopped()
        held = [
            run
            for run in runs
            if run.id not in self._recalled
            and (run.plugin.site in stopped or holds[run.plugin.site].get(run.plugin.name, frozenset()) & {None, run.lane})
        ]
        if held:
            self._recalled.update(run.id for run in held)
            self._executor.recall(held)

    def _claim(self) -> None:
        self._asked = False
        now = self._clock()
        self._look_at = self._steady() + LOOK_EVERY
        stopped = self._stopped()
        free = {plugin: slots for plugin, slots in self._executor.free().items() if plugin.site not in stopped}
        runs, due = self._ledger.claim(free, self._run_length, self._owner, now)
        if due is not None:
            self._look_at = min(self._look_at, self._steady() + due - now)
        self._exhausted = not runs and due is None and not self._asked and not self._registry.unserved(free)
        for run in runs:
            self._running[run.id] = (run, {delivery.id: delivery for delivery in run.deliveries})
        if runs:
            self._executor.submit(runs)


def _tell_settled(run: Run, delivery: Delivery, outcome: Outcome, callback: Callback | None) -> None:
    telemetry.emit(
        "delivery.settled",
        site=run.plugin.site,
        plugin=run.plugin.name,
        callback=delivery.callback.name,
        event_id=delivery.event_id,
        delivery_id=delivery.id,
        state=outcome.state.word,
        attempts=outcome.attempts,
        started=outcome.started,
        ended=outcome.ended,
        created_at=delivery.event_value("created_at"),
        error=outcome.failure is not None,
        due=outcome.due,
        legacy=callback.legacy if callback else False,
    )
