"""Two projects on two cores, events of the one and the other in turn: what a call in a project's Toolkit costs, and what the ways
without a session cost.

Cores are those of CALLSHEET_TK_CORES, else miniature ones. Timed is from handing a delivery to the executor until its end is known.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.footprint import pss
from bench.goals import Goal
from callsheet.composition import catalogue
from callsheet.runtimes.resolver import ToolkitRuntimeResolver
from callsheet.sandbox import Sandbox
from callsheet.settings import Secret, ToolkitSettings
from callsheet.workers.local_executor import LocalExecutor
from tests.support.executor_bench import Stage, setup
from tests.support.toolkits import NEW, OLD, REAL, Core, Installation

EVENTS = 200
FRESH = 20
"""Events that get a process each: they take half a second."""
SETTLED = 20
"""Calls after which a worker has imported all that it will."""

CORES: tuple[Core, ...] = REAL[:2] if len(REAL) > 1 else (OLD, NEW)
WORK = f"two projects on {' and '.join(core.name for core in CORES)}"
CALL = "Toolkit: a call"
GOALS = (
    Goal(f"{CALL} in a warm session, beyond one without Toolkit", "over", least=0.5, at_most=True, unit="ms", note=f"p50; {WORK}"),
    Goal(CALL, "plain", unit="ms", note="p50, without Toolkit"),
    Goal(CALL, "session", unit="ms", note="p50, in a warm session"),
    Goal(CALL, "swap", unit="ms", note="p50, import_sgtk in the plugin's own process"),
    Goal(CALL, "fresh", unit="ms", note="p50, a process for each event"),
    Goal("Toolkit: memory", "session size", unit="MB", note="PSS per session, after its first calls"),
    Goal("Toolkit: memory", "session grown", least=1, at_most=True, unit="MB", note="PSS, both sessions, from then on"),
    Goal("Toolkit: memory", "hosting grown", least=1, at_most=True, unit="MB", note="PSS, the daemon's side, from then on"),
    Goal("Toolkit: memory", "swap grown", unit="MB", note="PSS, the plugin that swaps, from then on"),
)

PLAIN = """
from callsheet import on

@on("*")
def react(ctx):
    return ctx.project["id"]
"""
SESSION = """
from callsheet import on

@on("*", toolkit=True)
def react(ctx):
    import sgtk
    return ctx.tk.pipeline_configuration.get_project_id()
"""
SWAP = """
from callsheet import on
from callsheet.toolkit import import_sgtk

CONFIGS = {configs!r}

@on("*", lane="plugin")
def react(ctx):
    path = CONFIGS[ctx.project["id"]]
    return import_sgtk(path).sgtk_from_path(path).pipeline_configuration.get_project_id()
"""
FRESH_PROCESS = """
import subprocess, sys
from callsheet import on

CONFIGS = {configs!r}
SCRIPT = "import sys; sys.path.insert(0, sys.argv[1] + '/install/core/python'); import sgtk; sgtk.sgtk_from_path(sys.argv[1])"

@on("*", lane="plugin")
def react(ctx):
    subprocess.run([{python!r}, "-c", SCRIPT, CONFIGS[ctx.project["id"]]], check=True)
"""


def measure(events: int = EVENTS, fresh: int = FRESH) -> dict[str, list[float]]:
    """One turn. Calls with and without Toolkit alternate, so that the machine's moods hit both alike."""
    with _stage() as (stage, configs):
        projects = list(configs)
        told = {"configs": {project: str(path) for project, path in configs.items()}, "python": sys.executable}
        for name, source in (("plain", PLAIN), ("session", SESSION), ("swap", SWAP), ("fresh", FRESH_PROCESS)):
            stage.start(name, source.format(**told) if "{" in source else source)
        for number in range(SETTLED):
            for name in ("plain", "session", "swap"):
                _call(stage, name, projects[number % 2])
        sizes = _sizes(stage)
        times: dict[str, list[float]] = {"plain": [], "session": [], "swap": [], "fresh": []}
        for number in range(events):
            for name in ("plain", "session"):
                times[name].append(_call(stage, name, projects[number % 2]))
        after = _sizes(stage)
        for number in range(events):
            times["swap"].append(_call(stage, "swap", projects[number % 2]))
        swapped = _sizes(stage)
        for number in range(fresh):
            times["fresh"].append(_call(stage, "fresh", projects[number % 2]))
    found = {name: [statistics.median(some) * 1000] for name, some in times.items()}
    return {
        "over": [found["session"][0] - found["plain"][0]],
        **found,
        "session size": [after["session"] / 2],
        "session grown": [after["session"] - sizes["session"]],
        "hosting grown": [after["hosting"] - sizes["hosting"]],
        "swap grown": [swapped["swap"] - after["swap"]],
    }


def _call(stage: Stage, plugin: str, project: int) -> float:
    link = {"type": "Project", "id": project, "name": "P"}
    run = stage.run(plugin, "react", events={0: {"project": link, "entity": link}})
    began = time.perf_counter()
    (report,) = stage.do(run)
    took = time.perf_counter() - began
    assert report.failure is None, report.failure
    stage.forget()
    return took


def _sizes(stage: Stage) -> dict[str, float]:
    rows = stage.executor.workers()
    by: dict[str, Callable[..., bool]] = {
        "session": lambda row: row.project is not None,
        "swap": lambda row: row.plugins == ("swap",),
    }
    return {name: sum(pss(row.pid) for row in rows if row.pid is not None and mine(row)) for name, mine in by.items()} | {
        "hosting": pss(None)
    }


@contextmanager
def _stage() -> Iterator[tuple[Stage, dict[int, Path]]]:
    with tempfile.TemporaryDirectory(prefix="callsheet-bench-") as name, Sandbox() as sandbox:
        folder, sg = Path(name), sandbox.connect()
        installation = Installation(folder, sandbox)
        projects = [sg.create("Project", {"name": one, "tank_name": one})["id"] for one in ("one", "other")]
        configs = {project: installation.localized(project, core) for project, core in zip(projects, CORES, strict=True)}
        site = setup(sandbox.url, script=sandbox.script, key=Secret(sandbox.key))
        settings = ToolkitSettings(configs=installation.configs, app_store=False)

        def finder(archive: Path) -> ToolkitRuntimeResolver:
            return ToolkitRuntimeResolver({site.site: site}, settings, archive, folder / "toolkit", lambda _: catalogue(site))

        executor = LocalExecutor({site.site: site}, folder / "state", finder=finder)
        try:
            yield Stage(folder / "plugins", executor), configs
        finally:
            executor.close(5)
