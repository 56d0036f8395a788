"""The environment of a process that has a Toolkit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from callsheet.agent.toolkit.environment import environment


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A user's folder."""
    (tmp_path / "user").mkdir()
    return tmp_path / "user"


def made(user: Path, **base: str) -> dict[str, str]:
    return environment({"HOME": str(user), **base}, home="/own/home")


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="the places are those of Linux")
@pytest.mark.parametrize("place", [".shotgun/preferences/toolkit.ini", ".shotgun/desktop/config/config.ini"])
def test_the_users_settings_of_toolkit_are_named_though_its_home_is_another(place: str, user: Path) -> None:
    assert "SGTK_PREFERENCES_LOCATION" not in made(user)
    (user / place).parent.mkdir(parents=True)
    (user / place).write_text("[Login]\nhttp_proxy=proxy.studio:8080\n")
    found = made(user)
    assert (found["SHOTGUN_HOME"], found["SGTK_PREFERENCES_LOCATION"]) == ("/own/home", str(user / place))


def test_those_of_the_daemons_own_home_or_word_come_first(user: Path, tmp_path: Path) -> None:
    for folder in (user / ".shotgun", tmp_path / "shotgun"):
        (folder / "preferences").mkdir(parents=True)
        (folder / "preferences" / "toolkit.ini").touch()
    found = made(user, SHOTGUN_HOME=str(tmp_path / "shotgun"))
    assert found["SGTK_PREFERENCES_LOCATION"] == str(tmp_path / "shotgun" / "preferences" / "toolkit.ini")
    for name in ("SGTK_PREFERENCES_LOCATION", "SGTK_DESKTOP_CONFIG_LOCATION"):
        assert {one: value for one, value in made(user, **{name: "/mnt/toolkit.ini"}).items() if one.endswith("_LOCATION")} == {
            name: "/mnt/toolkit.ini"
        }


@pytest.mark.parametrize("name", ["sgtk", "tank", "tank_vendor", "sgtk.py"])
def test_of_the_python_path_only_cores_are_left_out(name: str, user: Path, tmp_path: Path) -> None:
    core, tools = tmp_path / "core", tmp_path / "tools"
    tools.mkdir()
    core.mkdir()
    (core / name).mkdir()
    path = os.pathsep.join([str(core), str(tools), "/nowhere", ""])
    assert made(user, PYTHONPATH=path)["PYTHONPATH"] == os.pathsep.join([str(tools), "/nowhere"])
    assert "PYTHONPATH" not in made(user, PYTHONPATH=str(core))
    assert "PYTHONPATH" not in made(user)
    assert "PYTHONHOME" not in made(user, PYTHONHOME="/python")
