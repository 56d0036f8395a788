"""Says what becomes of sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callsheet import telemetry
from callsheet.errors import ToolkitError
from callsheet.workers.exits import WorkerExit
from callsheet.workers.sessions.session import Session, SessionKey
from callsheet.workers.worker import Worker

_TOLD = ("version", "core", "config", "descriptor", "engine", "apps", "python", "client")
"""What is passed on of what a worker says of its Toolkit."""


def opening(session: Session) -> None:
    """Somebody finds out what it is started from."""
    telemetry.emit("session.opening", **_whose(session.key))


def said(session: Session, message: Mapping[str, Any]) -> None:
    """What its worker says of its Toolkit: that it is open, or that a plugin has spoiled it for all others."""
    if message["is"] == "spoiled":
        what = {"plugin": message["plugin"], "problem": message["problem"]}
        telemetry.emit("session.spoiled", **_whose(session.key), project_name=session.name, **what)
        return
    session.opens()
    found = session.opening
    facts = {
        "project_name": session.name,
        "kind": found.kind if found is not None else "",
        "configuration": found.configuration if found is not None else "",
        **{name: message.get(name) for name in _TOLD},
    }
    telemetry.emit("session.opened", **_whose(session.key), **facts)


def lost(session: Session, worker: Worker, loss: WorkerExit, pause: float) -> None:
    """Its worker died. Said where a pause follows, since that comes again and again: the worker's own end is known."""
    if pause > 0:
        facts = {"deaths": session.backoff.in_vain, "how": loss.how, "retry_in": pause}
        telemetry.emit("worker.waiting", site=worker.site, plugin=worker.name, **facts)


def outdated(session: Session, changed: str) -> None:
    """What it is made of is not what it was."""
    telemetry.emit("session.outdated", **_whose(session.key), project_name=session.name, changed=changed)


def failed(site: str, project: int | str, trouble: ToolkitError) -> None:
    """A project's Toolkit could not be had."""
    facts = {"kind": trouble.kind, "problem": trouble.problem, "cure": trouble.cure, "passing": trouble.passing}
    telemetry.emit("session.failed", site=site, project=project, **facts, file=trouble.file)


def _whose(key: SessionKey) -> dict[str, Any]:
    return {"site": key.site, "project": key.project}
