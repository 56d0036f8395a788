"""Projects' Toolkit sessions under a whole daemon: every kind side by side, upgrades, kills, many projects, and the commands.

CALLSHEET_TK_CORES names checkouts of tk-core: then two of those take the place of the miniature cores. CALLSHEET_TK_PROJECTS is how
many projects share how many sessions, ``40/8``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agent.test_old_pythons import found
from tests.support.running import alive
from tests.support.studio import Studio
from tests.support.toolkits import NEW, OLD, REAL, Installation

ONE, OTHER = REAL[:2] if len(REAL) > 1 else (OLD, NEW)
PROJECTS, SESSIONS = map(int, os.environ.get("CALLSHEET_TK_PROJECTS", "40/8").split("/"))
SUPPORTED = {f"python3.{minor}" for minor in range(7, 12)}
"""By the older one of two cores, whichever they are."""
PATIENCE = 100
WHERE = """
from callsheet import on
from callsheet.toolkit import here

@on("Pipeline_Test", toolkit=True)
def where(ctx):
    import sgtk
    {body}
    told = dict(file=sgtk.__file__, version=here().version, project=ctx.project["id"])
    assert ctx.tk.pipeline_configuration.get_project_id() == ctx.engine.context.project["id"] == ctx.project["id"]
    note("done", ctx.event, "where", text=json.dumps(told))
"""


class Pipeline:
    """A studio whose projects have Toolkit."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        (studio.folder / "pipeline").mkdir()
        self.installation = Installation(studio.folder / "pipeline", studio.sandbox)
        self._sg = studio.sandbox.connect()

    def project(self, name: str) -> int:
        """A new project of the site."""
        return int(self._sg.create("Project", {"name": name, "tank_name": name})["id"])

    def configure(self, **toolkit: Any) -> None:
        """The configuration, with this in its ``[toolkit]``."""
        self.studio.configure()
        told = {"configs": str(self.installation.configs), "app_store": False, **toolkit}
        lines = ["[toolkit]", *(f"{key} = {json.dumps(value)}" for key, value in told.items() if not isinstance(value, dict))]
        for key, value in ((key, value) for key, value in told.items() if isinstance(value, dict)):
            lines += [line for name, pin in value.items() for line in (f"[toolkit.{key}.{name}]", *_lines(pin))]
        with self.studio.config.open("a") as file:
            file.write("\n".join([*lines, ""]))

    def events(self, projects: list[int]) -> range:
        """An event of each of these projects, in turn."""
        links = [{"type": "Project", "id": project} for project in projects]
        return self.studio.sandbox.add_events(
            len(projects), "Pipeline_Test", make=lambda n: {"project": links[n], "entity": links[n]}
        )

    def seen(self) -> list[dict[str, Any]]:
        """What callbacks saw, in the order in which they ended."""
        return [{**json.loads(one.text), "pid": one.pid, "event": one.event} for one in self.studio.trace.calls("plugin")]

    def done(self, count: int) -> Callable[[], bool]:
        """Whether so many deliveries are done, and none is anything else."""
        return lambda: self.studio.states() == {"done": count}

    def listed(self) -> dict[int, dict[str, Any]]:
        """``callsheet toolkit list``, by project."""
        said = self.studio.command("toolkit list", "--json")
        return {one["project"]: one for one in json.loads(said.stdout)}


