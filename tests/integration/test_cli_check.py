"""``callsheet check``: what a start would be refused for, or run the worse for, is said beforehand, with its place and its cure."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from callsheet.cli import main
from callsheet.domain.callback import PluginKey
from callsheet.domain.plugin import Manifest, PluginFile, PluginState
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.sandbox import Sandbox
from tests.support.disk import small_disk
from tests.support.events import callback
from tests.support.mail_server import Postbox
from tests.support.users import NOBODY, acting_as, as_root

SITE = """
[sites.studio]
url = "http://127.0.0.1:9"
script = "s"
key = { env = "A_KEY" }
plugins = ["plugins"]
"""
Check = Callable[..., tuple[int, str]]


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Check:
    """Writes a configuration and checks it (or does ``words``): the exit code, and all that was printed."""
    monkeypatch.setenv("A_KEY", "the-key")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mailer.py").touch()

    def run(top: str, tables: str = "", *, words: tuple[str, ...] = ("check", "--offline")) -> tuple[int, str]:
        config = tmp_path / "callsheet.toml"
        config.write_text(top + SITE + tables)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([words[0], str(config), *words[1:]])
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, (said.out + said.err).replace(f"{tmp_path}/", "")

    return run


BAD = ["file/x", "circle/x", "link/x/y", "n" * 300]
"""Places that can't be: below a file, in a circle of links, behind a link that leads below a file; a name too long."""


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "link").symlink_to("file")
    return tmp_path


@pytest.mark.usefixtures("bad")
@pytest.mark.parametrize("place", BAD)
@pytest.mark.parametrize(
    ("top", "tables", "said"),
    [
        ('state = "{}"\n', "", "callsheet.toml:1: state: the folder {} can't be made: "),
        ('state = "ok"\npid_file = "{}"\n', "", "callsheet.toml:2: pid_file: the pid file {} can't be written: "),
        ('state = "ok"\n', '[log]\npath = "{}"\nfile = "log"\n', "callsheet.toml:9: [log] path: the log file {}/log can't be "),
        ('state = "ok"\n', '[log]\nfile = "{}"\n', "callsheet.toml:9: [log] file: the log file {} can't be written: "),
    ],
    ids=["state", "pid_file", "log.path", "log.file"],
)
def test_a_place_that_can_not_be_used_is_a_mistake_before_the_start_and_at_it(
    check: Check, place: str, top: str, tables: str, said: str
) -> None:
    code, told = check(top.format(place), tables.format(place))

    assert code == 2
    assert told.startswith(f"callsheet: {said.format(place)}")
    assert told.count("\n") == 1

    code, told = check(top.format(place), tables.format(place), words=("run",))
    assert code == 2, told
    assert "defect" not in told
    assert told.splitlines()[-1].startswith("callsheet: ")
    assert place in told


@pytest.mark.usefixtures("bad")
@pytest.mark.parametrize("words", [("check", "--offline"), ("run",), ("import-state", "--dry-run"), ("status",), ("explain", "1")])
@pytest.mark.parametrize("place", BAD)
@pytest.mark.parametrize("key", ["state", "import_state", "plugins", "key"])
def test_no_command_takes_a_path_that_can_not_be_read_for_a_defect(
    check: Check, words: tuple[str, ...], place: str, key: str
) -> None:
    top = f'{key} = "{place}"\n' if "state" in key else ""
    top = top if key == "state" else f'state = "ok"\n{top}'
    tables = {"plugins": f'[sites.b]\nurl = "http://x"\nscript = "s"\nkey = {{ env = "A_KEY" }}\nplugins = ["{place}"]\n'}
    tables["key"] = f'[mail]\nserver = "x"\nfrom = "a@b"\nto = ["a@b"]\nsubject = "x"\npassword = {{ file = "{place}" }}\n'
    if words == ("run",) and key in {"plugins", "import_state"}:
        pytest.skip("a daemon starts all the same")

    code, told = check(top, tables.get(key, ""), words=words)

    assert "defect" not in told
    assert "Traceback" not in told
    assert code in (0, 1, 2)


@as_root
def test_places_without_rights_are_mistakes(check: Check, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(0o700)
    config = tmp_path / "callsheet.toml"
    config.touch()
    config.chmod(0o666)
    with acting_as(NOBODY, through=tmp_path):
        code, told = check(
            'state = "locked/state"\npid_file = "locked/pid"\n', '[log]\npath = "locked/log"\nfile = "log"\ntiming = true\n'
        )

    assert code == 2
    assert [re.sub(r" can't.*", "", line) for line in told.splitlines()[1:]] == [
        "callsheet.toml:1: state: the folder locked/state",
        "callsheet.toml:10: [log] path: the log file locked/log/log",
        "callsheet.toml:2: pid_file: the pid file locked/pid",
    ]
    assert told.count("Permission denied. Give the user that runs Callsheet") == 3


def test_a_full_disk_is_a_mistake(check: Check, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        if disk is None:
            pytest.skip("needs the right to mount a tmpfs")
        disk.fill()
        code, told = check('state = "disk/state"\n')
    assert (code, "No space left on device. Free some space" in told) == (2, True)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 2.7; exit 1", "is Python 2.7, and workers need 3.7; name a Python 3.7 or later"),
        ("echo 3.6", "is Python 3.6, and workers need 3.7; name a Python 3.7 or later"),
        ("exit 127", "is no Python that runs, and workers need 3.7; name a Python 3.7 or later"),
        ("echo 3.9; echo 'ModuleNotFoundError: no' >&2; exit 1", "can't import shotgun_api3 (ModuleNotFoundError: no); install it"),
    ],
)
def test_a_python_that_no_worker_runs_in_is_a_mistake(check: Check, tmp_path: Path, script: str, said: str) -> None:
    (tmp_path / "python").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "python").chmod(0o755)

    code, told = check('state = "ok"\n', '[crew]\npython = "./python"\n')

    assert code == 2
    assert told.startswith("callsheet: callsheet.toml:9: [crew] python: python ")
    assert said in told
    assert check('state = "ok"\n', f'[crew]\npython = "{sys.executable}"\n')[0] == 0


