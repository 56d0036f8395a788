"""Distributed configurations: prepared by a process of their own, then opened like any other."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callsheet.agent.toolkit.environment import environment
from callsheet.domain.toolkit_entities import Project
from callsheet.errors import ToolkitError
from callsheet.runtimes.prepare import Preparer
from callsheet.runtimes.resolve import resolve
from callsheet.runtimes.runtime import Runtime
from callsheet.sandbox import Sandbox
from callsheet.sandbox.show import LIGHTHOUSE
from callsheet.settings import ToolkitPin, ToolkitSettings
from callsheet.site.catalogue import ConfigurationCatalogue
from callsheet.workers import agent_archive
from tests.support.agent_process import AgentProcess
from tests.support.toolkits import NEW, Core, Installation, every_core, name_of

SHOW = Project(LIGHTHOUSE.id, "Lighthouse", "lighthouse")
OPEN = """
from callsheet.agent.toolkit.open_toolkit import open_toolkit
toolkit = open_toolkit(told)
say(dict(toolkit.facts(), project=toolkit.context_for().project["name"]))
toolkit.destroy()
"""


NOW = """
from callsheet.agent.toolkit.prepare_config import descriptor_now
from callsheet.agent.toolkit.open_toolkit import open_toolkit
say({"now": descriptor_now(open_toolkit(told).sgtk, told)})
"""


class House:
    """An installation with what prepares need."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.installation = Installation(folder, sandbox)

    def runtime(self, core: Core, **settings: Any) -> Runtime:
        site = ConfigurationCatalogue(self.sandbox.url, self.sandbox.script, self.sandbox.key)
        known = site.configurations(SHOW.id)
        site.close()
        return resolve(
            SHOW, known, ToolkitSettings(starter=self.installation.starter(core), **settings), worker_python=sys.executable
        )

    def preparer(self, **more: Any) -> Preparer:
        place = agent_archive.build(self.folder / "state")
        told = {"host": self.sandbox.url, "script": self.sandbox.script, "key": self.sandbox.key, "timeout": 20.0, **more}
        return Preparer(place, self.folder / "state" / "locks", **told)

    def at(self, name: str = "home") -> dict[str, Any]:
        home = str(self.folder / name)
        return {
            "home": home,
            "environ": environment(os.environ, home=home, downloads=str(self.folder / "bundles-cache"), app_store=False),
        }

    def open(self, runtime: Runtime, name: str = "home", code: str = OPEN) -> Any:
        access: dict[str, Any] = {"host": self.sandbox.url, "script": self.sandbox.script, "key": self.sandbox.key, "proxy": None}
        told = replace(runtime, apps=("tk-multi-mini",)).opening(home=str(self.folder / name), **access)
        return AgentProcess.in_folder(self.folder).ask(code, told)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Sandbox() as sandbox:
        yield House(tmp_path, sandbox)


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_prepared_configuration_is_opened_with_the_core_that_it_asks_for(core: Core, house: House) -> None:
    source, _ = house.installation.distributed(LIGHTHOUSE.id, core)

    found = house.preparer().prepare(house.runtime(core), **house.at())

    assert found.version == core.version
    assert found.descriptor is not None
    assert found.descriptor["path"] == str(source)
    opened = house.open(found)
    assert (opened["version"], opened["config"], opened["project"]) == (core.version, found.config, "Lighthouse")
    assert opened["descriptor"] == found.descriptor


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_what_would_be_prepared_can_be_asked_for(core: Core, house: House) -> None:
    source, _ = house.installation.distributed(LIGHTHOUSE.id, core)

    found = house.preparer().descriptor(house.runtime(core), **house.at())

    assert (found["type"], found["path"]) == ("path", str(source))


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_an_open_toolkit_sees_what_would_be_prepared_now(core: Core, house: House) -> None:
    source, _ = house.installation.distributed(LIGHTHOUSE.id, core)
    found = house.preparer().prepare(house.runtime(core), **house.at())
    assert house.open(found, code=NOW)["now"] == found.descriptor

    moved = str(shutil.copytree(source, source.with_name("moved")))
    sg = house.sandbox.connect()
    sg.update("PipelineConfiguration", found.configuration, {"descriptor": f"sgtk:descriptor:path?path={moved}"})

    now = house.open(found, code=NOW)["now"]
    assert now != found.descriptor
    assert now["path"] == moved


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_the_primary_is_prepared_though_a_sandbox_would_win(core: Core, house: House) -> None:
    source, _ = house.installation.distributed(LIGHTHOUSE.id, core)
    house.installation.distributed(LIGHTHOUSE.id, core, name="sandbox", pc="Dev")

    found = house.preparer().prepare(house.runtime(core), **house.at())

    assert found.descriptor is not None
    assert found.descriptor["path"] == str(source)


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_one_that_the_configuration_of_callsheet_names_needs_none_on_the_site(core: Core, house: House) -> None:
    _, descriptor = house.installation.distributed(LIGHTHOUSE.id, core, plugin_ids="nobody.*")

    found = house.preparer().prepare(house.runtime(core, projects={"97": ToolkitPin(descriptor=descriptor)}), **house.at())

    assert house.open(found)["version"] == core.version


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_several_at_once_wait_for_each_other(core: Core, house: House) -> None:
    house.installation.distributed(LIGHTHOUSE.id, core)
    runtime, preparer = house.runtime(core), house.preparer()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda name: preparer.prepare(runtime, **house.at(name)), ["a", "b", "c", "d"]))

    assert [one.version for one in found] == [core.version] * 4
    assert len({one.config for one in found}) == 4


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_configuration_that_is_not_where_its_descriptor_says(core: Core, house: House) -> None:
    source, _ = house.installation.distributed(LIGHTHOUSE.id, core)
    source.rename(source.with_name("moved"))

    met = refused(lambda: house.preparer().prepare(house.runtime(core), **house.at()))

    assert not met.passing
    assert str(source) in str(met)
    assert "project Lighthouse (id 97)" in str(met)


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_script_that_the_site_refuses(core: Core, house: House) -> None:
    house.installation.distributed(LIGHTHOUSE.id, core)

    met = refused(lambda: house.preparer(key="not the key").prepare(house.runtime(core), **house.at()))

    assert (met.kind, met.passing) == ("script-user", False)
    assert "not the key" not in str(met) + met.traceback


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_no_network_is_passing_trouble(core: Core, house: House) -> None:
    house.installation.distributed(LIGHTHOUSE.id, core)

    met = refused(lambda: house.preparer(host="http://127.0.0.1:9").prepare(house.runtime(core), **house.at()))

    assert (met.kind, met.passing) == ("network", True)