def _lines(table: dict[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in table.items()]


@pytest.fixture
def pipeline(studio: Studio) -> Pipeline:
    pipeline = Pipeline(studio)
    studio.write("plugin", WHERE.format(body=""))
    return pipeline


def test_configurations_of_every_kind_serve_alternating_events_each_with_its_own_core(pipeline: Pipeline) -> None:
    # Given a project with each kind of configuration, on two cores
    make, studio = pipeline.installation, pipeline.studio
    localized, shared, bare, far = (pipeline.project(name) for name in ("localized", "shared", "bare", "far"))
    homes = str(studio.state / "toolkit" / "homes")
    places = {
        localized: (str(make.localized(localized, ONE)), ONE),
        shared: (str(make.core_root("shared_core", OTHER)), OTHER),
        bare: (str(make.core_root("studio", ONE)), ONE),
        far: ("", OTHER),
    }
    make.shared(shared, f"{places[shared][0]}\n")
    make.bare(bare)
    make.distributed(far, OTHER, name="far")
    pipeline.configure(studio=places[bare][0], starter=str(make.starter(OTHER)))

    # When their events come in turn
    with studio.started() as daemon:
        events = pipeline.events([*places] * 50)
        daemon.until(pipeline.done(200), PATIENCE)
        daemon.until(lambda: {one["calls"] for one in pipeline.listed().values()} == {50})  # which are some seconds old
        listed = pipeline.listed()

    # Then every callback had its project's core, in the project's one session, in order
    seen = pipeline.seen()
    for project, (place, core) in places.items():
        mine = [one for one in seen if one["project"] == project]
        assert {one["version"] for one in mine} == {core.version}
        assert all(one["file"].startswith((place or homes, str(make.folder))) for one in mine)
        assert [one["event"] for one in mine] == sorted(one["event"] for one in mine)
        assert len({one["pid"] for one in mine}) == 1
        assert listed[project]["toolkit"]["version"] == core.version
    assert sorted(one["event"] for one in seen) == list(events)
    assert [listed[one]["toolkit"]["kind"] for one in places] == ["localized", "shared", "studio", "distributed"]


def test_a_session_has_the_python_that_is_pinned_for_its_project(pipeline: Pipeline) -> None:
    pythons = {name: path for path in found() if (name := Path(path).resolve().name) in SUPPORTED}
    projects = {pipeline.project(name.replace(".", "")): name for name in pythons}
    root = pipeline.installation.core_root("shared_core", ONE)
    for project in projects:
        pipeline.installation.shared(project, root)
    pipeline.configure(projects={name.replace(".", ""): {"python": path} for name, path in pythons.items()})

    with pipeline.studio.started() as daemon:
        pipeline.events([*projects] * 3)
        daemon.until(pipeline.done(3 * len(projects)), PATIENCE)
        daemon.until(lambda: {one["state"] for one in pipeline.listed().values()} == {"idle"})  # it is some seconds old
        listed = pipeline.listed()

    used = {project: f"python{one['toolkit']['python'].rpartition('.')[0]}" for project, one in listed.items()}
    assert used == projects
    assert {one["version"] for one in pipeline.seen()} == {ONE.version}


def test_an_upgrade_on_disk_under_a_warm_session_loses_nothing(pipeline: Pipeline) -> None:
    project = pipeline.project("moth")
    path = pipeline.installation.localized(project, ONE)
    pipeline.configure()
    with pipeline.studio.started() as daemon:
        pipeline.events([project] * 20)
        daemon.until(pipeline.done(20), PATIENCE)

        OTHER.put(path / "install" / "core")  # file by file, as all upgrades
        count = 20
        while pipeline.seen()[-1]["version"] == ONE.version:  # a look at the files is good for a second
            pipeline.events([project] * 5)
            count += 5
            daemon.until(pipeline.done(count), PATIENCE)
        assert daemon.said(f"is opened anew, since this has changed: {path / 'install' / 'core'}")

    seen = pipeline.seen()
    assert [one["event"] for one in seen] == sorted(one["event"] for one in seen)
    versions = [one["version"] for one in seen]
    assert versions == [ONE.version] * versions.count(ONE.version) + [OTHER.version] * versions.count(OTHER.version)


def test_a_session_killed_in_a_call_costs_its_project_one_try_and_others_nothing(pipeline: Pipeline) -> None:
    studio = pipeline.studio
    one, other = pipeline.project("one"), pipeline.project("other")
    for project, core in ((one, ONE), (other, OTHER)):
        pipeline.installation.localized(project, core)
    pipeline.configure()
    body = f"""note("begun", ctx.event, "where")
    if ctx.project["id"] == {one} and once("hung"): wait_for("never")"""
    studio.write("plugin", WHERE.format(body=body))
    with studio.started() as daemon:
        first, *_ = pipeline.events([one, other] * 10)
        daemon.until(lambda: len(studio.trace.calls("plugin")) == 10 and first in studio.trace.events(word="begun"), PATIENCE)
        (hung,) = (call.pid for call in studio.trace.calls(word="begun") if call.event == first)

        os.kill(hung, signal.SIGKILL)

        daemon.until(pipeline.done(20), PATIENCE)
    tries = [call.event for call in studio.trace.calls(word="begun")]
    assert {event for event in tries if tries.count(event) > 1} == {first}
    seen = pipeline.seen()
    assert hung not in {call["pid"] for call in seen}
    assert len({call["pid"] for call in seen if call["project"] == other}) == 1
    assert [call["event"] for call in seen if call["project"] == one] == sorted(
        call["event"] for call in seen if call["project"] == one
    )


def test_many_projects_share_few_sessions_and_none_outlives_a_killed_daemon(pipeline: Pipeline) -> None:
    studio = pipeline.studio
    projects = [pipeline.project(f"p{number}") for number in range(PROJECTS)]
    root = pipeline.installation.core_root("shared_core", ONE)
    for project in projects:
        pipeline.installation.shared(project, root)
    pipeline.configure(sessions=SESSIONS)
    most = 0

    def counted(count: int) -> bool:
        nonlocal most
        most = max(most, sum(map(alive, {one["pid"] for one in pipeline.seen()})))
        return pipeline.done(count)()

    with studio.started() as daemon:
        pipeline.events(projects * 3)
        daemon.until(lambda: counted(3 * PROJECTS), PATIENCE)
        seen = pipeline.seen()
        living = {one["pid"] for one in seen if alive(one["pid"])}
        assert len(living) == SESSIONS

        daemon.kill()

    assert most <= SESSIONS
    for project in projects:
        mine = [one["event"] for one in seen if one["project"] == project]
        assert len(mine) == 3
        assert mine == sorted(mine)
    daemon.until(lambda: not any(map(alive, living)), running=False)


def test_an_operator_warms_retires_and_checks(pipeline: Pipeline) -> None:
    studio = pipeline.studio
    moth, broken = pipeline.project("moth"), pipeline.project("broken")
    path = pipeline.installation.localized(moth, ONE)
    harmed = pipeline.installation.localized(broken, OTHER) / "config" / "core" / "pipeline_configuration.yml"
    harmed.write_text("{")
    pipeline.configure()
    with studio.started() as daemon:
        assert studio.command("toolkit warm", "moth", "broken").returncode == 0
        daemon.until(lambda: {one["state"] for one in pipeline.listed().values()} == {"idle", "failed"}, PATIENCE)
        warm = pipeline.listed()
        assert warm[moth]["toolkit"] | {"cure": ""} == {
            "project": "moth",
            "kind": "localized",
            "configuration": str(path),
            "version": ONE.version,
            "python": "{}.{}.{}".format(*sys.version_info[:3]),
            "cure": "",
        }
        assert str(harmed) in warm[broken]["problem"]
        assert warm[broken]["toolkit"]["project"] == "broken"
        trouble = studio.command("status").stdout
        assert "broken (id" in trouble
        assert "Fix it, or restore it." in trouble

        assert studio.command("toolkit retire", str(moth)).returncode == 0
        daemon.until(lambda: moth not in pipeline.listed() and not alive(warm[moth]["pid"]))
        assert daemon.stop() == 0

    checked = studio.command("toolkit check", "--json")
    assert checked.returncode == 1
    (bad, well) = json.loads(checked.stdout)
    assert (bad["name"], bad["well"], bad["kind"], bad["file"]) == ("broken", False, "broken-file", str(harmed))
    assert (well["name"], well["version"], well["config"], well["engine"]) == ("moth", ONE.version, str(path), "tk-shell")
    assert well["core"] == str(path / "install" / "core" / "python")
    assert studio.command("toolkit check", "moth").returncode == 0
    assert studio.command("toolkit warm", "moth").returncode == 1
