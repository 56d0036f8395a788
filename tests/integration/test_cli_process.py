"""The command line as a process: signals, pipes, terminals, start-up."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from callsheet.domain.callback import CallbackKey, PluginKey
from callsheet.domain.delivery import NewDelivery
from callsheet.domain.event import Event
from callsheet.domain.reading import Intake
from callsheet.ledgers.sqlite import SqliteLedger

CALLSHEET = [sys.executable, "-c", "from callsheet.cli import main; main()"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a ledger of fifty deliveries, and no daemon."""
    file = tmp_path / "studio.toml"
    file.write_text(f'state = "{tmp_path}"\n')
    ledger = SqliteLedger(tmp_path / "ledger.db")
    callback = CallbackKey(PluginKey("studio", "mailer"), "mail")
    events = [Event("studio", {"id": event, "event_type": "Shotgun_Task_Change"}) for event in range(1, 51)]
    ledger.record(Intake("studio", deliveries=tuple(NewDelivery(callback, 0, event, "") for event in events), cursor=50), 1.0)
    ledger.close()
    return file


def on_a_terminal(*arguments: str, **environ: str) -> str:
    """What a command writes to a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    surroundings = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [*CALLSHEET, *arguments], stdout=theirs, stderr=theirs, env=surroundings | {"COLUMNS": "100", "TERM": "xterm"} | environ
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the terminal's other end is closed: the process has ended
            break
    process.wait()
    os.close(ours)
    return shown.decode()


@pytest.mark.parametrize("words", [["status"], ["deliveries", "--json"], ["check", "--offline"]])
def test_a_full_disk_behind_stdout_is_a_line_and_no_defect(config: Path, words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [*CALLSHEET, words[0], str(config), *words[1:]]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    if words[0] != "check":  # which says its mistakes on stderr
        assert (done.returncode, done.stderr) == (1, "callsheet: No space left on device. Free some space on that disk.\n")
    assert "defect" not in done.stderr


def test_a_reader_that_goes_away_ends_a_command_quietly(config: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*CALLSHEET, "deliveries", str(config)], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_ctrl_c_ends_a_watch_with_130_and_without_a_traceback(config: Path) -> None:
    with subprocess.Popen(
        [*CALLSHEET, "status", str(config), "--watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"daemon")  # it has drawn once, and waits
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait() == 130
        assert process.stderr.read().strip() == b""


def test_colours_are_for_terminals_and_for_those_who_want_them(config: Path) -> None:
    piped = subprocess.run([*CALLSHEET, "status", str(config)], capture_output=True, check=False)
    assert piped.returncode == 1
    assert b"\x1b" not in piped.stdout
    assert "\x1b[31m" in on_a_terminal("status", str(config))
    assert "\x1b[" not in on_a_terminal("status", str(config), NO_COLOR="1")


def test_a_terminal_is_filled_and_not_overflowed(config: Path) -> None:
    lines = on_a_terminal("deliveries", str(config), NO_COLOR="1").splitlines()
    assert 60 <= max(map(len, lines)) <= 100


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["new", "--help"], ["status", "--help"]])
def test_help_imports_neither_the_daemon_nor_what_draws(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom callsheet.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: pass\n"
        "heavy = {'rich', 'sqlite3', 'shotgun_api3', 'callsheet.daemon', 'callsheet.workers'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_running_a_daemon_does_not_import_what_draws() -> None:
    code = "import sys, callsheet.cli.commands.run\nsys.exit('imported rich' if 'rich' in sys.modules else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
