from __future__ import annotations

from pathlib import Path

import pytest

from callsheet.cli.command_context import SYSTEM, find_config, open_ledger, state_folder
from callsheet.config import load
from callsheet.errors import ConfigError, StateError

TOML = """
state = "state"
[sites.studio]
url = "https://studio.example"
script = "daemon"
key = { env = "SG_EVENT_KEY" }
plugins = ["plugins"]
"""
CONF = """
[daemon]
{daemon}
[shotgun]
server: https://studio.example
name: daemon
key: secret
[plugins]
paths: {folder}/plugins
{more}
"""


def written(folder: Path, name: str, text: str) -> Path:
    (folder / "plugins").mkdir(exist_ok=True)
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("callsheet.toml", TOML),
        ("a.conf", CONF.format(daemon="", folder="{folder}", more="")),
        ("b.conf", CONF.format(daemon="eventIdFile: {folder}/ids/last.id", folder="{folder}", more="")),
        ("c.conf", CONF.format(daemon="eventIdFile: last.id", folder="{folder}", more="[callsheet]\nstate: elsewhere")),
    ],
)
def test_the_state_folder_is_the_one_that_the_daemon_uses(tmp_path: Path, name: str, text: str) -> None:
    config = written(tmp_path, name, text.replace("{folder}", str(tmp_path)))
    assert state_folder(config) == load(config, {"SG_EVENT_KEY": "secret"}).state


def test_the_state_folder_is_found_without_the_key_and_without_the_disk_of_plugins(tmp_path: Path) -> None:
    config = written(tmp_path, "callsheet.toml", TOML.replace('"plugins"', '"/mnt/away"'))
    with pytest.raises(ConfigError):
        load(config, {})
    assert state_folder(config, {}) == tmp_path / "state"


def test_a_configuration_without_a_state_folder_says_all_that_is_wrong_with_it(tmp_path: Path) -> None:
    config = written(tmp_path, "callsheet.toml", TOML.replace('state = "state"', "state = 7"))
    with pytest.raises(ConfigError) as error:
        state_folder(config, {})
    assert len(error.value.problems) == 2  # the folder, and the key that is not in the environment


def test_the_given_configuration_comes_first_then_the_environments_then_the_usual_names(tmp_path: Path) -> None:
    given, named = written(tmp_path, "given.toml", ""), written(tmp_path, "named.conf", "")
    conf = written(tmp_path, "shotgunEventDaemon.conf", "")
    environ = {"CALLSHEET_CONFIG": str(named)}
    assert find_config(str(given), environ, tmp_path) == given
    assert find_config(None, environ, tmp_path) == named
    assert find_config(None, {}, tmp_path) == conf
    toml = written(tmp_path, "callsheet.toml", "")
    assert find_config(None, {}, tmp_path) == toml


def test_the_systems_configuration_comes_last(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "here").mkdir()
    system = [tmp_path / "etc" / name for name in ("closed/callsheet.toml", "callsheet.toml", "shotgunEventDaemon.conf")]
    conf = written(tmp_path / "etc", "shotgunEventDaemon.conf", "")
    assert find_config(None, {}, tmp_path / "here", system) == conf
    toml = written(tmp_path / "etc", "callsheet.toml", "")
    assert find_config(None, {}, tmp_path / "here", system) == toml
    mine = written(tmp_path / "here", "shotgunEventDaemon.conf", "")
    assert find_config(None, {}, tmp_path / "here", system) == mine
    assert [str(path) for path in SYSTEM] == [
        "/etc/callsheet/callsheet.toml",
        "/etc/callsheet.toml",
        "/etc/shotgunEventDaemon.conf",
    ]


def test_no_configuration_at_all_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"neither callsheet\.toml nor shotgunEventDaemon\.conf in .*, nor "
        r"/etc/callsheet/callsheet\.toml nor /etc/callsheet\.toml nor /etc/shotgunEventDaemon\.conf\. Name one",
    ):
        find_config(None, {}, tmp_path)


def test_a_configuration_that_is_not_there_says_who_named_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no configuration /no/such\.toml\. Give"):
        find_config("/no/such.toml", {}, tmp_path)
    with pytest.raises(ConfigError, match=r"There is no configuration /no/such.toml \(CALLSHEET_CONFIG names it\)"):
        find_config(None, {"CALLSHEET_CONFIG": "/no/such.toml"}, tmp_path)


def test_reading_never_makes_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(
        StateError, match=r"No daemon has run with a.toml yet: there is no .*ledger.db. Begin with `callsheet check a.toml`"
    ):
        open_ledger(tmp_path, Path("a.toml"))
    assert not list(tmp_path.iterdir())