def test_a_starter_that_is_no_core(house: House) -> None:
    house.installation.distributed(LIGHTHOUSE.id, NEW)
    runtime = replace(house.runtime(NEW), starter=str(house.folder / "nothing"))

    met = refused(lambda: house.preparer().prepare(runtime, **house.at()))

    assert (met.kind, met.passing) == ("no-sgtk", False)
    assert str(house.folder / "nothing") in str(met)


def test_a_prepare_that_takes_too_long_is_ended(house: House) -> None:
    house.installation.distributed(LIGHTHOUSE.id, NEW)

    met = refused(lambda: house.preparer(patience=0.01).prepare(house.runtime(NEW), **house.at()))

    assert (met.kind, met.passing) == ("slow", True)


def test_a_prepare_that_dies_says_what_it_wrote(house: House) -> None:
    house.installation.distributed(LIGHTHOUSE.id, NEW)
    runtime = house.runtime(NEW)
    (Path(str(runtime.starter)) / "sgtk" / "__init__.py").write_text("import os; print('a broken core'); os._exit(3)")

    met = refused(lambda: house.preparer().prepare(runtime, **house.at()))

    assert (met.kind, met.passing) == ("prepare-died", True)
    assert "exit code 3" in str(met)
    assert "a broken core" in str(met)


def refused(what: Callable[[], object]) -> ToolkitError:
    with pytest.raises(ToolkitError) as met:
        what()
    return met.value
