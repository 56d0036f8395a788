"""The in-process swap: the right core each time, nothing of one in another, and nothing left over."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from callsheet.sandbox import Sandbox
from callsheet.sandbox.show import FERRY, LIGHTHOUSE
from tests.support.agent_process import AgentProcess
from tests.support.toolkits import MISSING, NEW, OLD, REAL, Core, Installation

LOOK = """
import os
from callsheet.toolkit import import_sgtk
def look(project):
    sgtk = import_sgtk(project)
    import sgtk as again, tank
    from tank_vendor import shotgun_api3, yaml
    assert again is sgtk is tank
    return {"sgtk": sgtk.__file__, "yaml": yaml.__file__, "client": shotgun_api3.__file__, "version": sgtk.sgtk_from_path(
        os.path.join(os.environ["SHOTGUN_BASE"], project)).version, "current": os.environ.get("TANK_CURRENT_PC")}
def state():
    return {"path": len(sys.path), "finders": len(sys.meta_path), "handlers": len(logging.getLogger("sgtk").handlers)}
"""

PAIRS: list[Any] = [pytest.param((OLD, NEW), id="mini")]
PAIRS += [pytest.param((one, other), id=f"{one.name}-{other.name}") for one, other in pairwise(REAL)]
if not PAIRS[1:]:
    PAIRS.append(pytest.param(None, marks=pytest.mark.skip(reason=MISSING), id="tk-core"))


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Sandbox() as sandbox:
        yield Installation(tmp_path, sandbox)


@pytest.fixture
def insider(tmp_path: Path) -> AgentProcess:
    return AgentProcess.in_folder(tmp_path)


def environ(installation: Installation) -> dict[str, str]:
    return {"SHOTGUN_BASE": str(installation.configs)}


@pytest.fixture(params=PAIRS)
def projects(request: pytest.FixtureRequest, installation: Installation) -> tuple[tuple[str, Core], ...]:
    one, other = request.param
    installation.localized(LIGHTHOUSE.id, one)
    installation.localized(FERRY.id, other)
    return (("lighthouse", one), ("night_ferry", other))


def test_each_project_gets_its_own_core_and_libraries_by_turns(
    projects: tuple[tuple[str, Core], ...], installation: Installation, insider: AgentProcess
) -> None:
    code = LOOK + "say([look(project) for _ in range(5) for project in told])"

    seen = insider.ask(code, [name for name, _ in projects], environ(installation))

    for (name, core), found in zip(projects * 5, seen, strict=True):
        home = str(installation.configs / name)
        assert found["version"] == core.version
        assert found["current"] == home
        assert all(found[one].startswith(home) for one in ("sgtk", "yaml", "client"))


def test_a_swap_leaves_nothing_behind(
    projects: tuple[tuple[str, Core], ...], installation: Installation, insider: AgentProcess
) -> None:
    code = (
        LOOK
        + """
for _ in range(2):
    for project in told:
        look(project)
first, modules = state(), len(sys.modules)
for _ in range(50):
    for project in told:
        look(project)
say([first, state(), len(sys.modules) - modules])
"""
    )

    first, last, modules = insider.ask(code, [name for name, _ in projects], environ(installation))

    assert first == last
    assert modules == 0


def test_the_process_keeps_its_own_libraries(
    projects: tuple[tuple[str, Core], ...], installation: Installation, insider: AgentProcess
) -> None:
    code = (
        "import shotgun_api3\nbefore = shotgun_api3.Shotgun._get_certs_file\n"
        + LOOK
        + "[look(project) for project in told * 3]\nsay(shotgun_api3.Shotgun._get_certs_file == before)"
    )

    assert insider.ask(code, [name for name, _ in projects], environ(installation)) is True


def test_what_is_kept_of_a_project_works_when_it_is_back(
    projects: tuple[tuple[str, Core], ...], installation: Installation, insider: AgentProcess
) -> None:
    code = (
        LOOK
        + """
host, script, key, project = told
sgtk = import_sgtk("lighthouse")
sgtk.set_authenticated_user(sgtk.authentication.ShotgunAuthenticator().create_script_user(script, key, host))
tk = sgtk.sgtk_from_path(os.path.join(os.environ["SHOTGUN_BASE"], "lighthouse"))
user = import_sgtk("night_ferry").get_authenticated_user()
import_sgtk("lighthouse")
say([user, tk.context_from_entity("Project", project).project["name"]])
"""
    )
    sandbox = installation.sandbox

    found = insider.ask(code, [sandbox.url, sandbox.script, sandbox.key, LIGHTHOUSE.id], environ(installation))

    assert found == [None, "Lighthouse"]


def test_a_core_that_was_upgraded_is_imported_anew(installation: Installation, insider: AgentProcess) -> None:
    path = installation.localized(LIGHTHOUSE.id, OLD)
    newer = installation.core_root("newer", NEW) / "install" / "core"
    code = (
        LOOK
        + """
import shutil
before = look("lighthouse")
shutil.rmtree(told[0]); shutil.copytree(told[1], told[0])
say([before["version"], look("lighthouse")["version"]])
"""
    )

    seen = insider.ask(code, [str(path / "install" / "core"), str(newer)], environ(installation))

    assert seen == [OLD.version, NEW.version]


@pytest.mark.parametrize("text", ["{}", "{}\n", "  {} \n\n", "$SHARED_CORE\n"])
def test_the_file_that_names_a_shared_core_is_read_as_toolkit_reads_it(
    text: str, installation: Installation, insider: AgentProcess
) -> None:
    root = installation.core_root("cores", NEW)
    installation.shared(LIGHTHOUSE.id, text.format(root))

    found = insider.ask(LOOK + "say(look('lighthouse'))", None, {**environ(installation), "SHARED_CORE": str(root)})

    assert found["sgtk"].startswith(str(root))
    assert found["current"] is None


def test_a_configuration_that_says_nothing_gets_the_studios_core(installation: Installation, insider: AgentProcess) -> None:
    root = installation.core_root("studio", OLD)
    installation.bare(LIGHTHOUSE.id)
    code = "from callsheet.toolkit import import_sgtk\nsay(import_sgtk('lighthouse').__file__)"

    assert insider.ask(code, None, environ(installation)).startswith(str(root))


@pytest.mark.parametrize(
    ("text", "said"), [("undefined", "names no core for this system"), ("/no/such/root", "There is no core in /no/such/root")]
)
def test_a_project_without_a_core_never_gets_anothers(
    text: str, said: str, installation: Installation, insider: AgentProcess
) -> None:
    installation.localized(FERRY.id, OLD)
    installation.shared(LIGHTHOUSE.id, text)
    code = (
        LOOK
        + """
look("night_ferry")
try:
    import_sgtk("lighthouse")
except ImportError as error:
    say(str(error))
"""
    )

    found = insider.ask(code, None, environ(installation))

    assert said in found
    assert "core_Linux.cfg" in found
