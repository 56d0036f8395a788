"""Trouble with Toolkit that passes costs nothing: no attempt, no delivery, no lane that stands still after it is over."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from callsheet.sandbox.faults import Fault
from tests.lifecycle.test_toolkit import Pipeline
from tests.support.studio import Studio
from tests.support.toolkits import NEW, OLD

PATIENCE = 100
PLUGINS = {
    "hosted": """
        import sgtk

        def registerCallbacks(reg):
            reg.registerCallback("hosted_script", "hosted-key", callback, {"Pipeline_Test": None}, None, True)

        def callback(sg, logger, event, args):
            engine = sgtk.platform.current_engine()
            note("done", event, text=json.dumps({"project": engine.context.project["id"]}))
        """,
    "fresh": """
        from callsheet import on

        @on("Pipeline_Test", toolkit=True)
        def callback(ctx):
            note("done", ctx.event, text=json.dumps({"project": ctx.engine.context.project["id"]}))
        """,
    "caller": """
        from callsheet.toolkit import here, session

        def registerCallbacks(reg):
            reg.registerCallback("caller_script", "caller-key", callback, {"Pipeline_Test": None}, None, True)

        def project():
            return here().engine.context.project["id"]

        def callback(sg, logger, event, args):
            note("done", event, text=json.dumps({"project": session(event["project"]).call(project)}))
        """,
}


@pytest.fixture
def pipeline(studio: Studio) -> Pipeline:
    pipeline = Pipeline(studio)
    for name, text in PLUGINS.items():
        studio.write(name, text)
    for script in ("hosted", "caller"):
        studio.sandbox.add_script(f"{script}_script", f"{script}-key")
    return pipeline


def configure(pipeline: Pipeline, **toolkit: object) -> None:
    pipeline.configure(opening="20s", **toolkit)
    with pipeline.studio.config.open("a") as file:
        file.write('[plugins.hosted]\ntoolkit = true\n[retry]\nfirst = "200ms"\nlongest = "2s"\n')


def all_is_done(pipeline: Pipeline, events: int) -> None:
    """Every event was delivered to each plugin once, at the first attempt, in its own project."""
    rows = pipeline.studio.deliveries()
    assert {(one.state.word, one.attempts) for one in rows} == {("done", 1)}
    assert len(rows) == len(PLUGINS) * events
    seen = [(one.plugin, one.event) for one in pipeline.studio.trace.calls()]
    assert len(seen) == len(set(seen)) == len(rows)


class Away:
    """A folder that is away: moved elsewhere, with an empty one in its place or with none."""

    def __init__(self, folder: Path, *, empty: bool) -> None:
        self.folder = folder
        self._kept = folder.with_name(f"{folder.name}.kept")
        folder.rename(self._kept)
        if empty:
            folder.mkdir()

    def come_back(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._kept.rename(self.folder)


def test_mounts_that_are_away_and_cores_that_are_replaced_cost_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    # Given projects with one trouble each, from the first look on
    make = pipeline.installation
    shares = tmp_path / "shares"
    troubles: dict[int, tuple[Callable[[], None], str]] = {}

    def project(name: str) -> tuple[int, Path]:
        share = shares / name
        share.mkdir(parents=True)
        return pipeline.project(name), share

    for name, empty in (("empty_mount", True), ("no_mount", False)):
        number, share = project(name)
        path = make.localized(number, OLD, name=str(share / "configs" / name))
        away = Away(share if empty else path.parent, empty=empty)
        troubles[number] = (away.come_back, str(away.folder))
    number, share = project("mounted_itself")
    away = Away(make.localized(number, OLD, name=str(share / "config")), empty=True)
    troubles[number] = (away.come_back, str(away.folder))
    for name, empty in (("shared_empty", True), ("shared_gone", False)):
        number, share = project(name)
        (share / "cores").mkdir()
        make.core_root(str(share / "cores" / "v1"), OLD)
        make.shared(number, share / "cores" / "v1")
        away = Away(share / "cores", empty=empty)
        troubles[number] = (away.come_back, str(away.folder))
    number, share = project("core_in_pieces")
    root = make.core_root(str(share / "core"), NEW)
    make.shared(number, root)
    away = Away(root / "install" / "core" / "python", empty=False)
    troubles[number] = (away.come_back, str(root / "install" / "core"))
    number, share = project("no_interpreter")
    path = make.localized(number, OLD)
    python = share / "python" / "bin" / "python3"
    (path / "config" / "core" / "interpreter_Linux.cfg").write_text(str(python))
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    away = Away(share / "python", empty=True)
    troubles[number] = (away.come_back, str(away.folder))
    number, share = project("source_away")
    source, _ = make.distributed(number, NEW, name="far")
    away = Away(source.parent, empty=True)
    troubles[number] = (away.come_back, str(away.folder))
    configure(pipeline, starter=str(make.starter(NEW)), sessions=len(troubles))
    studio = pipeline.studio

    with studio.started() as daemon:
        # When their events come
        pipeline.events([*troubles] * 2)
        daemon.until(lambda: {one["state"] for one in pipeline.listed().values()} == {"failed"} and len(pipeline.listed()) == 8, 60)
        said = studio.command("status").stdout

        # Then each trouble is named, and no plugin's file is blamed; and when it is over, everything is delivered
        for _, place in troubles.values():
            assert place in said
        assert "Fix " + str(studio.plugins) not in said
        assert not studio.states().keys() & {"dead", "held"}
        for heal, _ in troubles.values():
            heal()
        daemon.until(pipeline.done(2 * len(troubles) * len(PLUGINS)), PATIENCE)
    all_is_done(pipeline, 2 * len(troubles))


@pytest.mark.parametrize("how", ["status", "drop", "refuse", "html"])
def test_a_site_that_does_not_tell_of_configurations_costs_nothing(how: str, pipeline: Pipeline) -> None:
    project = pipeline.project("moth")
    pipeline.installation.localized(project, OLD)
    configure(pipeline)
    studio = pipeline.studio
    faults = studio.sandbox.faults
    faults.add(Fault(how, entity_type="PipelineConfiguration"))
    with studio.started() as daemon:
        pipeline.events([project] * 3)
        daemon.until(lambda: [one["state"] for one in pipeline.listed().values()] == ["failed"], PATIENCE)
        said = " ".join(studio.command("status").stdout.split())
        assert "the site was asked for its configuration, and did not say" in said

        faults.clear()

        daemon.until(pipeline.done(3 * len(PLUGINS)), PATIENCE)
    all_is_done(pipeline, 3)


def test_an_open_session_whose_mount_goes_away_comes_back_with_it(pipeline: Pipeline, tmp_path: Path) -> None:
    project = pipeline.project("moth")
    path = pipeline.installation.localized(project, OLD, name=str(tmp_path / "share" / "moth"))
    configure(pipeline)
    with pipeline.studio.started() as daemon:
        pipeline.events([project])
        daemon.until(pipeline.done(len(PLUGINS)), PATIENCE)
        (pid,) = {one["pid"] for one in pipeline.listed().values()}

        away = Away(path, empty=True)
        os.kill(pid, signal.SIGKILL)
        pipeline.events([project] * 2)
        daemon.until(lambda: str(path) in json.dumps([*pipeline.listed().values()]) and daemon.said("is empty"), PATIENCE)
        away.come_back()

        daemon.until(pipeline.done(3 * len(PLUGINS)), PATIENCE)
    all_is_done(pipeline, 3)
