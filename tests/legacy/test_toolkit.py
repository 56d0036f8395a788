"""Legacy plugins that handle Toolkit by themselves, for events of alternating projects, in one worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet.sandbox import Sandbox
from callsheet.sandbox.show import FERRY, LIGHTHOUSE
from callsheet.workers.local_executor import LocalExecutor
from tests.support.executor_bench import SITE, Stage, setup
from tests.support.toolkits import NEW, OLD, REAL, Core, Installation

SWAP = """
from callsheet import Skip
from callsheet.toolkit import import_sgtk

def registerCallbacks(reg):
    reg.registerCallback("script", "key", callback)

def callback(sg, logger, event, args):
    module = import_sgtk({97: "lighthouse", 98: "night_ferry"}[event["project"]["id"]])
    import sgtk
    raise Skip(sgtk.__file__ if sgtk is module else "two of them")
"""
BOOTSTRAP = """
import sys
from callsheet import Skip

sys.path.insert(0, %(starter)r)

def registerCallbacks(reg):
    reg.registerCallback("script", "key", callback)

def callback(sg, logger, event, args):
    import sgtk
    user = sgtk.authentication.ShotgunAuthenticator().create_script_user(%(script)r, %(key)r, %(host)r)
    sgtk.set_authenticated_user(user)
    manager = sgtk.bootstrap.ToolkitManager(sg_user=user)
    manager.plugin_id = "basic."
    engine = manager.bootstrap_engine("tk-shell", entity=event["project"])
    import sgtk
    found = engine.sgtk.pipeline_configuration.get_path()
    engine.destroy()
    raise Skip(found)
"""
CORES = (REAL[0], REAL[-1]) if len(REAL) > 1 else (OLD, NEW)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Sandbox() as sandbox:
        yield Installation(tmp_path, sandbox)


@pytest.fixture
def stage(installation: Installation, tmp_path: Path) -> Iterator[Stage]:
    environ = {"SHOTGUN_BASE": str(installation.configs), "SHOTGUN_HOME": str(tmp_path / "home")}
    executor = LocalExecutor({SITE: setup(url=installation.sandbox.url, environ=environ)}, tmp_path / "state")
    yield Stage(tmp_path / "plugins", executor)
    executor.close(0)


def alternating(stage: Stage, plugin: str) -> list[str]:
    """What the plugin's callback says for events of one project and the other, twice."""
    said = []
    for project in (LIGHTHOUSE, FERRY, LIGHTHOUSE, FERRY):
        event = {"project": {"type": "Project", "id": project.id}}
        (report,) = stage.do(stage.run(plugin, "callback", events={0: event}))
        assert report.failure is not None
        said.append(report.failure.text)
    return said


def test_the_swap_gives_each_event_its_own_core(installation: Installation, stage: Stage) -> None:
    one, other = CORES
    paths = [str(installation.localized(LIGHTHOUSE.id, one)), str(installation.localized(FERRY.id, other))] * 2
    assert stage.start("swapping", SWAP).problem is None

    said = alternating(stage, "swapping")

    assert [text.startswith(path) for text, path in zip(said, paths, strict=True)] == [True] * 4, said


def test_a_plugin_that_bootstraps_for_each_event_is_let(installation: Installation, stage: Stage) -> None:
    one, other = CORES
    paths = [str(installation.localized(LIGHTHOUSE.id, one)), str(installation.localized(FERRY.id, other))] * 2
    newest: Core = CORES[-1]
    told = {"starter": str(installation.starter(newest)), "host": installation.sandbox.url}
    plugin = BOOTSTRAP % {**told, "script": installation.sandbox.script, "key": installation.sandbox.key}
    assert stage.start("bootstrapping", plugin).problem is None

    assert alternating(stage, "bootstrapping") == paths
