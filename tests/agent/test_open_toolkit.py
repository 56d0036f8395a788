"""Opening a project's Toolkit in a process: every core, and everything that must not be opened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callsheet.sandbox import Sandbox
from callsheet.sandbox.show import FERRY, LIGHTHOUSE
from tests.support.agent_process import AgentProcess
from tests.support.toolkits import NEW, OLD, Core, Installation, MiniCore, every_core, name_of, write

OPEN = """
from callsheet.agent.toolkit.open_toolkit import open_toolkit
from callsheet.agent.toolkit.diagnosis import ToolkitOpenError
try:
    toolkit = open_toolkit(told)
except ToolkitOpenError as trouble:
    say(dict(trouble.told(), text=str(trouble)))
else:
"""
FACTS = (
    OPEN
    + """
    import os, sgtk, tank_vendor.shotgun_api3
    shot = toolkit.context_for({"type": "Shot", "id": 101})
    engine = sgtk.platform.current_engine() is toolkit.engine
    ended = toolkit.destroy()
    say(dict(toolkit.facts(), sgtk=sgtk.__file__, client=tank_vendor.shotgun_api3.__file__, shot=shot.entity["name"],
        project=toolkit.context_for().project["name"], engine=engine, ended=ended, after=sgtk.platform.current_engine(),
        home=os.environ["SHOTGUN_HOME"]))
