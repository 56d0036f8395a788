"""What is wrong with workers, and which of their calls take long. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator

from callsheet.domain.overview import BACKING_OFF, FAILED, STUCK, Overview, WorkerRow
from callsheet.report.formatting import ago, count, duration, first_line
from callsheet.report.trouble import Trouble, command

LONG_CALL = 600.0
"""Seconds after which a call counts as one that may never end."""

REMARKED_CALL = 60.0
"""Seconds after which a call is remarked on: it may be honest work, or a loop without an end."""


def patience(worker: WorkerRow, shown: Overview) -> float:
    """Seconds that the call which the worker is at may take by its own ``timeout``; 0 where none is set."""
    called = [
        callback
        for plugin in shown.plugins
        if plugin.key.site == worker.site and plugin.key.name in worker.plugins
        for callback in plugin.callbacks
        if worker.call.startswith(f"callback {callback.key.name} at ")
    ]
    return max((one.timeout or 0.0 for one in called), default=0.0)


def remarks(shown: Overview, now: float) -> list[str]:
    """Calls that take long, and are no trouble yet; none for as long as a ``timeout`` of their own allows."""
    return [
        f"The worker of {', '.join(one.plugins) or _session(one)} (process {one.pid}) has been in {one.call} for "
        f"{duration(now - one.called_at)}. A loop that does not end looks like this; a `timeout` would end it."
        for one in shown.workers
        if one.called_at is not None
        and max(REMARKED_CALL, allowed := patience(one, shown)) <= now - one.called_at
        and now - one.called_at < max(LONG_CALL, allowed)
    ]


def of_worker(worker: WorkerRow, patience: float, config: str, now: float, broken: Container[tuple[str, str]]) -> Iterator[Trouble]:
    """What is wrong with a worker. ``patience``: see there. ``broken``: site and name of plugins that can't be loaded."""
    if worker.state == STUCK:
        yield Trouble(
            f"Process {worker.pid}, a worker of {', '.join(worker.plugins) or _session(worker)}, was killed and does "
            f"not end ({ago(worker.since, now)}); another one has taken its place.",
            "It most likely waits in the kernel for a share that does not answer; the system's log may tell. It ends once that "
            "answers, or is unmounted with `umount -f`.",
            "worker-stuck",
            worker.site,
            place=str(worker.pid),
            since=worker.since,
        )
    if worker.state == FAILED and worker.toolkit is not None:
        yield Trouble(
            first_line(worker.problem),
            first_line(worker.toolkit.cure),
            "toolkit",
            worker.site,
            place=str(worker.project),
            since=worker.since,
        )
    if worker.called_at is not None and now - worker.called_at >= max(LONG_CALL, patience):
        yield _of_long_call(worker, worker.called_at, config, now)
    broken_alone = worker.plugins and all((worker.site, name) in broken for name in worker.plugins)
    if worker.state != BACKING_OFF or broken_alone:
        return  # what is said of a broken plugin says this, too
    names = ", ".join(worker.plugins) or _session(worker)
    left = 0.0 if worker.retry_at is None else worker.retry_at - now
    again = f"is started again in {duration(left)}" if left > 0 else "is started again"
    show = command("deliveries", config, f"--plugin {worker.plugins[0]} --failures" if len(worker.plugins) == 1 else "--failures")
    yield Trouble(
        f"The worker of {names} was lost again and again ({count(worker.restarts, 'time')}), and {again}: "
        f"{first_line(worker.problem) or 'see the log'}",
        f"Nothing is lost meanwhile. `{show}` says what it was at; fix the plugin, and it is started at once.",
        "worker-lost",
        worker.site,
        "+".join(worker.plugins),
        since=worker.since,
    )


def _session(worker: WorkerRow) -> str:
    return f"project {(worker.toolkit and worker.toolkit.project) or worker.project}"


def _of_long_call(worker: WorkerRow, since: float, config: str, now: float) -> Trouble:
    lasts = f"has been {'' if worker.call.startswith('looking') else 'in '}{worker.call} for {duration(now - since)}"
    if worker.project is not None:
        project = _session(worker)
        return Trouble(
            f"The Toolkit session of {project} {lasts}; what comes for that project waits.",
            "If that is no honest work, see whether the shares that it is on answer. "
            f"`{command('toolkit retire --now', config, f'{worker.site}/{worker.project}')}` ends it, and what waits gets another. "
            "A `timeout`, of session() or of the callback, ends such calls by itself.",
            "toolkit-busy",
            worker.site,
            place=str(worker.project),
            since=since,
        )
    names = ", ".join(worker.plugins)
    return Trouble(
        f"The worker of {names} {lasts}; what comes behind it in its lane waits.",
        f"If that is no honest work, `kill -9 {worker.pid}` ends it, and the delivery is tried again once the plugin is fixed. A "
        "`timeout`, of the callback, in [plugins.NAME] or [crew], ends such calls by itself, and keeps the stack at that moment: "
        f"`{command('deliveries', config, '--failures')}` shows it.",
        "long-call",
        worker.site,
        "+".join(worker.plugins),
        str(worker.pid),
        since,
    )