def test_a_plugin_that_is_named_and_not_there_is_trouble_with_the_name_that_was_meant(check: Check) -> None:
    code, told = check(
        'state = "ok"\n', '[plugins.mailr]\ntimeout = "1m"\n[plugins.nosuch]\ngroup = "a"\n[plugins.mailer]\ngroup = "a"\n'
    )

    assert code == 1
    assert "callsheet.toml:8: [plugins.mailr]: there is no plugin mailr in any folder; did you mean mailer?" in told
    assert "callsheet.toml:10: [plugins.nosuch]: there is no plugin nosuch in any folder; correct the name" in told
    assert "plugins.mailer]" not in told
    assert "All is well" not in told


def test_a_mail_server_that_does_not_answer_or_takes_no_login_is_trouble(check: Check) -> None:
    mail = '[mail]\nserver = "127.0.0.1"\nport = {}\nfrom = "a@b.c"\nto = ["a@b.c"]\nsubject = "x"\ntls = false\n'
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    code, told = check('state = "ok"\n', mail.format(port), words=("check", "--json"))

    assert code == 1
    assert any(f"no mail can be sent through 127.0.0.1:{port} ([Errno 111]" in one for one in json.loads(told)["trouble"])
    with Postbox() as postbox:
        _, told = check('state = "ok"\n', mail.format(postbox.port), words=("check", "--json"))
        assert json.loads(told)["trouble"] == []
        login = 'username = "x"\npassword = { env = "A_KEY" }\n'
        _, told = check('state = "ok"\n', mail.format(postbox.port) + login, words=("check", "--json"))
        assert len(json.loads(told)["trouble"]) == 1


def test_a_folder_of_toolkit_that_is_named_and_away_is_trouble(check: Check) -> None:
    code, told = check('state = "ok"\n', '[toolkit]\nconfigs = "away"\nstarter = "plugins/mailer.py"\n')

    assert code == 1
    assert "callsheet.toml:9: [toolkit] configs: the folder away can't be read: No such file or directory." in told
    assert "[toolkit] starter: plugins/mailer.py is a file, expected a folder" in told


@as_root
def test_the_state_folder_of_another_user_or_open_to_others_is_a_mistake(check: Check, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)

    code, told = check('state = "open"\n')

    assert code == 2
    assert "callsheet.toml:1: state: the folder open can be written by others (mode 0777)" in told


def test_checking_makes_nothing(check: Check, tmp_path: Path) -> None:
    code, _ = check('state = "ok/state"\npid_file = "run/pid"\n', '[log]\npath = "logs"\nfile = "log"\n')

    assert code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"callsheet.toml", "plugins"}


def test_what_loaded_plugins_ask_for_is_held_against_the_sites_schema(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox() as sandbox:
        monkeypatch.setenv("A_KEY", sandbox.key)
        (tmp_path / "plugins").mkdir()
        config = tmp_path / "callsheet.toml"
        told = SITE.replace("http://127.0.0.1:9", sandbox.url).replace('"s"', f'"{sandbox.script}"')
        config.write_text(f'state = "{tmp_path / "state"}"\n{told}')
        (tmp_path / "state").mkdir(mode=0o700)
        with closing(SqliteLedger(tmp_path / "state" / "ledger.db")) as ledger:
            plugin = PluginFile(PluginKey("studio", "mailer"), str(tmp_path / "plugins" / "mailer.py"), 0, 1.0)
            for name, attribute in (("right", "sg_status_list"), ("wrong", "sg_stauts_list")):
                one = callback(name, "Shotgun_Task_Change", plugin="mailer", attributes=(attribute,))
                ledger.enrol([plugin], PluginState.LOADING, 1.0)
                ledger.describe(plugin, Manifest(plugin.key, 1, (one,)), 1.0)
                capsys.readouterr()
                with pytest.raises(SystemExit) as ended:
                    main(["check", str(config)])
                said = capsys.readouterr().out
                assert ended.value.code == (0 if name == "right" else 1), said
        assert (
            'trouble: mailer.wrong: Task has no field "sg_stauts_list", which attribute names; did you mean "sg_status_list"?'
            in said
        )
