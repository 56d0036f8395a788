"""The command line: one group, each command in a file of its own under ``commands`` and imported only when it is asked for.

A command returns its exit code, or None for 0. The codes: 0 well, 1 trouble found (or a defect of Callsheet), 2 usage or
configuration, 130 Ctrl-C, 141 a reader that went away.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click

from callsheet.cli import signals
from callsheet.cli.examples import examples
from callsheet.errors import CallsheetError, ConfigError, of_system
from callsheet.version import __version__
from callsheet.wire.texts import printable

TROUBLE = 1
USAGE = 2
INTERRUPTED = 130
READER_GONE = 141

SECTIONS: dict[str, dict[str, str]] = {
    "Begin": {
        "demo": "Show it all at work on a pretend site, until Ctrl-C",
        "sandbox": "Run a pretend Flow Production Tracking site for trying things out",
        "new": "Write a commented plugin that works as it is",
        "check": "Check a configuration, and that its sites answer",
        "import-state": "Take over from shotgunEvents where each plugin stands",
        "export-state": "Go back to shotgunEvents: write where each plugin stands",
    },
    "Run": {
        "run": "Run the daemon in the foreground",
        "stop": "Stop the running daemon in order",
    },
    "Look": {
        "status": "Show how the daemon, its sites and its plugins are",
        "plugins": "Show each plugin, its callbacks and what they ask for",
        "workers": "Show the processes that plugins run in",
        "deliveries": "Show deliveries, or one of them with all that is known",
        "explain": "Say why an event ran, or did not run, in each callback",
        "toolkit": "Show, check, warm or retire the Toolkit sessions of projects",
    },
    "Fix": {
        "retry": "Try deliveries again, now",
        "skip": "Give deliveries up, on purpose",
        "hold": "Let a plugin, or one of its lanes, stand still on purpose",
        "release": "Let a plugin's held lanes go on from where they stand",
        "forget": "Forget a plugin that is gone: its place, and what waits for it",
        "reload": "Have the running daemon load plugins anew",
        "replay": "Deliver events to a plugin again, or after all",
        "reset-cursor": "Say where the reading of a site goes on, as after a restore",
        "operations": "Show what operators did, by whom, when and why",
    },
}
"""Section → command → the first sentence of its help. Kept here so that ``--help`` need not import the commands."""

SHORT_HELP = {name: line for section in SECTIONS.values() for name, line in section.items()}


ELSEWHERE = {
    "start": (
        "Callsheet does not go into the background by itself: `callsheet run [CONFIG]` runs it in the foreground, and a service "
        "manager such as systemd keeps it running (docs/operating.md has a unit for that)."
    ),
    "foreground": "`callsheet run [CONFIG]` runs it in the foreground.",
    "restart": (
        "`callsheet stop [CONFIG]`, then start it as before: with your service manager, or with `callsheet run [CONFIG]`. No "
        "restart is needed for changed plugins, which are loaded by themselves, or with `callsheet reload [CONFIG] PLUGIN`."
    ),
}
"""Commands that shotgunEvents has, and what to do here instead."""


class Commands(click.Group):
    """A group whose commands are files: ``import-state`` is ``commands/import_state.py``, which offers ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click asks for it
        """All names, in the order of SECTIONS."""
        return list(SHORT_HELP)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click asks for it
        """Import the command's file; None for a name not in SECTIONS."""
        if cmd_name not in SHORT_HELP:
            return None
        module = import_module(f"callsheet.cli.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; a name that is nearly one says which one."""
        if args and args[0] in ELSEWHERE:
            ctx.fail(f"There is no command {args[0]!r}. {ELSEWHERE[args[0]]}")
        if args and args[0] not in SHORT_HELP and not args[0].startswith("-"):
            near = get_close_matches(args[0], SHORT_HELP, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "'callsheet --help' lists them all."
            ctx.fail(f"There is no command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click asks for it
        """List the commands by section, without importing one."""
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(list(commands.items()), col_max=14)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. A reader that went away (``| head``) is no failure of ours and ends quietly."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _abandon_stdout()
            ctx.exit(READER_GONE)
        return result


hung: list[str] = []
"""What hangs in a thread, such as the terminal: the interpreter would wait for it on its way out, so the process ends without."""


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        ("callsheet demo", "see it at work, without a site"),
        ("callsheet check callsheet.toml", "with a site of your own: is the configuration right, does the site answer?"),
        ("callsheet run callsheet.toml", "and go"),
        ("callsheet status callsheet.toml", "is all well?"),
    ),
)
@click.version_option(__version__, prog_name="callsheet", message="%(prog)s %(version)s")
def group() -> None:
    """The event daemon for Flow Production Tracking.

    It reads a site's event log and calls the plugins that asked for each event: in order, apart from each other, and without
    losing one. Plugins of shotgunEvents run as they are.

    CONFIG is a TOML file or a shotgunEventDaemon.conf. Where it is left out, it is what CALLSHEET_CONFIG names, else
    the first of ./callsheet.toml, ./shotgunEventDaemon.conf, /etc/callsheet/callsheet.toml, /etc/callsheet.toml and
    /etc/shotgunEventDaemon.conf that there is.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command line (default: this process's) and exit with its code."""
    if arguments is None and sys.argv[1:2] == ["run"]:
        signals.catch()  # before the second that the daemon's modules take to load
    _print_anything()
    code = _outcome(arguments)
    if hung:
        os._exit(code)
    sys.exit(code)


def _print_anything() -> None:
    """Let no character fail a command, whatever the terminal's encoding: a file name may be of any bytes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _outcome(arguments: Sequence[str] | None) -> int:
    colour = False if os.environ.get("NO_COLOR") else None
    try:
        result = group.main(arguments, prog_name="callsheet", standalone_mode=False, color=colour)
    except click.ClickException as problem:
        problem.message = printable(problem.message, lines=True)  # type: ignore[misc] # an exception's, which nobody shares
        problem.show()
        return problem.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except CallsheetError as problem:
        _say(_told(problem))
        return USAGE
    except Exception as problem:  # noqa: BLE001 - the last resort: whatever it is, it is told in full
        told = of_system(problem)
        if told is None:
            _tell_defect()
            return TROUBLE
        named = getattr(problem, "filename", None) is not None
        if not named:  # it may be stdout that can't be written
            _abandon_stdout()
        _say(f"callsheet: {told}")
        return USAGE if named else TROUBLE
    return result if isinstance(result, int) else 0


def _abandon_stdout() -> None:
    """The interpreter flushes stdout once more on its way out: let that go nowhere."""
    with suppress(OSError, ValueError):  # there is no descriptor behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    with suppress(OSError):  # stderr is on a full disk: the exit code is all that is left
        click.echo(printable(text, lines=True), err=True)


def _told(problem: CallsheetError) -> str:
    """A problem as the user reads it: one line, or a heading and a line per mistake."""
    if isinstance(problem, ConfigError) and len(problem.problems) > 1:
        return "\n".join([f"callsheet: {len(problem.problems)} mistakes in the configuration:", *problem.problems])
    return f"callsheet: {problem}"


def _tell_defect() -> None:
    import traceback  # noqa: PLC0415 - costs start-up time and is for this one case

    click.echo("callsheet: this should not have happened; it is a defect of Callsheet, not of your set-up.\n", err=True)
    click.echo(printable(traceback.format_exc(), lines=True), err=True)
    command = " ".join(["callsheet", *sys.argv[1:]])
    click.echo(f"Please report these lines to Callsheet's issue tracker. Version {__version__}, command: {command}", err=True)
