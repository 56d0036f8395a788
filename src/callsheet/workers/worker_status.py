"""The workers as operators see them."""

from __future__ import annotations

import time
from math import inf

from callsheet.domain.overview import BACKING_OFF, STUCK, WorkerRow
from callsheet.workers.pool import WorkerPool
from callsheet.workers.sessions import session_status
from callsheet.workers.sessions.session import Session
from callsheet.workers.sessions.session_pool import Sessions
from callsheet.workers.sessions.session_status import LASTING
from callsheet.workers.slot import WorkerSlot
from callsheet.workers.worker import Worker

_STUCK = "it was killed and does not end; another worker has taken its place"


def rows(pool: WorkerPool) -> list[WorkerRow]:
    """A row for each worker, for each slot whose next worker has to wait, and for the Toolkit sessions of projects.

    Called under the executor's lock.
    """
    seated = {slot.worker: slot for slot in pool.worker_slots if slot.worker is not None}
    waiting = [_waiting(slot) for slot in pool.worker_slots if slot.worker is None and slot.start_at != inf]
    sessions = list(pool.sessions.all) if pool.sessions is not None else []
    theirs = {one.worker for one in sessions}
    working = (_working(worker, seated.get(worker)) for worker in pool.workers if worker not in theirs)
    shown = (_of_session(one, pool.sessions) for one in sessions if pool.sessions is not None)
    return [*working, *waiting, *filter(None, shown), *(_stuck(*one) for one in pool.stuck.items())]


def _of_session(session: Session, sessions: Sessions) -> WorkerRow | None:
    if session.worker is None:
        return session_status.row(session, None, None)
    return session_status.row(session, _working(session.worker, None), sessions.under_way(session.worker))


def _working(worker: Worker, slot: WorkerSlot | None) -> WorkerRow:
    if worker.leaving:
        state = "stopping"
    elif worker.loaded_plugins.loading is not None:
        state = "starting"
    else:
        state = "busy" if worker.occupied else "idle"
    call, since = worker.longest() or (None, 0.0)
    lasting = call is not None and time.time() - since >= LASTING
    return WorkerRow(
        site=worker.site,
        plugins=tuple(key.name for key in worker.loaded_plugins.keys),
        call=f"callback {call.callback.name} at event {call.event_id} (delivery {call.id})" if call and lasting else "",
        called_at=since if lasting else None,
        pid=worker.process.pid,
        state=state,
        since=worker.since,
        memory=worker.memory.size,
        calls=worker.calls,
        restarts=max(0, slot.losses) if slot else 0,
        problem=slot.problem if slot else "",
    )


def _stuck(worker: Worker, since: float) -> WorkerRow:
    plugins = tuple(key.name for key in worker.loaded_plugins.keys)
    return WorkerRow(worker.site, plugins, worker.project, worker.process.pid, STUCK, since, calls=worker.calls, problem=_STUCK)


def _waiting(slot: WorkerSlot) -> WorkerRow:
    pause = max(0.0, slot.start_at - time.monotonic())
    return WorkerRow(
        site=next(iter(slot.members)).site,
        plugins=tuple(key.name for key in slot.members),
        state=BACKING_OFF if pause > 0 else "starting",
        since=slot.vacant_since,
        restarts=slot.losses,
        problem=slot.problem,
        retry_at=time.time() + pause if pause > 0 else None,
    )
