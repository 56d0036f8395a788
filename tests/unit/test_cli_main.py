"""What the command line does with errors, and with names it doesn't know."""

from __future__ import annotations

import errno
import os

import click
import pytest

from callsheet.cli import SHORT_HELP, group, main
from callsheet.errors import ConfigError, StateError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> dict[str, BaseException]:
    """Makes ``callsheet status`` raise what is put in under ``error``."""
    raised: dict[str, BaseException] = {}

    @click.command()
    def command() -> None:
        raise raised["error"]

    monkeypatch.setattr(group, "get_command", lambda _context, _name: command)
    return raised


def run(*arguments: str) -> object:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return exit_.value.code


def test_an_error_that_a_user_may_meet_is_a_line_and_exit_code_2(
    failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing["error"] = StateError("The ledger is busy. Wait for it.")
    assert run("status") == 2
    assert capsys.readouterr() == ("", "callsheet: The ledger is busy. Wait for it.\n")


def test_mistakes_in_a_configuration_are_counted_and_listed(
    failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing["error"] = ConfigError(["a.toml:1: no", "a.toml:2: neither"])
    assert run("status") == 2
    assert capsys.readouterr().err == "callsheet: 2 mistakes in the configuration:\na.toml:1: no\na.toml:2: neither\n"


def test_one_mistake_is_one_line(failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    failing["error"] = ConfigError(["a.toml:1: no"])
    run("status")
    assert capsys.readouterr().err == "callsheet: a.toml:1: no\n"


def test_a_defect_is_told_with_its_traceback_and_where_to_report_it(
    failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing["error"] = ZeroDivisionError("oh")
    assert run("status") == 1
    told = capsys.readouterr().err
    assert told.startswith("callsheet: this should not have happened; it is a defect of Callsheet")
    assert "ZeroDivisionError: oh" in told
    assert "issue tracker" in told


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/var/lib/x"), 2, "/var/lib/x: Permission denied. Give the user"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "/xx"), 2, "/xx: File name too long. Shorten that path."),
        (OSError(errno.ELOOP, "Too many levels of symbolic links", "/xx"), 2, "Links on that path lead in a circle"),
        (OSError(errno.EROFS, "Read-only file system", "/xx"), 2, "mounted read-only"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device. Free some space on that disk."),
        (OSError(errno.EMFILE, "Too many open files"), 1, "ulimit -n"),
    ],
)
def test_what_a_path_or_the_machine_does_is_a_line_with_its_cure_and_no_defect(
    failing: dict[str, BaseException], capfd: pytest.CaptureFixture[str], error: OSError, code: int, told: str
) -> None:
    failing["error"] = error
    stdout = os.dup(1)
    try:
        assert run("status") == code
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
    said = capfd.readouterr().err
    assert said.startswith("callsheet: ")
    assert told in said
    assert said.count("\n") == 1


def test_trouble_of_the_network_that_nobody_expected_is_told_in_full(
    failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing["error"] = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    assert run("status") == 1
    assert "a defect of Callsheet" in capsys.readouterr().err


def test_ctrl_c_is_quiet(failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    failing["error"] = KeyboardInterrupt()
    assert run("status") == 130
    assert capsys.readouterr().err.strip() == ""


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_command_that_exits_by_itself_keeps_its_code(failing: dict[str, BaseException], code: int) -> None:
    failing["error"] = click.exceptions.Exit(code)
    assert run("status") == code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["statsu"], "There is no command 'statsu'. Did you mean 'status'?"),
        (
            ["start", "studio.conf"],
            "There is no command 'start'. Callsheet does not go into the background by itself: `callsheet run",
        ),
        (["foreground"], "There is no command 'foreground'. `callsheet run [CONFIG]` runs it in the foreground."),
        (["restart", "--help"], "There is no command 'restart'. `callsheet stop [CONFIG]`, then start it as before"),
        (["xyzzy"], "There is no command 'xyzzy'. 'callsheet --help' lists them all."),
        (["status", "--jsn"], "--json"),
    ],
)
def test_a_wrong_word_is_a_usage_error_that_names_the_right_one(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert said in capsys.readouterr().err


def test_the_group_without_a_command_shows_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert all(f" {name} {line}" in shown for name, line in SHORT_HELP.items())
