"""The daemon's command line, but the process kills itself at a named point of an event's path: ``doomed POINT N run CONFIG …``.

The N-th time that the point is passed, in whatever thread, the process gets SIGKILL: no handler runs, nothing is flushed. What is
left then is what a power cut of the process would leave. Everything else is the daemon as it is.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from callsheet.cli import main as callsheet
from callsheet.domain.delivery import Report
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.policy import gaps, retries
from callsheet.policy.routing import Routes
from callsheet.site.prefetch import Prefetch
from callsheet.workers.local_executor import LocalExecutor


@dataclass(frozen=True)
class Point:
    """A function on an event's path. ``counts``: whether a call with these arguments and this result is a passing of the point."""

    owner: Any
    name: str
    counts: Callable[[tuple[Any, ...], Any], bool] = lambda _arguments, _result: True
    before: bool = False


POINTS = {
    "read": Point(Prefetch, "read", lambda _, page: bool(page.events)),
    "admit": Point(gaps, "admit", lambda _, admission: bool(admission.take)),
    "route": Point(Routes, "route", lambda _, deliveries: bool(deliveries)),
    "before-record": Point(SqliteLedger, "record", lambda arguments, _: bool(arguments[1].deliveries), before=True),
    "after-record": Point(SqliteLedger, "record", lambda arguments, _: bool(arguments[1].deliveries)),
    "claim": Point(SqliteLedger, "claim", lambda _, claimed: bool(claimed[0])),
    "submit": Point(LocalExecutor, "submit"),
    "collect": Point(LocalExecutor, "collect", lambda _, messages: any(isinstance(one, Report) for one in messages)),
    "decide": Point(retries, "decide"),
    "before-settle": Point(SqliteLedger, "settle", lambda arguments, _: bool(arguments[1]), before=True),
    "after-settle": Point(SqliteLedger, "settle", lambda arguments, _: bool(arguments[1])),
}

REPLAY_POINTS = {
    "before-replayed": Point(SqliteLedger, "record", lambda arguments, _: bool(arguments[1].replay), before=True),
    "after-replayed": Point(SqliteLedger, "record", lambda arguments, _: bool(arguments[1].replay)),
}
"""The same on the path of an event that is replayed."""


def doom(point: Point, passing: int) -> None:
    """Let the process kill itself at that passing of the point, counted from 1."""
    function = getattr(point.owner, point.name)
    lock = threading.Lock()
    left = passing

    def pass_by() -> None:
        nonlocal left
        with lock:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(function)
    def doomed(*arguments: Any, **named: Any) -> Any:
        if point.before and point.counts(arguments, None):
            pass_by()
        result = function(*arguments, **named)
        if not point.before and point.counts(arguments, result):
            pass_by()
        return result

    setattr(point.owner, point.name, doomed)


if __name__ == "__main__":
    name, passing, *arguments = sys.argv[1:]
    doom((POINTS | REPLAY_POINTS)[name], int(passing))
    sys.argv[1:] = arguments
    callsheet()
