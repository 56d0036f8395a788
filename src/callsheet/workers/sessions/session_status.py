"""A session as operators see it."""

from __future__ import annotations

import time
from dataclasses import replace

from callsheet.domain.overview import BACKING_OFF, FAILED, SessionFacts, WorkerRow
from callsheet.workers.sessions.session import Session

LASTING = 3.0
"""Seconds after which a call is told: most calls are over when the next beat comes."""

RECENT = 3600.0
"""Seconds for which a project that could not be opened is shown: nobody may ever want it again."""


def row(session: Session, worker: WorkerRow | None, calling: tuple[str, float] | None) -> WorkerRow | None:
    """Of one that has a worker, is about to, waits for its place, or failed not long ago; None of any other.

    ``worker``: the row of its worker, if it has one. ``calling``: the function that it calls for a plugin, and since when.
    """
    state = _state(session, worker)
    if state is None:
        return None
    call, since = ("", None) if worker is None else (worker.call, worker.called_at)
    if since is None and session.searching:
        call, since = _lasting("looking at its configuration", session.searching_since)
    if since is None and calling is not None:
        call, since = _lasting(*calling)
    return replace(
        worker or WorkerRow(session.key.site, (), since=session.since),
        project=session.key.project,
        state=state,
        calls=session.calls,
        restarts=session.losses,
        problem=session.problem if session.trouble is None else session.trouble.problem,
        call=call,
        called_at=since,
        retry_at=time.time() + session.wanted_at() - time.monotonic() if state == BACKING_OFF else None,
        toolkit=_facts(session),
    )


def _lasting(what: str, since: float) -> tuple[str, float | None]:
    return (what, since) if time.time() - since >= LASTING else ("", None)


def _state(session: Session, worker: WorkerRow | None) -> str | None:
    if session.worker is not None and worker is not None and session.worker.leaving:
        return "stopping"
    if session.worker is not None and worker is not None and session.worker.opened is not None:
        return worker.state
    # Also while it is tried again: what is wrong is wrong until it is open.
    if session.trouble is not None and time.monotonic() - session.troubled_at < RECENT:
        return FAILED
    if session.live:
        return "starting"
    if session.waiting and session.wanted_at() > time.monotonic():
        return BACKING_OFF
    return "waiting" if session.waiting or session.warm else None


def _facts(session: Session) -> SessionFacts:
    opening, trouble = session.opening, session.trouble
    opened = (session.worker.opened if session.worker is not None else None) or {}
    return SessionFacts(
        project=opening.project.name if opening is not None else trouble.project if trouble is not None else "",
        kind="" if opening is None else opening.kind,
        configuration=opening.configuration if opening is not None else trouble.configuration if trouble is not None else "",
        version=str(opened.get("version", "")),
        python=str(opened.get("python", "")),
        cure="" if trouble is None else trouble.cure,
    )
