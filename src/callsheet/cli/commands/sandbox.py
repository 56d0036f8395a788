"""``callsheet sandbox``: a pretend FPT site, until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click

from callsheet.cli.examples import examples
from callsheet.cli.tables import echo
from callsheet.errors import CallsheetError
from callsheet.sandbox import Activity, Fault, Sandbox
from callsheet.sandbox.faults import KINDS

_FACTS = """\
A pretend FPT site is ready. Ctrl-C ends it.

  url     {url}
  script  {script}
  key     {key}

In a plugin or a shell:

  import shotgun_api3
  sg = shotgun_api3.Shotgun("{url}", script_name="{script}", api_key="{key}")

In a configuration, after  export SG_EVENT_KEY={key}

  [sites.sandbox]
  url = "{url}"
  script = "{script}"
  key = {{ env = "SG_EVENT_KEY" }}
  plugins = ["plugins/"]
"""


def _faults(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[Fault, ...]:
    """``status:status=503,probability=0.1`` as a Fault, for each."""
    made = []
    for one in given:
        kind, _, rest = one.partition(":")
        spec: dict[str, Any] = {"kind": kind}
        for pair in filter(None, rest.split(",")):
            name, _, text = pair.partition("=")
            spec[name] = text
            with contextlib.suppress(ValueError):
                spec[name] = json.loads(text)
        try:
            made.append(Fault.of(spec))
        except (ValueError, TypeError) as problem:
            raise click.BadParameter(f"{one}: {problem}") from None
    return tuple(made)


@click.command(
    epilog=examples(("callsheet sandbox --activity 2", "with pretend artists at work, two changes a second"))
    + "\n\nKinds of faults: "
    + "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())
    + ".",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8899, show_default=True, help="Port to answer at; 0 for any free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to answer at.")
@click.option(
    "--file", type=click.Path(dir_okay=False, path_type=Path), help="Keep everything in this file, for the next start too."
)
@click.option(
    "--activity", type=click.FloatRange(0), default=0.0, metavar="RATE", help="Pretend artists make RATE changes per second."
)
@click.option("--events", type=click.IntRange(0), default=0, metavar="N", help="Begin with N more events in the log.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the artists' doings and of random faults.")
@click.option("--script", default="callsheet_demo", show_default=True, help="Name of the script that is let in.")
@click.option("--key", help="Its key; made up if not given.")
@click.option(
    "--fault",
    "faults",
    callback=_faults,
    multiple=True,
    metavar="KIND[:NAME=VALUE,…]",
    help="Fail in this way, e.g. status:status=503,count=3 (see below).",
)
@click.option("--json", "as_json", is_flag=True, help="Say url, script and key as one line of JSON, and nothing else.")
def command(  # noqa: PLR0917 - click passes options by name
    port: int,
    host: str,
    file: Path | None,
    activity: float,
    events: int,
    seed: int,
    script: str,
    key: str | None,
    faults: tuple[Fault, ...],
    as_json: bool,  # noqa: FBT001 - click passes options by name
) -> None:
    """Run a pretend Flow Production Tracking site for trying things out.

    shotgun_api3 can't tell it from a real one for what plugins do: every change makes its events.
    It can also be told to fail, while it runs, over HTTP: see callsheet.sandbox.control.
    """
    try:
        sandbox = Sandbox(file, host=host, port=port, script=script, key=key, seed=seed)
    except OSError as problem:
        raise CallsheetError(
            f"The sandbox can't answer at {host}:{port}: {problem}. Choose another --port, or 0 for any."
        ) from None
    with sandbox:
        if events:
            sandbox.add_events(events)
        for fault in faults:
            sandbox.faults.add(fault)
        ended = _ending()
        facts = {"url": sandbox.url, "script": sandbox.script, "key": sandbox.key}
        click.echo(json.dumps(facts) if as_json else _FACTS.format(**facts))
        started, before = time.monotonic(), sandbox.site.log.next_id
        with Activity(sandbox, activity, seed) if activity else contextlib.nullcontext():
            _wait(sandbox, before, ended, quiet=as_json or not sys.stderr.isatty())
        if not as_json:
            echo(f"{_counts(sandbox, before)} in {time.monotonic() - started:.0f} s")


def _ending() -> threading.Event:
    """Set by Ctrl-C and SIGTERM, from now on."""
    ended = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: ended.set())
    return ended


def _wait(sandbox: Sandbox, before: int, ended: threading.Event, *, quiet: bool) -> None:
    """Until the end; on a terminal with a line of figures that is kept up to date."""
    while not ended.wait(None if quiet else 1.0):
        click.echo(f"\r{_counts(sandbox, before)} ", nl=False, err=True)
    if not quiet:
        click.echo(err=True)


def _counts(sandbox: Sandbox, before: int) -> str:
    return f"{sandbox.site.log.next_id - before:,} events, {sum(sandbox.requests().values()):,} calls"
