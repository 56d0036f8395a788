"""Whether the daemon runs, and what is not well of its own: its services, its disks, what it found around it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from callsheet.domain.overview import Condition, DiskSpace, Heartbeat, LedgerOwner, Overview, ServiceHealth
from callsheet.report.formatting import ago, duration, first_line, size
from callsheet.report.trouble import Trouble, command

STALE_AFTER = 15.0
"""Seconds without a heartbeat (there is one a second) after which a daemon hangs, or counts as not running."""

LEAST_FREE, LEAST_SHARE, MOST_NEEDED, MOST_SHARE = 200e6, 0.02, 2e9, 0.1
"""Bytes, and the share of a disk, of which the larger has to be free; but never more than these bytes, or than this share."""

LEAST_FILES = 100

CURES = {
    "plugin-folder": "Mount or create it, or correct `plugins`; it is looked for every second. Plugins that ran from it before get "
    "all that they miss; new ones begin once they are found.",
    "plugin-file": "Correct it, or remove it; the folder is looked at every second.",
    "mail": "Correct [mail] or the server; what waits is sent by itself then. `{check}` says what the configuration has.",
    "script-silent": "Turn on `Generate Event Log Entries` of that script on the site's Scripts page; it is asked again hourly "
    "and at a start. Is it meant, give the plugins that others wait for a script of their own.",
}
"""What to do about each kind of Condition."""


class DaemonState(StrEnum):
    """Whether a daemon runs. ``SILENT``: it has died or hangs, and nobody can tell which."""

    NEVER = "never"
    STARTING = "starting"
    RUNNING = "running"
    HANGING = "hanging"
    SILENT = "silent"
    KILLED = "killed"
    STOPPED = "stopped"


def daemon_state(shown: Overview, now: float) -> DaemonState:
    """By the ledger's lock, which ends with its process, and by the last beat."""
    beat, owner = shown.heartbeat, shown.owner
    if owner is not None and owner.held and not _is_of(beat, owner, now):
        late = owner.since is not None and now - owner.since > STALE_AFTER
        return DaemonState.HANGING if late else DaemonState.STARTING
    if beat is None:
        return DaemonState.NEVER
    if beat.stopped_at is not None:
        return DaemonState.STOPPED
    if owner is not None and not owner.held:
        return DaemonState.KILLED
    if now - beat.at <= STALE_AFTER:
        return DaemonState.RUNNING
    return DaemonState.SILENT if owner is None else DaemonState.HANGING


def is_running(shown: Overview, now: float) -> bool:
    """Whether a daemon runs, and beats."""
    return daemon_state(shown, now) is DaemonState.RUNNING


def of_daemon(shown: Overview, config: str, now: float) -> Iterator[Trouble]:
    """That none runs, or that it hangs."""
    start = f"Start it with `{command('run', config)}`, or through whatever keeps it running (systemd, a container)."
    beat, owner = shown.heartbeat, shown.owner
    pid = owner.pid if owner is not None else None
    match daemon_state(shown, now):
        case DaemonState.NEVER:
            yield Trouble("The daemon has never run on this state folder.", start, "daemon")
        case DaemonState.STARTING:
            yield Trouble(f"The daemon is just starting (process {pid or 'not known'}).", "Look again in some seconds.", "daemon")
        case DaemonState.HANGING:
            at = beat.at if beat is not None and (owner is None or _is_of(beat, owner, now)) else (owner.since if owner else None)
            yield Trouble(
                f"The daemon hangs: process {pid or 'not known'} has the ledger, and has given no sign of life for "
                f"{'some time' if at is None else duration(now - at)}.",
                "A disk that is full or does not answer is the usual reason; its log and the system's say more. If it does not go "
                f"on by itself: `kill -9 {pid or 'PID'}`, and start it again. Nothing is lost.",
                "daemon",
                since=at,
            )
        case DaemonState.STOPPED if beat is not None and beat.stopped_at is not None:
            what = f"The daemon is not running: it was stopped {ago(beat.stopped_at, now)}."
            yield Trouble(what, start, "daemon", since=beat.stopped_at)
        case DaemonState.KILLED if beat is not None:
            yield Trouble(
                f"The daemon is not running: process {beat.pid} was killed or crashed; it gave its last sign of life "
                f"{ago(beat.at, now)}.",
                f"{start} Nothing is lost. The system's log may say what killed it (out of memory?).",
                "daemon",
                since=beat.at,
            )
        case DaemonState.SILENT if beat is not None:
            last = f"its last sign of life was {ago(beat.at, now)}, as process {beat.pid}"
            yield Trouble(f"The daemon is not running, or hangs: {last}.", start, "daemon", since=beat.at)


def of_services(beat: Heartbeat, config: str, now: float) -> Iterator[Trouble]:
    """Parts of a running daemon that fail, hang or have ended."""
    for one in beat.services:
        yield from _of_service(one, beat.pid, config, now)


def of_disk(disk: DiskSpace) -> Iterator[Trouble]:
    """That it is full, or soon will be."""
    needed = min(max(LEAST_FREE, LEAST_SHARE * disk.total), MOST_NEEDED, MOST_SHARE * disk.total)
    few = disk.files is not None and disk.files < LEAST_FILES
    if disk.free >= needed and not few:
        return
    full = "is full" if not disk.free or disk.files == 0 else "is nearly full"
    left = f"only {disk.files} more files can be made" if few else f"{size(disk.free)} of {size(disk.total)} are free"
    yield Trouble(
        f"The disk of {disk.folder} {full}: {left}; the daemon wants at least {size(int(needed))} and {LEAST_FILES} files.",
        "Free some space, or move the folder to a larger disk. Nothing is lost: while the disk is full the daemon can't record or "
        "settle anything, and goes on by itself once there is room.",
        "disk",
        place=disk.folder,
    )


def of_condition(one: Condition, config: str) -> Trouble:
    """What the daemon found around it, with its cure."""
    cure = CURES.get(one.kind, "See the log.").replace("{check}", command("check", config))
    return Trouble(one.what, cure, one.kind, one.site, one.plugin, one.place, one.since)


def _of_service(one: ServiceHealth, pid: int, config: str, now: float) -> Iterator[Trouble]:
    again = f"If it lasts, restart the daemon (`kill {pid}`, then `{command('run', config)}`); nothing is lost."
    if one.ended:
        what = f"The daemon's service {one.name} has ended, though the daemon runs: nothing does its work."
        yield Trouble(what, f"{again} Report it with the log.", "service", place=one.name, since=one.stepped_at)
    elif one.busy_since is not None and now - one.busy_since > one.limit:
        yield Trouble(
            f"The daemon's service {one.name} hangs: its work has not got on for {duration(now - one.busy_since)}, where "
            f"{duration(one.limit)} are the most it should take.",
            f"What it waits for may be a disk, a share or the network; the log may say which. {again}",
            "service",
            place=one.name,
            since=one.busy_since,
        )
    elif one.error is not None and one.error_since is not None:
        yield Trouble(
            f"The daemon's service {one.name} fails, for {duration(now - one.error_since)} now: {first_line(one.error)}",
            f"It tries on by itself. The log has the whole error, and what to do. {again}",
            "service",
            place=one.name,
            since=one.error_since,
        )


def _is_of(beat: Heartbeat | None, owner: LedgerOwner, now: float) -> bool:
    """Whether the last beat is that of the ledger's owner. In a container each daemon has the same process id."""
    if beat is None or (owner.pid is not None and beat.pid != owner.pid):
        return False
    fresh = beat.stopped_at is None and now - beat.at <= STALE_AFTER
    return fresh or owner.since is None or beat.at >= owner.since - 1
