"""Sessions that call functions in each other's projects, and would wait for ever: a session does one thing at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from callsheet.workers.sessions.session import Session
from callsheet.workers.sessions.session_calls import Call
from callsheet.workers.worker import Worker


def closes(
    call: Call, target: Session, sessions: Collection[Session], given: Iterable[tuple[Worker, Worker]], most: int
) -> str | None:
    """Why a call may not wait for its session; None if it may, as whatever is called from outside of sessions may.

    ``given``: who waits for an answer, and of whom. ``most``: sessions that are live at once.
    """
    of = {one.worker: one for one in sessions if one.worker is not None}
    caller = of.get(call.caller)
    if caller is None:
        return None
    waits = {of[one]: of[other] for one, other in given if one in of and other in of}
    waits |= {
        of[one.caller]: session for session in sessions for one in session.waiting if isinstance(one, Call) and one.caller in of
    }
    at: Session | None = target
    while at is not None and at is not caller:
        at = waits.get(at)
    if at is caller:
        return f"the session of {target.name} itself waits for that of {caller.name}"
    live = [one for one in sessions if one.live]
    if target not in live and len(live) >= most and all(one is caller or one in waits for one in live):
        return f"there are {most} sessions (toolkit.sessions), and each of them would wait for another's place"
    return None