"""
)
TROUBLE = OPEN + "    say(toolkit.facts())\n"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as one:
        yield one


@pytest.fixture
def installation(tmp_path: Path, sandbox: Sandbox) -> Installation:
    return Installation(tmp_path, sandbox)


@pytest.fixture
def insider(tmp_path: Path) -> AgentProcess:
    return AgentProcess.in_folder(tmp_path)


def told(installation: Installation, path: Path, core: Path | None = None, **more: Any) -> dict[str, Any]:
    sandbox = installation.sandbox
    return {
        "project": {"type": "Project", "id": LIGHTHOUSE.id, "name": "Lighthouse"},
        "core": str((core or path) / "install" / "core" / "python"),
        "config": str(path),
        "engine": "tk-shell",
        "apps": ["tk-multi-mini"],
        "host": sandbox.url,
        "script": sandbox.script,
        "key": sandbox.key,
        "home": str(installation.folder / "home"),
        **more,
    }


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_localized_configuration_is_opened_with_its_own_core(
    core: Core, installation: Installation, insider: AgentProcess
) -> None:
    path = installation.localized(LIGHTHOUSE.id, core)

    found = insider.ask(FACTS, told(installation, path, version=core.version))

    assert found["version"] == core.version
    assert found["sgtk"].startswith(str(path / "install" / "core"))
    assert found["client"].startswith(str(path / "install" / "core"))
    assert (found["config"], found["home"]) == (str(path), str(installation.folder / "home"))
    assert (found["project"], found["shot"]) == ("Lighthouse", "LIT0010")
    assert (found["engine"], found["ended"], found["after"]) == (True, None, None)


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_shared_core_opens_the_configuration_it_is_told(core: Core, installation: Installation, insider: AgentProcess) -> None:
    root = installation.core_root("shared", core)
    path = installation.shared(LIGHTHOUSE.id, root)
    installation.shared(FERRY.id, root)

    found = insider.ask(FACTS, told(installation, path, root))

    assert found["sgtk"].startswith(str(root))
    assert found["config"] == str(path)


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_what_others_left_in_the_environment_is_not_believed(core: Core, installation: Installation, insider: AgentProcess) -> None:
    other = installation.localized(FERRY.id, core)
    path = installation.localized(LIGHTHOUSE.id, core)
    misleading = {"TANK_CURRENT_PC": str(other), "SHOTGUN_HOME": "/nowhere", "SHOTGUN_ENTITY_ID": "1"}

    found = insider.ask(FACTS, told(installation, path), misleading)

    assert found["config"] == str(path)


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_copied_configuration_that_names_the_original_is_refused(
    core: Core, installation: Installation, insider: AgentProcess
) -> None:
    original = installation.localized(FERRY.id, core)
    path = installation.localized(LIGHTHOUSE.id, core)
    write(path / "config" / "core" / "install_location.yml", dict.fromkeys(("Linux", "Darwin", "Windows"), str(original)))

    found = insider.ask(TROUBLE, told(installation, path))

    assert (found["kind"], found["passing"]) == ("elsewhere", False)
    assert str(original) in found["text"]
    assert "install_location.yml" in found["text"]
    assert "Lighthouse (id 97)" in found["text"]


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_configuration_of_another_project_is_refused(core: Core, installation: Installation, insider: AgentProcess) -> None:
    path = installation.localized(FERRY.id, core)

    found = insider.ask(TROUBLE, told(installation, path))

    assert found["kind"] == "wrong-project"
    assert f"id {FERRY.id}" in found["text"]


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_an_app_that_failed_to_start_is_missed(core: Core, installation: Installation, insider: AgentProcess) -> None:
    path = installation.localized(LIGHTHOUSE.id, core)
    (installation.bundles / "tk-multi-mini" / "broken").touch()

    found = insider.ask(TROUBLE, told(installation, path))

    assert (found["kind"], found["passing"]) == ("no-app", False)
    assert "started without tk-multi-mini" in found["text"]


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_an_engine_that_the_environment_lacks_is_named(core: Core, installation: Installation, insider: AgentProcess) -> None:
    path = installation.localized(LIGHTHOUSE.id, core)

    found = insider.ask(TROUBLE, told(installation, path, engine="tk-maya"))

    assert found["kind"] == "no-engine"
    assert "tk-maya" in found["text"]
    assert "project.yml" in found["text"]


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_script_that_the_site_refuses_is_no_passing_trouble(
    core: Core, installation: Installation, insider: AgentProcess
) -> None:
    path = installation.localized(LIGHTHOUSE.id, core)

    found = insider.ask(TROUBLE, told(installation, path, key="not the key"))

    assert (found["kind"], found["passing"]) == ("script-user", False)
    assert "not the key" not in json.dumps(found)


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_site_that_does_not_answer_is_passing_trouble(core: Core, installation: Installation, insider: AgentProcess) -> None:
    path = installation.localized(LIGHTHOUSE.id, core)
    asked = told(installation, path)
    write(path / "config" / "core" / "shotgun.yml", {"host": "http://127.0.0.1:9"})

    found = insider.ask(TROUBLE, {**asked, "host": "http://127.0.0.1:9"})

    assert (found["kind"], found["passing"]) == ("network", True)


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_broken_file_is_named(core: Core, installation: Installation, insider: AgentProcess) -> None:
    path = installation.localized(LIGHTHOUSE.id, core)
    (path / "config" / "env" / "project.yml").write_text("{engines: [")

    found = insider.ask(TROUBLE, told(installation, path))

    assert (found["kind"], found["passing"]) == ("broken-file", False)
    assert "project.yml" in found["text"]


def test_an_older_core_than_the_configuration_asks_for(installation: Installation, insider: AgentProcess) -> None:
    path = installation.localized(LIGHTHOUSE.id, NEW)
    older = installation.core_root("older", OLD)

    found = insider.ask(TROUBLE, told(installation, path, older))

    assert found["kind"] == "core-too-old"
    assert OLD.version in found["text"]
    assert NEW.version in found["text"]


def test_a_core_for_newer_pythons(installation: Installation, insider: AgentProcess) -> None:
    path = installation.localized(LIGHTHOUSE.id, MiniCore("v9.0.0", new=False, minimum_python="3.99"))

    found = insider.ask(TROUBLE, told(installation, path))

    assert found["kind"] == "python-too-old"
    assert "interpreter_<OS>.cfg" in found["text"]


def test_a_core_that_was_upgraded_since_it_was_looked_at(installation: Installation, insider: AgentProcess) -> None:
    path = installation.localized(LIGHTHOUSE.id, NEW)

    found = insider.ask(TROUBLE, told(installation, path, version=OLD.version))

    assert (found["kind"], found["passing"]) == ("changed", True)


def test_another_core_in_front_of_it_is_noticed(installation: Installation, insider: AgentProcess) -> None:
    path = installation.localized(LIGHTHOUSE.id, NEW)
    other = installation.core_root("other", OLD)
    early = "sys.path.insert(0, told['other']); import sgtk\n"

    found = insider.ask(early + TROUBLE, told(installation, path, other=str(other / "install" / "core" / "python")))

    assert found["kind"] == "wrong-core"
    assert str(other) in found["text"]


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_what_toolkit_warns_of_reaches_the_log(core: Core, installation: Installation, insider: AgentProcess) -> None:
    path = installation.localized(LIGHTHOUSE.id, core)
    heard = OPEN + (
        "    heard = []\n"
        "    handler = logging.Handler(); handler.emit = heard.append; logging.getLogger().addHandler(handler)\n"
        "    toolkit.sgtk.LogManager.get_logger('a.module').warning('a share is slow')\n"
        "    say([record.getMessage() for record in heard])\n"
    )

    assert insider.ask(heard, told(installation, path)) == ["a share is slow"]
