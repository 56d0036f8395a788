from __future__ import annotations

from collections.abc import Iterator

import pytest

from callsheet.domain.toolkit_entities import Project, SiteConfiguration
from callsheet.errors import SiteRefusedError
from callsheet.sandbox import Sandbox
from callsheet.sandbox.show import FERRY, LIGHTHOUSE
from callsheet.site.catalogue import ConfigurationCatalogue

SHOW = Project(LIGHTHOUSE.id, "Lighthouse", "lighthouse")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as one:
        yield one


@pytest.fixture
def site(sandbox: Sandbox) -> Iterator[ConfigurationCatalogue]:
    one = ConfigurationCatalogue(sandbox.url, sandbox.script, sandbox.key)
    yield one
    one.close()


@pytest.mark.parametrize("asked", [SHOW.id, "Lighthouse", "lighthouse"])
def test_a_project_is_found_by_id_name_and_folder(asked: int | str, site: ConfigurationCatalogue) -> None:
    assert site.project(asked) == SHOW


@pytest.mark.parametrize("asked", [123456, "Nobody's"])
def test_a_project_that_is_not_there(asked: int | str, site: ConfigurationCatalogue) -> None:
    assert site.project(asked) is None


def test_a_project_without_a_folder_name_is_called_by_its_name(sandbox: Sandbox, site: ConfigurationCatalogue) -> None:
    number = sandbox.connect().create("Project", {"name": "Sound"})["id"]

    assert site.project(number) == Project(number, "Sound", "Sound")


def test_the_configurations_of_a_project_and_of_the_site(sandbox: Sandbox, site: ConfigurationCatalogue) -> None:
    sg = sandbox.connect()
    link, other = ({"type": "Project", "id": one.id} for one in (LIGHTHOUSE, FERRY))
    whole = sg.create("PipelineConfiguration", {"code": "Primary", "descriptor": "sgtk:descriptor:x", "plugin_ids": "basic.*, a"})[
        "id"
    ]
    primary = sg.create("PipelineConfiguration", {"code": "Primary", "project": link, "linux_path": "/c", "mac_path": "/m"})["id"]
    people = [{"type": "HumanUser", "id": 11}]
    mine = sg.create("PipelineConfiguration", {"code": "Dev", "project": link, "users": people})["id"]
    sg.create("PipelineConfiguration", {"code": "Primary", "project": other, "linux_path": "/d"})

    assert site.configurations(LIGHTHOUSE.id) == (
        SiteConfiguration(primary, "Primary", LIGHTHOUSE.id, path="/c", elsewhere=True),
        SiteConfiguration(mine, "Dev", LIGHTHOUSE.id, restricted=True),
        SiteConfiguration(whole, "Primary", None, descriptor="sgtk:descriptor:x", plugin_ids=("basic.*", "a")),
    )


def test_a_site_that_says_no_is_told_from_one_without_configurations(sandbox: Sandbox) -> None:
    with pytest.raises(SiteRefusedError):
        ConfigurationCatalogue(sandbox.url, sandbox.script, "not the key").configurations(LIGHTHOUSE.id)
