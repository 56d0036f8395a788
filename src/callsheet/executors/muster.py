"""The crew as operators see it."""

from __future__ import annotations

import time
from math import inf

from callsheet.desk import BACKING_OFF, STUCK, WorkerRow
from callsheet.executors.crew import Crew
from callsheet.executors.seat import Seat
from callsheet.executors.sessions import showing
from callsheet.executors.worker import Worker

LASTING = 3.0
"""Seconds after which a call is told: most calls are over when the next beat comes."""

_STUCK = "it was killed and does not end; another worker has taken its place"


def rows(crew: Crew) -> list[WorkerRow]:
    """A row for each worker, for each seat whose next worker has to wait, and for the Toolkit sessions of projects.

    Called under the executor's lock.
    """
    seated = {seat.worker: seat for seat in crew.seats if seat.worker is not None}
    waiting = [_waiting(seat) for seat in crew.seats if seat.worker is None and seat.start_at != inf]
    sessions = list(crew.sessions.all) if crew.sessions is not None else []
    theirs = {one.worker for one in sessions}
    working = (_working(worker, seated.get(worker)) for worker in crew.workers if worker not in theirs)
    shown = (showing.row(one, _working(one.worker, None) if one.worker is not None else None) for one in sessions)
    return [*working, *waiting, *filter(None, shown), *(_stuck(*one) for one in crew.stuck.items())]


def _working(worker: Worker, seat: Seat | None) -> WorkerRow:
    if worker.leaving:
        state = "stopping"
    elif worker.guests.loading is not None:
        state = "starting"
    else:
        state = "busy" if worker.occupied else "idle"
    call, since = worker.longest() or (None, 0.0)
    lasting = call is not None and time.time() - since >= LASTING
    return WorkerRow(
        site=worker.site,
        plugins=tuple(key.name for key in worker.guests.keys),
        call=f"callback {call.callback.name} at event {call.event_id} (delivery {call.id})" if call and lasting else "",
        called_at=since if lasting else None,
        pid=worker.process.pid,
        state=state,
        since=worker.since,
        memory=worker.memory.size,
        calls=worker.calls,
        restarts=max(0, seat.losses) if seat else 0,
        problem=seat.problem if seat else "",
    )


def _stuck(worker: Worker, since: float) -> WorkerRow:
    plugins = tuple(key.name for key in worker.guests.keys)
    return WorkerRow(worker.site, plugins, worker.project, worker.process.pid, STUCK, since, calls=worker.calls, problem=_STUCK)


def _waiting(seat: Seat) -> WorkerRow:
    pause = max(0.0, seat.start_at - time.monotonic())
    return WorkerRow(
        site=next(iter(seat.members)).site,
        plugins=tuple(key.name for key in seat.members),
        state=BACKING_OFF if pause > 0 else "starting",
        since=seat.vacant_since,
        restarts=seat.losses,
        problem=seat.problem,
        retry_at=time.time() + pause if pause > 0 else None,
    )
