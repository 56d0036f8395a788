"""What is said of runs that no session could take."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Failure, Report, Run, RunEnded, Verdict
from callsheet.errors import ToolkitError
from callsheet.ports import Message
from callsheet.runtimes.session_spec import SessionSpec
from callsheet.workers.loaded_plugins import passes
from callsheet.workers.sessions.session import Session
from callsheet.workers.worker import Worker


def no_project(run: Run) -> list[Message]:
    """The event belongs to no project."""
    text = "The event belongs to no project, and so to no project's Toolkit. A callback without toolkit=True can handle it."
    return _refused(run, Verdict.SKIP, Failure("Skip", text))


def no_sessions(run: Run) -> list[Message]:
    """The executor was made without Toolkit."""
    return _refused(
        run, Verdict.GIVE_UP, Failure("NoToolkit", "This callback wants its project's Toolkit, and there is none here.")
    )


def failed(run: Run, trouble: ToolkitError, *, begun: bool) -> list[Message]:
    """The project's Toolkit can't be had. What passes is tried again; trying the rest again would not help.

    ``begun``: the plugin itself had a part in it. Otherwise nothing was tried, and it costs no attempt.
    """
    verdict = Verdict.FAILED if trouble.passing else Verdict.GIVE_UP
    failure = Failure("ToolkitError", str(trouble), trouble.traceback)
    return _refused(run, verdict, failure, passing=trouble.passing and not begun)


def not_loaded(run: Run, session: Session, worker: Worker) -> list[Message]:
    """The plugin loads outside of Toolkit, but not in this session. Where that passes, it costs the delivery no attempt."""
    problem = worker.loaded_plugins.problem(run.plugin)
    text = f"The plugin {run.plugin.name} can't be loaded in the Toolkit session of {session.name}."
    failure = Failure("PluginNotLoaded", f"{text} {problem.splitlines()[0]}", problem)
    return _refused(run, Verdict.FAILED, failure, passing=passes(worker.loaded_plugins, run.plugin))


def of_worker(told: Mapping[str, Any]) -> ToolkitError:
    """What the session's worker said of why it has no Toolkit (``agent.toolkit.diagnosis``)."""
    trace = str(told.get("traceback") or "")
    return ToolkitError(told["kind"], told["problem"], told["cure"], passing=bool(told["passing"]), traceback=trace)


def died_opening(session: Session, how: str) -> ToolkitError:
    """The worker ended before it had the Toolkit."""
    problem = (
        f"Toolkit of {session.name}, configuration {_configuration(session.opening)}: the session's worker {how} while opening."
    )
    return ToolkitError("died", problem, "It is tried again; see the log for its last words.", passing=True)


def can_not_start(session: Session, opening: SessionSpec, error: OSError) -> ToolkitError:
    """No process could be made."""
    python = opening.python or "the workers' Python"
    problem = f"Toolkit of {session.name}, configuration {opening.configuration}: no worker can be started with {python}: {error}."
    return ToolkitError("interpreter", problem, "Fix the interpreter's path, or the machine's limits.", passing=True)


def died_loading(session: Session, plugin: PluginKey, how: str) -> ToolkitError:
    """The worker ended while it loaded a plugin."""
    problem = f"The plugin {plugin.name} takes the Toolkit session of {session.name} down while it is loaded: it {how}."
    return ToolkitError("plugin", problem, "Fix the plugin.", passing=True)


def _refused(run: Run, verdict: Verdict, failure: Failure, *, passing: bool = False) -> list[Message]:
    now = time.time()
    return [Report(run.id, run.deliveries[0].id, verdict, now, now, failure, passing=passing), RunEnded(run.id)]


def _configuration(opening: SessionSpec | None) -> str:
    return opening.configuration if opening else "unknown"
