"""What is written for many at once, written apart where it fails for a reason that lies in the data of one of them.

A ledger that can't be used now (StateError: the disk is full) is another matter: that is raised as it is, and all of it is tried
again later. Everything else that a write raises is taken for the fault of what was written: by halves it comes down to those that
fail alone, which are told, and stop nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from callsheet import telemetry
from callsheet.domain.callback import CallbackKey
from callsheet.domain.delivery import NewDelivery, Outcome, Report, State, Verdict
from callsheet.domain.overview import Described
from callsheet.domain.plugin import Manifest, PluginFile
from callsheet.domain.reading import Intake, Replay
from callsheet.errors import StateError
from callsheet.policy import retries
from callsheet.ports import Ledger
from callsheet.wire.texts import storable

T = TypeVar("T")


def settle(ledger: Ledger, outcomes: list[Outcome], ended: Sequence[int], now: float) -> None:
    """As ``Ledger.settle``. An outcome that can't be kept is kept as far as it can be. ``outcomes`` loses what was written."""
    try:
        ledger.settle(outcomes, ended, now)
    except StateError:
        raise
    except Exception:  # noqa: BLE001 - see above

        def write(part: Sequence[Outcome]) -> None:
            ledger.settle(part, [], now)
            del outcomes[: len(part)]

        def keep(outcome: Outcome, error: Exception) -> None:
            kept = retries.unkept(outcome, now, _in_words(error))
            write([kept])
            _tell_refused(kept, error)

        _halve(list(outcomes), write, keep)
        ledger.settle([], ended, now)


def undecided(report: Report, error: Exception, now: float) -> Outcome:
    """The outcome of a report of which it can't be decided what is to follow."""
    state = State.DONE if report.verdict is Verdict.OK else State.DEAD
    outcome = retries.unkept(Outcome(report.delivery_id, state, 1, 0, now, now), now, _in_words(error))
    _tell_refused(outcome, error)
    return outcome


def record(ledger: Ledger, intake: Intake, now: float, *, before: Replay | None = None) -> int:
    """As ``Ledger.record``. A delivery that can't be kept is left out. ``before``: the intake's replay, as it stands by now."""
    try:
        return ledger.record(intake, now)
    except StateError:
        raise
    except Exception:  # noqa: BLE001 - see above
        added = 0

        def write(part: Sequence[NewDelivery]) -> None:
            nonlocal added
            part_of = Intake(intake.site, tuple(part), replay=before, log_epoch=intake.log_epoch)
            added += ledger.record(part_of, now)

        def leave(delivery: NewDelivery, error: Exception) -> None:
            tell_left_out(intake.site, delivery.event.id, _in_words(error), delivery.callback)

        _halve(intake.deliveries, write, leave)
        # The places move last: a kill in between reads the page again, and what is recorded by then is left as it is.
        return added + ledger.record(replace(intake, deliveries=()), now)


def describe(ledger: Ledger, plugin: PluginFile, manifest: Manifest, now: float) -> tuple[Manifest, Described]:
    """As ``Ledger.describe``. A manifest that can't be kept is that of a broken plugin; also returns the one that was kept."""
    try:
        return manifest, ledger.describe(plugin, manifest, now)
    except StateError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        problem = f"What the plugin at {plugin.path} registers can't be kept.\n\n{_in_words(error)}"
        broken = Manifest(plugin.key, manifest.generation, problem=storable(problem), where="describe", pid=manifest.pid)
        return broken, ledger.describe(plugin, broken, now)


def tell_left_out(site: str, event_id: object, why: str, callback: CallbackKey | None = None) -> None:
    """Say that an event is passed by, for everybody or for that callback alone, and why."""
    telemetry.emit(
        "event.left_out", site=site, event_id=event_id, whom="all plugins" if callback is None else f"callback {callback}", why=why
    )


def _halve(items: Sequence[T], write: Callable[[Sequence[T]], None], refuse: Callable[[T, Exception], None]) -> None:
    """Write all of them, in order: together, or by halves; one that can't be written alone is refused."""
    if not items:
        return
    try:
        write(items)
    except StateError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        if len(items) == 1:
            refuse(items[0], error)
            return
        middle = len(items) // 2
        _halve(items[:middle], write, refuse)
        _halve(items[middle:], write, refuse)


def _tell_refused(kept: Outcome, error: Exception) -> None:
    telemetry.emit("outcome.refused", delivery_id=kept.delivery_id, state=kept.state.word, why=_in_words(error))


def _in_words(error: Exception) -> str:
    return storable(f"{type(error).__name__}: {error}", 1000)
