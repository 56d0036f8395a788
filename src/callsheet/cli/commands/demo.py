"""``callsheet demo``: a pretend site with pretend artists, the real daemon and three plugins, to look at."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from importlib.resources import as_file, files
from pathlib import Path
from types import FrameType

import click
from shotgun_api3.shotgun import __version__ as api_version

from callsheet import logs, telemetry
from callsheet.cli import TROUBLE
from callsheet.cli.examples import examples
from callsheet.cli.live_view import Live
from callsheet.cli.tables import echo
from callsheet.daemon import Daemon
from callsheet.domain.delivery import State
from callsheet.domain.event import Event
from callsheet.domain.plugin import PluginState
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.policy.routing import Routes
from callsheet.report.live_stats import event_in_words
from callsheet.sandbox import Activity, Sandbox
from callsheet.settings import LogSettings, Secret, Settings, SiteSettings
from callsheet.state_folder import LEDGER

SITE = "sandbox"
SETTLE = 30.0
"""Seconds given to deliveries that are still due when the artists have stopped."""


@click.command(
    epilog=examples(
        ("callsheet demo", "look at it until Ctrl-C"),
        ("DEMO_SECONDS=20 callsheet demo", "the same for 20 seconds; exits 0 only if every matched event was delivered"),
    )
)
@click.option("--seconds", type=click.FloatRange(min=1), envvar="DEMO_SECONDS", help="End by itself after so many seconds.")
@click.option("--rate", type=click.FloatRange(min=0.1), default=4.0, show_default=True, help="Changes per second by the artists.")
def command(*, seconds: float | None, rate: float) -> int:
    """Show it all at work on a pretend site, until Ctrl-C.

    A sandbox site on loopback, artists who change things on it, the daemon as it would run in a studio, and three plugins: one
    written for shotgunEvents, one that writes back to the site, and one that fails twice for each event before it succeeds.
    """
    enough = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        enough.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with (
        tempfile.TemporaryDirectory(prefix="callsheet-demo-") as folder,
        as_file(files("callsheet.cli") / "samples") as samples,
        Sandbox() as sandbox,
    ):
        settings = _settings(sandbox, Path(folder), samples)
        first = sandbox.events()[-1]["id"] if sandbox.events() else 0
        daemon = Daemon(settings)
        # The screen belongs to the live view; the log is in the state folder, as it would be in a studio.
        logging = logs.start(settings, foreground=False, api_version=api_version)

        def describe(_site: str, event_id: int) -> str:
            return event_in_words(sandbox.events(after=event_id - 1)[0])

        serving = threading.Thread(target=daemon.run, name="daemon", daemon=True)
        try:
            with (
                Live(f"demo on {sandbox.url}", seconds=seconds, describe=describe) as live,
                telemetry.recording("plugin.ready") as seen,
            ):
                serving.start()
                for plugin in ("log_changes", "shot_follows_tasks", "post_to_chat"):
                    seen.wait_for("plugin.ready", plugin=plugin)
                with Activity(sandbox, rate=rate, seed=65):
                    enough.wait(seconds)
                missing = _settle(settings, sandbox, first)
            daemon.stop("the demo has ended")
            serving.join(SETTLE)
            echo(*str(live.summary()).split("\n"))
        finally:
            daemon.stop("the demo has ended")
            logging.close()
        return _verdict(missing)


def _settings(sandbox: Sandbox, folder: Path, samples: Path) -> Settings:
    site = SiteSettings(name=SITE, url=sandbox.url, script=sandbox.script, key=Secret(sandbox.key), plugins=(samples,), poll=0.5)
    return Settings(
        source=folder / "callsheet.toml",
        state=folder / "state",
        sites=(site,),
        log=LogSettings(path=folder, file="callsheet.log"),
        grace=5.0,
    )


def _settle(settings: Settings, sandbox: Sandbox, first: int) -> list[str]:
    """Wait until all that is due has been delivered; returns what was not, in words."""
    ledger = SqliteLedger(settings.state / LEDGER)
    try:
        deadline = time.monotonic() + SETTLE
        while True:
            missing = _missing(ledger, sandbox, first)
            if not missing or time.monotonic() > deadline:
                return missing
            threading.Event().wait(0.1)
    finally:
        ledger.close()


def _missing(ledger: SqliteLedger, sandbox: Sandbox, first: int) -> list[str]:
    """What each plugin should have got, judged from the site's own log, against what the ledger says was done."""
    shown = ledger.overview()
    callbacks = [callback for plugin in shown.plugins if plugin.state is PluginState.READY for callback in plugin.callbacks]
    routes = Routes(callbacks)
    due = sum(len(routes.route(Event(SITE, data))) for data in sandbox.events(after=first))
    done = shown.states.get(State.DONE, 0) + shown.states.get(State.SKIPPED, 0)
    open_ones = {state.word: count for state, count in shown.states.items() if count and state not in (State.DONE, State.SKIPPED)}
    if done == due and not open_ones:
        return []
    return [f"{due} deliveries were due, {done} were made", *(f"{count} {word}" for word, count in open_ones.items())]


def _verdict(missing: list[str]) -> int:
    if missing:
        echo(f"Not everything was delivered: {'; '.join(missing)}. This is a defect; please report it.", err=True)
        return TROUBLE
    echo("Every matched event was delivered.")
    return 0
