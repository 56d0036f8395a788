from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callsheet.domain.toolkit_entities import Project, SiteConfiguration
from callsheet.errors import ToolkitError
from callsheet.runtimes.select_config import choose
from callsheet.settings import ToolkitPin

SHOW = Project(97, "Lighthouse", "lighthouse")
PATH = "/configs/lighthouse"
DESCRIPTOR = "sgtk:descriptor:git?path=x"


def one(number: int, name: str = "Primary", *, project: int | None = 97, **more: Any) -> SiteConfiguration:
    return SiteConfiguration(number, name, project, **more)


def chosen(*known: SiteConfiguration, pin: ToolkitPin | None = None, plugin_id: str = "basic.callsheet") -> int | None:
    found = choose(SHOW, pin or ToolkitPin(), known, plugin_id)
    return None if found is None else found.configuration


def test_the_sites_primary_decides_and_not_a_sandbox() -> None:
    assert chosen(one(3, "Dev", path="/dev"), one(4, path=PATH)) == 4


def test_a_single_configuration_needs_no_name() -> None:
    assert chosen(one(3, "Main", path=PATH)) == 3


def test_of_several_primaries_a_centralized_one_wins_and_then_the_oldest() -> None:
    assert chosen(one(3, descriptor=DESCRIPTOR, plugin_ids=("basic.*",)), one(5, path="/b"), one(4, path=PATH)) == 4


def test_one_that_only_some_people_may_use_is_left_to_them() -> None:
    assert chosen(one(3, path="/mine", restricted=True), one(4, path=PATH)) == 4


def test_the_sites_own_is_for_projects_that_have_none() -> None:
    everyone = one(1, project=None, descriptor=DESCRIPTOR, plugin_ids=("basic.*",))

    assert chosen(everyone) == 1
    assert chosen(everyone, one(4, path=PATH)) == 4


def test_nobody_may_have_decided() -> None:
    assert choose(SHOW, ToolkitPin(), (), "basic.callsheet") is None


def test_a_path_wins_over_a_descriptor() -> None:
    found = choose(SHOW, ToolkitPin(), [one(4, path=PATH, descriptor=DESCRIPTOR)], "basic.callsheet")

    assert found is not None
    assert (found.path, found.base) == (PATH, None)


def test_what_is_pinned_wins() -> None:
    known = (one(3, "Dev", path="/dev"), one(4, path=PATH))

    assert chosen(*known, pin=ToolkitPin(configuration="Dev")) == 3
    assert chosen(*known, pin=ToolkitPin(configuration="3")) == 3
    by_path = choose(SHOW, ToolkitPin(config=Path("/pinned")), known, "basic.callsheet")
    assert by_path is not None
    assert (by_path.path, by_path.configuration) == ("/pinned", None)
    by_descriptor = choose(SHOW, ToolkitPin(descriptor=DESCRIPTOR), known, "basic.callsheet")
    assert by_descriptor is not None
    assert (by_descriptor.path, by_descriptor.base) == (None, DESCRIPTOR)


@pytest.mark.parametrize(
    ("known", "pin", "kind", "said"),
    [
        ([one(3, "A", path="/a"), one(4, "B", path="/b")], ToolkitPin(), "ambiguous", "A (id 3), B (id 4)"),
        ([one(4, elsewhere=True)], ToolkitPin(), "other-platform", "paths for other platforms only"),
        ([one(4)], ToolkitPin(), "no-configuration", "no path, no descriptor and no upload"),
        ([one(4, path=PATH)], ToolkitPin(configuration="Dev"), "no-configuration", "no such PipelineConfiguration"),
        (
            [one(4, descriptor=DESCRIPTOR, plugin_ids=("maya.*",))],
            ToolkitPin(),
            "plugin-ids",
            "lets in maya.*, not basic.callsheet",
        ),
        ([one(4, uploaded=True)], ToolkitPin(), "plugin-ids", "lets in no plugin id"),
    ],
)
def test_what_can_not_be_used_is_told_with_the_project_and_the_cure(
    known: list[SiteConfiguration], pin: ToolkitPin, kind: str, said: str
) -> None:
    with pytest.raises(ToolkitError) as met:
        choose(SHOW, pin, known, "basic.callsheet")

    assert (met.value.kind, met.value.passing) == (kind, False)
    assert "project Lighthouse (id 97)" in str(met.value)
    assert said in str(met.value)
    assert met.value.cure
