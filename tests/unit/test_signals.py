"""Signals of a running daemon: each in a process of its own, which they may end."""

from __future__ import annotations

import subprocess
import sys

HEAD = """
import os, signal, sys
from callsheet.cli import signals
def kill(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)
"""


def outcome(code: str) -> tuple[int, str]:
    """Exit code and output of that code."""
    done = subprocess.run([sys.executable, "-c", HEAD + code], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_what_comes_before_there_is_a_daemon_is_kept_and_what_comes_behind_it_ends_nothing() -> None:
    code = """
signals.catch()
kill(signal.SIGTERM, signal.SIGHUP, signal.SIGTERM)
heard = []
with signals.acting(lambda number: heard.append(number.name)):
    kill(signal.SIGHUP)
kill(signal.SIGTERM, signal.SIGHUP, signal.SIGTERM)
# On its way out the interpreter gives every signal but ignored ones its default action back.
assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
print(*heard)
"""
    assert outcome(code) == (0, "SIGTERM SIGHUP SIGTERM SIGHUP\n")


def test_a_second_ctrl_c_ends_the_process_at_once() -> None:
    code = """
signals.catch()
kill(signal.SIGINT)
try:
    kill(signal.SIGINT)
except KeyboardInterrupt:
    print("at once")
"""
    assert outcome(code) == (0, "at once\n")


def test_elsewhere_all_is_as_before_behind_the_daemon() -> None:
    code = """
before = [signal.getsignal(number) for number in signals.HEEDED]
with signals.acting(lambda number: print(number.name, flush=True)):
    kill(signal.SIGTERM)
assert [signal.getsignal(number) for number in signals.HEEDED] == before
kill(signal.SIGTERM)
"""
    assert outcome(code) == (-15, "SIGTERM\n")


def test_they_are_caught_before_the_daemons_modules_are_loaded() -> None:
    code = """
from callsheet import cli
assert "callsheet.daemon" not in sys.modules
def outcome(arguments):
    kill(signal.SIGTERM, signal.SIGTERM)
    return 0
cli._outcome = outcome
sys.argv[:] = ["callsheet", "run", "studio.toml"]
cli.main()
"""
    assert outcome(code) == (0, "")
    assert outcome(code.replace('"run"', '"check"'))[0] == -15
