"""Log files by mode, their names, rotation, stderr, and what happens when they can't be written."""

from __future__ import annotations

import io
import logging
import os
import re
from pathlib import Path
from typing import Literal

import pytest

from callsheet.errors import ConfigError
from callsheet.logs import start
from callsheet.logs.log_files import LogFiles, plugin_file_name, rotating_file, setup
from callsheet.settings import LogSettings, Secret, Settings, SiteSettings
from tests.support.disk import small_disk
from tests.support.users import as_root


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def record(name: str, text: str = "hello", level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord(name, level, "x.py", 1, text, None, None)


def opened(
    folder: Path, mode: Literal[0, 1] = 1, *, file: str | None = "daemon", foreground: bool = False, stderr: io.StringIO
) -> LogFiles:
    return setup(LogSettings(mode=mode, path=folder, file=file, legacy=True), foreground=foreground, stderr=stderr)


def test_mode_1_has_a_file_for_each_plugin(tmp_path: Path) -> None:
    files = opened(tmp_path / "new" / "folder", stderr=(stderr := io.StringIO()))
    files.write(record("engine"))
    files.write(record("plugin.a"), "a")
    files.write(record("plugin.a.b"), "a.b")
    files.write(record("requests"), "a")
    files.close()

    folder = tmp_path / "new" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == ["daemon", "plugin.a", "plugin.a.b"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - engine - INFO - hello\n", (folder / "daemon").read_text())
    assert [line.split(" - ")[1] for line in (folder / "plugin.a").read_text().splitlines()] == ["plugin.a", "requests"]
    assert stderr.getvalue() == ""


def test_mode_0_has_one_file(tmp_path: Path) -> None:
    files = opened(tmp_path, 0, stderr=io.StringIO())
    files.write(record("engine"))
    files.write(record("plugin.a"), "a")
    files.close()

    assert [path.name for path in tmp_path.iterdir()] == ["daemon"]
    assert len((tmp_path / "daemon").read_text().splitlines()) == 2


def test_foreground_says_it_on_stderr_too(tmp_path: Path) -> None:
    files = opened(tmp_path, foreground=True, stderr=(stderr := io.StringIO()))
    files.write(record("engine", "up", logging.WARNING))
    files.write(record("plugin.a", "there"), "a")
    files.close()

    assert stderr.getvalue() == "WARNING:engine:up\nINFO:plugin.a:there\n"
    assert (tmp_path / "daemon").read_text().endswith("up\n")


def test_without_a_file_there_is_only_stderr(tmp_path: Path) -> None:
    files = opened(tmp_path, file=None, stderr=(stderr := io.StringIO()))
    files.write(record("plugin.a"), "a")
    files.close()

    assert stderr.getvalue() == "INFO:plugin.a:hello\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "coloured"), [("NO_COLOR", "", True), ("NO_COLOR", "1", False), ("TERM", "dumb", False)]
)
def test_colours_only_on_a_terminal_that_wants_them(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, coloured: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(variable, value)
    files = setup(LogSettings(legacy=True), foreground=True, stderr=(terminal := Terminal()))
    files.write(record("engine", "up", logging.ERROR))
    files.close()

    assert terminal.getvalue() == ("\x1b[31mERROR\x1b[0m:engine:up\n" if coloured else "ERROR:engine:up\n")


@pytest.mark.parametrize(
    ("plugin", "name"),
    [
        ("my plugin", "plugin.my plugin"),
        ("a/b\\c", "plugin.a_b_c"),
        ("tab\there", "plugin.tab_here"),
        ("été", "plugin.été"),
        ("..", "plugin..."),
    ],
)
def test_odd_plugin_names_make_usable_file_names(plugin: str, name: str) -> None:
    assert plugin_file_name(plugin) == name


def test_long_plugin_names_stay_apart_and_leave_room_for_the_date() -> None:
    one, two = plugin_file_name("é" * 120 + "1"), plugin_file_name("é" * 120 + "2")

    assert one != two
    assert len(one.encode()) <= 200


def test_text_that_is_no_utf_8_is_written_all_the_same(tmp_path: Path) -> None:
    files = opened(tmp_path, stderr=io.StringIO())
    files.write(record("engine", "half \udce9 and é"))
    files.close()

    assert (tmp_path / "daemon").read_text("utf-8").endswith("half \\udce9 and é\n")


def test_file_rotates_at_midnight_and_keeps_ten_days(tmp_path: Path) -> None:
    for day in range(1, 15):
        (tmp_path / f"daemon.2020-01-{day:02d}").touch()
    (tmp_path / "daemon").write_text("yesterday's\n")
    os.utime(tmp_path / "daemon", (1_600_000_000, 1_600_000_000))
    handler = rotating_file(tmp_path / "daemon")
    handler.handle(record("engine", "today's"))
    handler.close()

    kept = sorted(path.name for path in tmp_path.glob("daemon.*"))
    assert len(kept) == 10
    assert (tmp_path / kept[-1]).read_text() == "yesterday's\n"
    assert (tmp_path / "daemon").read_text().endswith("today's\n")
    assert "yesterday" not in (tmp_path / "daemon").read_text()


def test_file_that_can_not_rotate_is_written_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "daemon").write_text("yesterday's\n")
    os.utime(tmp_path / "daemon", (1_600_000_000, 1_600_000_000))
    handler = rotating_file(tmp_path / "daemon")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    for text in ("one", "two"):
        handler.handle(record("engine", text))
    handler.close()

    lines = (tmp_path / "daemon").read_text().splitlines()
    assert [line.split(" - ")[-1] for line in lines] == ["yesterday's", "one", "two"]
    assert capsys.readouterr().err.count("can't rotate") == 1


def test_full_disk_is_said_once_and_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    handler = rotating_file(Path("/dev/full"))
    for _ in range(100):
        handler.handle(record("engine"))

    assert capsys.readouterr().err.count("callsheet: can't write /dev/full: [Errno 28] No space left on device") == 1
    handler.close()  # though what it holds can't be flushed


def test_log_file_that_can_not_be_written_is_a_config_error_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    site = SiteSettings("s", "https://x", "script", Secret("key"), ())
    settings = Settings(tmp_path / "my.conf", tmp_path, (site,), log=LogSettings(path=tmp_path / "taken", file="daemon"))

    with pytest.raises(ConfigError) as caught:
        start(settings, foreground=False, api_version="3")

    path = tmp_path / "taken"
    expected = (
        f"{tmp_path / 'my.conf'}: log file {path / 'daemon'}: can't be written: File exists. There is a file where a folder is "
        "needed: correct the path, or move the file away. Or name another place (logPath and logFile in a .conf, [log] in TOML)."
    )
    assert caught.value.problems == [expected]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_log_files_are_for_their_owner_alone_whatever_the_umask_and_so_is_what_was_rotated(tmp_path: Path, umask: int) -> None:
    (tmp_path / "plugin.old").touch()
    (tmp_path / "plugin.old").chmod(0o644)
    before = os.umask(umask)
    try:
        files = opened(tmp_path, stderr=io.StringIO())
        files.write(record("plugin.old"), "old")
        files.write(record("plugin.new"), "new")
        files.flush(10)
        handler = rotating_file(tmp_path / "daemon.timing")
        handler.handle(record("timing"))
        handler.doRollover()
        handler.close()
        files.close()
    finally:
        os.umask(before)

    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert len(modes) == 5
    assert modes.pop("plugin.old") == 0o640  # as somebody gave it to its group
    assert set(modes.values()) == {0o600}


@as_root
def test_log_files_are_readable_for_the_group_that_is_named(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        files = setup(LogSettings(mode=1, path=tmp_path, file="daemon"), foreground=False, stderr=io.StringIO(), group=54321)
        files.write(record("plugin.a"), "a")
        files.close()
        rotating_file(tmp_path / "daemon.timing", 54321).close()
    finally:
        os.umask(before)

    found = {path.name: (path.stat().st_mode & 0o777, path.stat().st_gid) for path in tmp_path.iterdir()}
    assert found == dict.fromkeys(["daemon", "plugin.a", "daemon.timing"], (0o640, 54321))


@pytest.mark.parametrize("name", ["x" * 300, "folder", "circle", "file/x"])
def test_a_log_file_of_any_impossible_name_is_a_line_with_its_cure(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")

    with pytest.raises(ConfigError) as caught:
        opened(tmp_path, file=name, stderr=io.StringIO())

    (problem,) = caught.value.problems
    assert problem.startswith(f"log file {tmp_path / name}: can't be written: ")
    assert "\n" not in problem


def test_a_disk_that_is_full_at_the_end_is_told_once_and_raises_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        if disk is None:
            pytest.skip("needs the right to mount a tmpfs")
        files = opened(disk.folder, stderr=io.StringIO())
        disk.fill()
        files.write(record("engine", "lost"))
        assert files.close()

    assert capsys.readouterr().err.count("No space left on device") == 1


FORGED = "2026-11-22 03:40:10,123 - engine - CRITICAL - forged"


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_no_text_forges_a_log_line_whatever_ends_its_lines(tmp_path: Path, ending: str) -> None:
    stderr = io.StringIO()
    files = opened(tmp_path, foreground=True, stderr=stderr)
    files.write(record("engine", f"SH010{ending}{FORGED}{ending}CRITICAL:engine:forged"))
    files.write(record(f"plugin.a{ending}{FORGED}", "b"), "a")
    files.close()

    for name in ("daemon", "plugin.a"):
        lines = (tmp_path / name).read_text("utf-8").splitlines()
        assert len([line for line in lines if line.startswith("2026-11-22")]) == 0, lines
        assert len([line for line in lines if re.match(r"\d{4}-", line)]) == 1
    assert len([line for line in stderr.getvalue().splitlines() if re.match("[A-Z]+:", line)]) == 2


def test_no_text_steers_the_terminal_that_a_log_is_read_on(tmp_path: Path) -> None:
    files = opened(tmp_path, foreground=True, stderr=(stderr := Terminal()))
    files.write(record("engine", "a\x1b]0;title\x07\x9b2J\u202eb", logging.DEBUG + 1))
    files.close()

    assert stderr.getvalue() == "Level 11:engine:a\\x1b]0;title\\x07\\x9b2J\\u202eb\n"
    assert (tmp_path / "daemon").read_text().endswith(" - a\\x1b]0;title\\x07\\x9b2J\\u202eb\n")


def test_a_traceback_keeps_its_lines(tmp_path: Path) -> None:
    text = "failed\n\nTraceback (most recent call last):\n  File x, line 1\n\tcode\nValueError: bad"
    files = opened(tmp_path, stderr=io.StringIO())
    files.write(record("engine", text))
    files.close()

    assert (tmp_path / "daemon").read_text().endswith(f" - {text}\n")


def test_plugin_file_that_can_not_be_written_sends_its_lines_to_the_engine_s(tmp_path: Path) -> None:
    (tmp_path / "plugin.p").mkdir()
    files = opened(tmp_path, stderr=io.StringIO())
    for _ in range(2):
        files.write(record("plugin.p", "kept"), "p")
    files.close()

    text = (tmp_path / "daemon").read_text()
    assert text.count("plugin.p - INFO - kept") == 2
    assert text.count("engine - ERROR - log file") == 1


def test_warning_of_a_library_in_the_daemon_reaches_the_engine_s_log_until_close(tmp_path: Path) -> None:
    files = opened(tmp_path, stderr=io.StringIO())
    logging.getLogger("shotgun_api3").warning("old server")
    logging.getLogger("plugin.p.cb").warning("an inline executor sends this as a signal")
    files.close()
    logging.getLogger("shotgun_api3").warning("afterwards")

    assert [line.split(" - ", 1)[1] for line in (tmp_path / "daemon").read_text().splitlines()] == [
        "shotgun_api3 - WARNING - old server"
    ]


def test_lines_on_stderr_have_their_time_but_for_a_conf(tmp_path: Path) -> None:
    for colours, stderr in (False, io.StringIO()), (True, Terminal()):
        files = setup(LogSettings(path=tmp_path, file="daemon"), foreground=True, stderr=stderr)
        files.write(record("engine", "up\n2026-01-01 forged", logging.WARNING))
        files.close()
        level = "\x1b[33mWARNING\x1b[0m" if colours else "WARNING"
        said = re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", "TIME ", stderr.getvalue())
        assert said == f"TIME {level}:engine:up\n    2026-01-01 forged\n"


@pytest.mark.parametrize("how", ["moved", "removed", "replaced"])
def test_a_file_that_somebody_else_rotates_is_opened_anew_at_the_next_line(tmp_path: Path, how: str) -> None:
    path, away = tmp_path / "daemon", tmp_path / "daemon.1"
    handler = rotating_file(path)
    handler.handle(record("engine", "before"))
    path.rename(away)
    if how == "removed":
        away.unlink()
    if how == "replaced":
        path.touch()
    handler.handle(record("engine", "behind"))
    handler.close()
    assert path.read_text().endswith("behind\n")
    assert "before" not in path.read_text()
    assert how == "removed" or away.read_text().endswith("before\n")


def test_a_file_is_rotated_by_size_as_well_and_ten_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "daemon"
    handler = rotating_file(path, size=200)
    for number in range(15):
        handler.handle(record("engine", f"{number} {'x' * 200}"))
    handler.doRollover()  # the day is over
    handler.handle(record("engine", "now"))
    handler.close()
    (tmp_path / "daemon.timing.2020-01-01").touch()

    rotated = sorted(one.name for one in tmp_path.iterdir() if re.fullmatch(r"daemon\.\d{4}-\d\d-\d\d(\.\d+)?", one.name))
    assert [name[len("daemon.2020-01-01") :] for name in rotated] == [f".{number:03d}" for number in range(5, 15)]
    assert [(tmp_path / name).read_text().split(" - ")[3].split()[0] for name in rotated] == [
        str(number) for number in range(5, 15)
    ]
    assert path.read_text().endswith("now\n")


def test_a_size_is_no_limit_unless_it_is_set(tmp_path: Path) -> None:
    handler = rotating_file(tmp_path / "daemon")
    for _ in range(3):
        handler.handle(record("engine", "x" * 10**6))
    handler.close()
    assert [one.name for one in tmp_path.iterdir()] == ["daemon"]
