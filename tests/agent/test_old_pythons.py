"""The agent on the other Pythons that this machine has: what a worker does there is the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import shotgun_api3

from callsheet.domain.delivery import Verdict
from callsheet.sandbox import Sandbox
from callsheet.settings import Secret
from callsheet.workers.local_executor import LocalExecutor
from tests.support.executor_bench import SITE, Stage, setup
from tests.support.running import bare_python

STAND_IN = """
class Shotgun:
    def __init__(self, url, name, key, http_proxy=None, connect=True): pass
"""
PLUGIN = """
import sys
from callsheet import on, Skip

@on("*", slots=2)
def modern(ctx):
    assert ctx.event["created_at"].tzinfo is not None
    raise Skip("{}.{}".format(*sys.version_info))
"""
LEGACY = """
def registerCallbacks(reg):
    reg.registerCallback("n", "the-key", callback, {"*": "code"})
def callback(sg, logger, event, args):
    raise ValueError(type(sg).__name__)
"""
COROUTINES = """
import asyncio, time
from callsheet import Skip, on

LOCK = asyncio.Lock()  # belongs to a loop when it is made, before Python 3.10
running = set()

@on("*", slots=3, lane="none", timeout=2)
async def meets(ctx):
    async with LOCK:
        running.add(ctx.event["id"])
        await asyncio.sleep(0.05)  # so that the others wait for it
    while len(running) < 3:
        await asyncio.sleep(0.01)
    await asyncio.get_event_loop().run_in_executor(None, time.sleep, 0)
    if ctx.event["session_uuid"] == "hangs":
        await asyncio.sleep(60)
    raise Skip("met")
"""
LEGACY_COROUTINE = """
import asyncio
LOCK = asyncio.Lock()

def registerCallbacks(reg):
    reg.registerCallback("n", "the-key", callback)
async def callback(sg, logger, event, args):
    async with LOCK:
        process = await asyncio.create_subprocess_exec("sh", "-c", "exit 7")
    raise ValueError(await process.wait())
"""


WRITER = """
from callsheet import on

@on("*")
def write(ctx):
    ctx.sg.update("Task", 301, {"sg_description": "written"})
"""
CLIENTS = [Path(one) for one in os.environ.get("CALLSHEET_CLIENTS", "").split(os.pathsep) if one]
"""Folders and wheels with a ``shotgun_api3`` each, of various versions."""


def found() -> list[str]:
    """Interpreters of 3.7 and later, by what they are asked for."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = (shutil.which(f"python3.{minor}") for minor in range(7, 20))
    paths = [*(path for path in on_path if path), *sorted(map(str, root.glob("3.*/bin/python")))]
    newest: dict[str, str] = {}
    for path in paths:
        asked = subprocess.run(
            [path, "-c", "import sys; print('{}.{}'.format(*sys.version_info))"], capture_output=True, text=True, check=False
        )
        if asked.returncode == 0 and int(asked.stdout.split(".")[1]) >= 7:
            newest[asked.stdout.strip()] = path
    return sorted(newest.values())


@pytest.fixture(params=found())
def python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stage(python: str, tmp_path: Path) -> Iterator[Stage]:
    folder = tmp_path / "stand-in"
    folder.mkdir()
    (folder / "shotgun_api3.py").write_text(STAND_IN)  # the real one refuses Python before 3.9
    environ = {"PYTHONPATH": str(folder), "PYTHONWARNINGS": "error"}
    executor = LocalExecutor({SITE: setup(python=python, environ=environ)}, tmp_path / "state")
    yield Stage(tmp_path / "plugins", executor)
    executor.close(0)


def test_a_worker_runs_both_kinds_of_plugins(stage: Stage) -> None:
    modern = stage.start("modern", PLUGIN)
    legacy = stage.start("legacy", LEGACY)
    assert (modern.problem, legacy.problem) == (None, None)

    (skipped,) = stage.do(stage.run("modern", "modern"))
    (failed,) = stage.do(stage.run("legacy", "callback"))

    assert skipped.verdict is Verdict.SKIP
    assert skipped.failure is not None
    assert modern.python.startswith(f"{skipped.failure.text}.")
    assert failed.failure is not None
    assert (failed.failure.kind, failed.failure.text) == ("ValueError", "Shotgun")
    assert "'args': None" in failed.failure.locals


def test_a_worker_awaits_coroutines_of_both_kinds(stage: Stage) -> None:
    stage.start("modern", COROUTINES)
    stage.start("legacy", LEGACY_COROUTINE)
    runs = [stage.run("modern", "meets", events={0: {"session_uuid": kind}}) for kind in ("", "hangs", "")]
    legacy = [stage.run("legacy", "callback") for _ in range(2)]

    stage.executor.submit([*runs, *legacy])
    reports = [report for run in (*runs, *legacy) for report in stage.finish(run)]

    assert [one.verdict for one in reports[:3]] == [Verdict.SKIP, Verdict.TIMEOUT, Verdict.SKIP]
    assert [one.failure.text for one in reports if one.failure] == ["met", "It took longer than its timeout.", "met", "7", "7"]


@pytest.mark.skipif(not CLIENTS, reason="name folders with versions of shotgun_api3 in CALLSHEET_CLIENTS")
@pytest.mark.parametrize("client", CLIENTS, ids=lambda path: path.name)
def test_a_client_of_another_version_takes_nothing_else_for_the_apis_answer(python: str, client: Path, tmp_path: Path) -> None:
    environ = {"PYTHONPATH": str(client)}
    if subprocess.run(
        [python, "-c", "import shotgun_api3"], env={**os.environ, **environ}, capture_output=True, check=False
    ).returncode:
        pytest.skip(f"{client.name} is not for {python}")
    with Sandbox() as sandbox:
        config = setup(sandbox.url, script=sandbox.script, key=Secret(sandbox.key), python=python, environ=environ)
        executor = LocalExecutor({SITE: config}, tmp_path / "state")
        stage = Stage(tmp_path / "plugins", executor)
        stage.start("writer", WRITER)
        sandbox.faults.html(count=1, method="update")

        (lost,) = stage.do(stage.run("writer", "write"))
        (done,) = stage.do(stage.run("writer", "write"))

        executor.close(0)
    assert lost.failure is not None
    assert (lost.failure.kind, lost.passing) == ("UnusableAnswer", True), lost.failure
    assert done.verdict is Verdict.OK, done.failure


def test_a_python_without_shotgun_api3_gets_the_daemons(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        config = setup(sandbox.url, script=sandbox.script, key=Secret(sandbox.key), python=str(bare_python(tmp_path / "venv")))
        executor = LocalExecutor({SITE: config}, tmp_path / "state")
        try:
            stage = Stage(tmp_path / "plugins", executor)
            stage.start(
                "reading",
                """
                import sys
                from callsheet import on
                @on("*")
                def callback(ctx):
                    found = ctx.sg.find_one("Project", [])
                    raise ValueError("%s %s" % (found["type"], sys.modules["shotgun_api3"].__file__))
                """,
            )
            (report,) = stage.do(stage.run("reading", "callback"))
        finally:
            executor.close(0)
    assert report.failure is not None
    assert report.failure.text == f"Project {shotgun_api3.__file__}"
