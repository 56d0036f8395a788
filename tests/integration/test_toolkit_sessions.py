"""Sessions on real workers: each project's callbacks run with that project's own core, whatever kind of configuration it has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Report, Run, RunEnded, Verdict
from callsheet.domain.event import Event
from callsheet.policy import loop_protection
from callsheet.runtimes.resolver import ToolkitRuntimeResolver
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.sandbox import Sandbox
from callsheet.sandbox.show import LIGHTHOUSE
from callsheet.settings import Secret, ToolkitPin, ToolkitSettings
from callsheet.site.catalogue import ConfigurationCatalogue
from callsheet.telemetry import Recorder, recording
from callsheet.wire.causality import Chain, Signature
from callsheet.workers import slot
from callsheet.workers.local_executor import LocalExecutor
from callsheet.workers.sessions import session as session_module
from callsheet.workers.sessions import session_calls, session_status
from callsheet.workers.sessions.session import SessionLimits
from tests.support.executor_bench import SITE, Stage
from tests.support.running import bare_python
from tests.support.toolkits import NEW, OLD, REAL, Core, Installation, every_core, name_of

CORE = Path("config", "core")
WHERE = """
import json, os, sys
from callsheet import on
from callsheet.toolkit import here

@on("*", toolkit=True)
def callback(ctx):
    import sgtk
    raise ValueError(json.dumps({
        "file": sgtk.__file__, "version": here().version, "project": ctx.tk_context.project["id"], "engine": ctx.engine.name,
        "pid": os.getpid(), "python": "%d.%d" % sys.version_info[:2],
        "read": ctx.sg.find_one("Project", [["id", "is", ctx.project["id"]]])["id"],
    }))
"""


class Studio:
    """A sandbox with projects that have Toolkit, and an executor that knows both."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.installation = Installation(folder, sandbox)
        self._sg = sandbox.connect()
        self._executors: list[LocalExecutor] = []

    def project(self, name: str) -> int:
        """A new project of the site."""
        return int(self._sg.create("Project", {"name": name, "tank_name": name})["id"])

    def stage(
        self, limits: SessionLimits | None = None, hosted: tuple[str, ...] = (), use_session_uuid: bool = False, **settings: Any
    ) -> Stage:
        """An executor over it; ``settings`` of Toolkit."""
        access = (SITE, self.sandbox.url, self.sandbox.script, Secret(self.sandbox.key))
        setup = WorkerConfig(*access, use_session_uuid=use_session_uuid, hosted=frozenset(hosted))
        told = ToolkitSettings(**{"configs": self.installation.configs, "app_store": False, **settings})

        def finder(archive: Path) -> ToolkitRuntimeResolver:
            return ToolkitRuntimeResolver({SITE: setup}, told, archive, self.folder / "toolkit", lambda _: self._catalogue())

        executor = LocalExecutor({SITE: setup}, self.folder / "state", ahead=16, finder=finder, limits=limits)
        self._executors.append(executor)
        return Stage(self.folder / "plugins", executor)

    def close(self) -> None:
        """End what was opened."""
        for executor in self._executors:
            executor.close(0)

    def _catalogue(self) -> ConfigurationCatalogue:
        return ConfigurationCatalogue(self.sandbox.url, self.sandbox.script, self.sandbox.key)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Sandbox() as sandbox:
        studio = Studio(tmp_path, sandbox)
        yield studio
        studio.close()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


def of(stage: Stage, project: int, name: str = "where", count: int = 1, **event: Any) -> Run:
    """A run of deliveries whose events belong to a project."""
    link = {"type": "Project", "id": project, "name": "P"}
    events = {place: {"project": link, "entity": link, **event} for place in range(count)}
    return stage.run(name, *["callback"] * count, events=events)


def told(report: Report) -> dict[str, Any]:
    """What the callback of WHERE said."""
    assert report.failure is not None
    assert report.failure.kind == "ValueError", report.failure
    found: dict[str, Any] = json.loads(report.failure.text)
    return found


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_callback_has_its_projects_core_context_engine_and_site(core: Core, studio: Studio) -> None:
    project = studio.project("moth")
    path = studio.installation.localized(project, core)
    stage = studio.stage()
    manifest = stage.start("where", WHERE)

    (first,) = stage.do(of(stage, project))
    (again,) = stage.do(of(stage, project))

    assert manifest.callbacks[0].lane == "project"
    seen = told(first)
    assert seen["file"].startswith(str(path / "install" / "core"))
    assert (seen["version"], seen["project"], seen["engine"], seen["read"]) == (core.version, project, "tk-shell", project)
    assert seen["pid"] == told(again)["pid"] != manifest.pid


def kinds(studio: Studio, cores: tuple[Core, Core]) -> dict[int, Callable[[str], bool]]:
    """Projects of every kind, and what tells a file of its core."""
    one, other = cores
    made: dict[int, Callable[[str], bool]] = {}
    localized = studio.project("localized")
    path = str(studio.installation.localized(localized, one))
    made[localized] = lambda file: file.startswith(path)
    shared = studio.project("shared")
    root = str(studio.installation.core_root("shared_core", other))
    studio.installation.shared(shared, f"{root}\n")
    made[shared] = lambda file: file.startswith(root)
    bare = studio.project("bare")
    default = str(studio.installation.core_root("studio", one))
    studio.installation.bare(bare)
    made[bare] = lambda file: file.startswith(default)
    distributed = studio.project("distributed")
    studio.installation.distributed(distributed, other, name="far")
    made[distributed] = lambda file: "far" in file or "cores" in file or "homes" in file
    return made


@pytest.mark.parametrize(
    "cores", [(OLD, NEW), *([REAL[:2]] if len(REAL) > 1 else [])], ids=lambda pair: "+".join(map(name_of, pair))
)
def test_alternating_projects_of_all_kinds_each_get_their_own_core(cores: tuple[Core, Core], studio: Studio) -> None:
    projects = kinds(studio, cores)
    stage = studio.stage(starter=studio.installation.starter(cores[1]), studio=studio.installation.configs / "studio")
    stage.start("where", WHERE)
    runs = [(project, of(stage, project)) for project in list(projects) * 10]

    for _, run in runs:
        stage.executor.submit([run])
    seen = [(project, told(stage.finish(run)[0])) for project, run in runs]

    for project, facts in seen:
        assert projects[project](facts["file"]), facts
        assert facts["project"] == project
    assert len({facts["pid"] for _, facts in seen}) == len(projects)


def test_a_core_that_is_upgraded_on_disk_is_used_by_the_next_delivery(studio: Studio, recorder: Recorder) -> None:
    project = studio.project("moth")
    path = studio.installation.localized(project, OLD)
    stage = studio.stage()
    stage.start("where", WHERE)
    before = told(stage.do(of(stage, project))[0])

    NEW.put(path / "install" / "core")
    seen = [before]
    while seen[-1]["version"] == OLD.version:  # a look is good for a second
        seen.append(told(stage.do(of(stage, project))[0]))

    assert seen[-1]["version"] == NEW.version
    assert seen[-1]["pid"] != before["pid"]
    outdated = recorder.wait_for("session.outdated", project=project)
    assert outdated.facts["changed"] == str(path / "install" / "core" / "info.yml")


def test_a_session_that_is_killed_in_a_call_costs_one_attempt_and_others_nothing(studio: Studio) -> None:
    one, other = studio.project("one"), studio.project("other")
    for project in (one, other):
        studio.installation.localized(project, OLD)
    stage = studio.stage()
    stage.start(
        "where",
        """
        import os, signal
        from callsheet import on
        @on("*", toolkit=True)
        def callback(ctx):
            if ctx.event["session_uuid"] == "die":
                os.kill(os.getpid(), signal.SIGKILL)
        """,
    )

    killed, fine = of(stage, one, session_uuid="die"), of(stage, other, count=3)
    stage.executor.submit([killed, fine])
    (crash,) = stage.finish(killed)
    reports = stage.finish(fine)
    (again,) = stage.do(of(stage, one))

    assert crash.verdict is Verdict.CRASHED
    assert crash.failure is not None
    assert "signal 9 (SIGKILL)" in crash.failure.text
    assert [one.verdict for one in (*reports, again)] == [Verdict.OK] * 4


DEADLY = """
import os
from callsheet import on
@on("*", toolkit=True)
def callback(ctx):
    os._exit(7)
"""


def test_a_plugin_that_takes_sessions_down_again_and_again_has_to_wait_and_others_do_not(
    studio: Studio, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot, "FIRST_WAIT", 600.0)
    monkeypatch.setattr(slot, "LONGEST_WAIT", 600.0)
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    stage = studio.stage()
    stage.start("deadly", DEADLY)
    stage.start("good", '\nfrom callsheet import on\n@on("*", toolkit=True)\ndef callback(ctx): pass\n')

    # When it has taken down as many as any worker may die without a pause
    for _ in range(5):
        assert [one.verdict for one in stage.do(of(stage, project, "deadly"))] == [Verdict.CRASHED]
        assert [one.verdict for one in stage.do(of(stage, project, "good"))] == [Verdict.OK]

    # Then what comes for it waits, which is told, and what comes for another is done
    facts = recorder.wait_for("worker.waiting").facts
    assert (facts["deaths"], facts["retry_in"]) == (5, 600.0)
    waits = of(stage, project, "deadly")
    stage.executor.submit([waits])
    assert [one.verdict for one in stage.do(of(stage, project, "good"))] == [Verdict.OK]
    (row,) = [one for one in stage.executor.workers() if one.project == project]
    assert (row.restarts, row.problem) == (5, "ended with exit code 7")
    os.kill(row.pid or 0, signal.SIGKILL)
    stage.until(lambda: any(one.state == "backing off" for one in stage.executor.workers() if one.project == project))

    # And once it is loaded anew, it is called at once
    stage.executor.unload(waits.plugin)
    stage.finish(waits)
    stage.start("deadly", DEADLY.replace("os._exit(7)", "pass"))
    assert [one.verdict for one in stage.do(of(stage, project, "deadly"))] == [Verdict.OK]


@pytest.mark.parametrize("how", ["while it opens", "in calls"])
def test_sessions_that_always_die_are_started_ever_later(
    how: str, studio: Studio, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(session_module, "GRUDGE", 0.0)
    project = studio.project("moth")
    path = studio.installation.localized(project, OLD)
    if how == "while it opens":
        (path / "install" / "core" / "python" / "sgtk" / "__init__.py").write_text("import os; os._exit(7)")
    stage = studio.stage()
    stage.start("where", asking(f"session({project}).call(dies)"))

    pauses: list[float] = []
    while len(pauses) < 6:
        stage.do(of(stage, project))
        pauses = [one.facts["retry_in"] for one in recorder.named("worker.waiting")]

    assert pauses == [0.01 * 2**number for number in range(6)]


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_python_without_shotgun_api3_gets_the_cores(core: Core, studio: Studio) -> None:
    # Given a Python as Toolkit's own desktop brings it, with nothing installed
    project = studio.project("moth")
    path = studio.installation.localized(project, core)
    stage = studio.stage(hosted=("hosted",), projects={str(project): ToolkitPin(python=str(bare_python(studio.folder / "venv")))})
    stage.start("where", WHERE)
    stage.start(
        "hosted",
        """
        import shotgun_api3
        def registerCallbacks(reg):
            reg.registerCallback("script", "script-key", callback, stopOnError=False)
        def callback(sg, logger, event, args):
            assert isinstance(sg, shotgun_api3.Shotgun)
            raise ValueError(shotgun_api3.__file__)
        """,
    )

    # Then ctx.sg and hosted plugins work, with the client that the core brings
    assert told(stage.do(of(stage, project))[0])["read"] == project
    (report,) = stage.do(of(stage, project, "hosted"))
    assert report.failure is not None
    assert report.failure.text.startswith(str(path / "install" / "core"))


SPOILING = """
import os, sys
from callsheet import on
@on("*", toolkit=True)
def callback(ctx):
    import sgtk
"""
OTHER_CORE = """
sys.path[:] = [{core!r}] + [one for one in sys.path if one != ctx._toolkit.core]
for name in [one for one in sys.modules if one.split(".")[0] in ("sgtk", "tank", "tank_vendor")]:
    del sys.modules[name]
import sgtk
"""


def spoiled_by(studio: Studio, stage: Stage, project: int, body: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What another plugin sees in a project's session before and after a callback of that body, given in one run with another."""
    stage.start("where", WHERE)
    before = told(stage.do(of(stage, project))[0])
    stage.start("spoils", SPOILING + textwrap.indent(textwrap.dedent(body), "    "))
    (report,) = stage.do(of(stage, project, "spoils"))
    assert report.verdict is Verdict.OK, report.failure
    return before, told(stage.do(of(stage, project))[0])


@pytest.mark.parametrize("core", every_core(), ids=name_of)
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("ctx.engine.destroy()", "ended the engine"),
        ("engine = ctx.engine; engine.destroy(); sgtk.platform.start_engine(engine.name, ctx.tk, ctx.tk_context)", "in its place"),
        (OTHER_CORE, "swapped cores: import sgtk gives"),
        ("sys.path.remove(ctx._toolkit.core)", "out of sys.path"),
        ("sys.path.insert(0, {core!r})", "in front of that of the project"),
    ],
    ids=["destroy", "another engine", "swap", "core's path removed", "another core's path"],
)
def test_a_session_that_a_plugin_has_spoiled_is_replaced_and_the_plugin_named(
    body: str, says: str, core: Core, studio: Studio, recorder: Recorder
) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, core)
    other = str(NEW.put(studio.folder / "other_core") / "python")

    before, after = spoiled_by(studio, studio.stage(), project, body.replace("{core!r}", repr(other)))

    told_of = recorder.wait_for("session.spoiled", project=project)
    assert told_of.facts["plugin"] == "spoils"
    assert says in told_of.facts["problem"]
    assert after.pop("pid") != before.pop("pid")
    assert after == before


@pytest.mark.parametrize("core", every_core(), ids=name_of)
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('ctx.engine.change_context(ctx.tk.context_from_entity("Shot", 101))', "left the engine in the context"),
        ('os.environ["TANK_CURRENT_PC"] = "/elsewhere"', "changed TANK_CURRENT_PC"),
        ("sgtk.set_authenticated_user(None)", "logged in as somebody else"),
    ],
    ids=["context", "environment", "user"],
)
def test_what_a_plugin_changed_in_a_session_is_set_back_and_the_plugin_named(
    body: str, says: str, core: Core, studio: Studio, recorder: Recorder
) -> None:
    studio.installation.localized(LIGHTHOUSE.id, core)
    stage = studio.stage()

    before, after = spoiled_by(studio, stage, LIGHTHOUSE.id, body)

    assert after == before
    records = [one.facts["record"]["message"] for one in recorder.named("plugin.record")]
    assert [one for one in records if f"The plugin spoils {says}" in one]


def test_a_function_that_spoils_a_session_costs_those_that_wait_behind_it_nothing(studio: Studio, recorder: Recorder) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    stage = studio.stage()
    stage.start(
        "where",
        CALLS
        + f"""
def destroys():
    here().engine.destroy()

@on("*")
def callback(ctx):
    found = []
    threads = [threading.Thread(target=session({project}).call, args=(destroys,))]
    threads += [threading.Thread(target=lambda: found.append(session({project}).call(seen, "")["version"])) for _ in range(5)]
    for one in threads: one.start()
    for one in threads: one.join()
    raise ValueError(" ".join(found))
""",
    )

    (report,) = stage.do(of(stage, project))

    assert report.failure is not None
    assert report.failure.text == " ".join([OLD.version] * 5)
    assert recorder.wait_for("session.spoiled").facts["plugin"] == "where"


def test_many_projects_share_few_sessions_in_order(studio: Studio, recorder: Recorder, tmp_path: Path) -> None:
    projects = [studio.project(f"p{number}") for number in range(10)]
    for project in projects:
        studio.installation.localized(project, OLD)
    stage = studio.stage(SessionLimits(most=2))
    log = tmp_path / "log"
    stage.start(
        "where",
        f"""
        from callsheet import on
        @on("*", toolkit=True)
        def callback(ctx):
            with open({str(log)!r}, "a") as file:
                file.write("%d %d\\n" % (ctx.project["id"], ctx.event["id"]))
        """,
    )
    runs = [of(stage, project, count=2) for project in projects * 2]

    stage.executor.submit(runs)
    for run in runs:
        assert [one.verdict for one in stage.finish(run)] == [Verdict.OK, Verdict.OK]

    done = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    for project in projects:
        ids = [number for owner, number in done if owner == project]
        assert len(ids) == 4
        assert ids == sorted(ids)
    opened, ended = recorder.named("session.opened"), recorder.named("worker.retired")
    assert len(opened) >= 10
    assert any("least recently used" in one.facts["why"] for one in ended)


def test_a_project_that_always_has_something_to_do_keeps_no_other_waiting_for_ever(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callsheet.workers.sessions.admission.TURN", 0.2)
    busy, patient = (studio.project(name) for name in ("busy", "patient"))
    for project in (busy, patient):
        studio.installation.localized(project, OLD)
    stage = studio.stage(SessionLimits(most=1))
    stage.start(
        "where",
        """
        import threading
        from callsheet import on
        @on("*", toolkit=True)
        def callback(ctx):
            threading.Event().wait(0.05)
        """,
    )
    wanted = of(stage, patient)
    stage.executor.submit([of(stage, busy)])
    stage.executor.submit([wanted])

    def goes_on() -> bool:
        # As dispatch does: wherever there is room, there is more for the one project.
        free = stage.executor.free().get(wanted.plugin, 0)
        stage.executor.submit([of(stage, busy) for _ in range(free)])
        return any(isinstance(one, RunEnded) and one.run_id == wanted.id for one in stage.heard)

    stage.until(goes_on)
    assert [one.verdict for one in stage.finish(wanted)] == [Verdict.OK]


@pytest.mark.parametrize(
    ("harm", "said", "verdict"),
    [
        (lambda path: (path / CORE / "roots.yml").unlink(), "roots.yml", Verdict.GIVE_UP),
        (lambda path: (path / CORE / "pipeline_configuration.yml").write_text("{"), "pipeline_configuration.yml", Verdict.GIVE_UP),
        (lambda path: path.rename(path.with_name("away")), "does not exist", None),
    ],
    ids=["no configuration", "broken YAML", "moved away"],
)  # fmt: skip
def test_a_project_whose_toolkit_can_not_be_had_says_why(
    harm: Callable[[Path], object], said: str, verdict: Verdict | None, studio: Studio
) -> None:
    project, healthy = studio.project("moth"), studio.project("healthy")
    path = studio.installation.localized(project, OLD)
    studio.installation.localized(healthy, OLD)
    harm(path)
    stage = studio.stage()
    stage.start("where", WHERE)

    reports = stage.do(of(stage, project, count=2))
    fine = stage.do(of(stage, healthy))

    assert len(reports) == 1  # the second comes back
    failure = reports[0].failure
    assert failure is not None
    assert failure.kind == "ToolkitError"
    assert "moth" in failure.text
    assert said in failure.text
    assert verdict in (None, reports[0].verdict)
    assert told(fine[0])["project"] == healthy


def test_an_event_without_a_project_and_a_project_without_toolkit_are_clear_answers(studio: Studio) -> None:
    project = studio.project("bare")
    stage = studio.stage()
    stage.start("where", WHERE)

    (nobody,) = stage.do(stage.run("where", "callback", events={0: {"project": None}}))
    (nothing,) = stage.do(of(stage, project))

    assert nobody.verdict is Verdict.SKIP
    assert nobody.failure is not None
    assert "belongs to no project" in nobody.failure.text
    assert nothing.failure is not None
    assert "it has no Toolkit" in nothing.failure.text


def test_a_legacy_plugin_is_hosted_by_one_line_of_configuration(studio: Studio) -> None:
    one, other = studio.project("one"), studio.project("other")
    paths = {one: studio.installation.localized(one, OLD), other: studio.installation.localized(other, NEW)}
    stage = studio.stage(hosted=("where",))
    manifest = stage.start(
        "where",
        """
        import sgtk
        from tank import Hook
        logger = sgtk.platform.get_logger(__name__)
        class Mine(Hook):
            pass
        def registerCallbacks(reg):
            reg.registerCallback("script", "script-key", callback, stopOnError=False)
        def callback(sg, logger, event, args):
            raise ValueError(sgtk.__file__)
        """,
    )
    runs = [(project, of(stage, project)) for project in (one, other) * 5]

    for _, run in runs:
        stage.executor.submit([run])

    assert manifest.problem is None
    for project, run in runs:
        (report,) = stage.finish(run)
        assert report.failure is not None
        assert report.failure.text.startswith(str(paths[project]))


def test_a_plugin_that_met_an_outage_in_a_session_is_loaded_there_again(studio: Studio) -> None:
    # Given a plugin that asks its site for something while it registers, which could be loaded outside of Toolkit
    project = studio.project("moth")
    studio.installation.localized(project, NEW)
    key = studio.sandbox.add_script("validated", "key-of-validated")
    stage = studio.stage(hosted=("where",))
    manifest = stage.start(
        "where",
        f"""
        import shotgun_api3
        def registerCallbacks(reg):
            sg = shotgun_api3.Shotgun({studio.sandbox.url!r}, "validated", {key!r}, connect=False)
            try:
                sg.find_one("Project", [])
            except Exception:
                return
            reg.registerCallback("validated", {key!r}, callback, None, None)
        def callback(sg, logger, event, args): pass
        """,
    )
    assert manifest.problem is None
    # When the site does not answer it in the session
    studio.sandbox.faults.status(503, script="validated")
    (report,) = stage.do(of(stage, project))
    # Then that is no fault of the delivery's, and the session loads it again for the next try
    assert report.failure is not None
    assert (report.passing, report.failure.kind) == (True, "PluginNotLoaded")
    studio.sandbox.faults.clear()
    (report,) = stage.do(of(stage, project))
    assert report.failure is None, report.failure


HOSTED_HEAD = """
def registerCallbacks(reg):
    reg.registerCallback("script", "script-key", callback, stopOnError=False)
def callback(sg, logger, event, args):
"""
HEADS = {
    "libraries of the core": "from tank_vendor import yaml, shotgun_api3; import tank_vendor.six",
    "an exception to derive from": "class Mine(sgtk.TankError):\n    pass\ntry:\n    raise Mine('x')\nexcept sgtk.TankError: pass",
    "exceptions to catch": "try:\n    raise OSError\nexcept (sgtk.TankError, sgtk.platform.TankEngineInitError, OSError): pass",
    "text": "import os, re, logging\nplace = os.path.join(sgtk.platform.constants.X, 'y') + sgtk.util.sep + '%s' % sgtk.x\n"
    "re.compile(sgtk.x); logging.getLogger(sgtk.platform.name); open(os.devnull, 'w').write(sgtk.y)",
    "a class of Qt": "from sgtk.platform.qt import QtCore\nclass Window(QtCore.QObject):\n    done = QtCore.Signal(int)",
    "a block": "with sgtk.LogManager().supress(): pass",
    "a method called as text's are": "found = sgtk.shotgun.find('Shot', [['id', 'is', 1]]); sgtk.templates.index(2, 3, 4)",
}


@pytest.mark.parametrize("head", HEADS)
def test_a_hosted_plugin_may_do_a_lot_with_toolkit_at_its_head(head: str, studio: Studio) -> None:
    stage = studio.stage(hosted=("where",))
    manifest = stage.start("where", f"import sgtk\n{HEADS[head]}\n{HOSTED_HEAD}    pass\n")
    assert manifest.problem is None, manifest.problem


@pytest.mark.parametrize("where", ["import", "register"])
def test_what_fails_with_the_stand_in_says_where_to_import_the_real_one(where: str, studio: Studio) -> None:
    stage = studio.stage(hosted=("where",))
    fails = "int(sgtk.platform.LIMIT)"
    text = {
        "import": f"import sgtk\nlimit = {fails}\n{HOSTED_HEAD}    pass\n",
        "register": f"import sgtk\ndef registerCallbacks(reg):\n    {fails}\n",
    }
    manifest = stage.start("where", text[where])
    assert manifest.problem is not None
    assert "Import them inside the function that needs them" in manifest.problem
    assert "ValueError" in manifest.problem


def test_a_session_can_import_what_the_studio_has_on_its_python_path(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    project = studio.project("moth")
    path = studio.installation.localized(project, OLD)
    tools, core = studio.folder / "tools", NEW.put(studio.folder / "another_core") / "python"
    tools.mkdir()
    (tools / "studio_tools.py").write_text("NAME = 'tools'\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(core), str(tools)]))
    stage = studio.stage(hosted=("where",))
    stage.start(
        "where",
        HOSTED_HEAD
        + """
    import sgtk, studio_tools
    raise ValueError(studio_tools.NAME + " " + sgtk.__file__)
""",
    )
    (report,) = stage.do(of(stage, project))
    assert report.failure is not None
    assert report.failure.text.startswith(f"tools {path}")


CALLS = """
import os, threading
from callsheet import on
from callsheet.toolkit import CarryError, SessionError, SessionTimeout, here, session

def seen(shot, *, more=None):
    import sgtk
    return {"version": here().tk.version, "file": sgtk.__file__, "pid": os.getpid(), "shot": shot, "more": more,
            "context": here().context_for()}

def fails():
    raise KeyError("no such step")

def hangs():
    threading.Event().wait()

def writes():
    here().tk.shotgun.update("Task", 301, {"sg_description": "one"})

def can_not_come_back():
    return here().tk

def dies():
    os._exit(3)
"""


def asking(body: str) -> str:
    """A legacy plugin that asks for sessions."""
    head = 'def registerCallbacks(reg):\n    reg.registerCallback("n", "some-key", callback, stopOnError=False)\n'
    return CALLS + head + "def callback(sg, logger, event, args):\n" + textwrap.indent(textwrap.dedent(body).strip(), "    ")


def said(stage: Stage, run: Run) -> str:
    """The text of the run's one failure, which the callback makes of what it saw."""
    (report,) = stage.do(run)
    assert report.failure is not None
    return report.failure.text


def test_a_function_is_called_in_the_session_of_another_project(studio: Studio) -> None:
    one, other = studio.project("one"), studio.project("other")
    studio.installation.localized(one, OLD)
    studio.installation.localized(other, NEW)
    stage = studio.stage()
    stage.start(
        "where",
        asking(
            f"""
            first = session({one}).call(seen, "010", more=("a", 1))
            again = session("one").call(seen, "020")
            second = session({{"type": "Project", "id": {other}}}).call(seen, "010")
            assert first["pid"] == again["pid"] != os.getpid(), (first, again)
            assert first["more"] == ("a", 1)
            assert first["context"].project["id"] == {one}
            raise ValueError("%s %s" % (first["version"], second["version"]))
            """
        ),
    )

    assert said(stage, of(stage, one)) == f"{OLD.version} {NEW.version}"


def test_a_site_that_does_not_answer_in_a_session_does_not_answer_who_called(studio: Studio) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, NEW)
    stage = studio.stage()
    stage.start("writer", asking(f"session({project}).call(writes)"))
    studio.sandbox.faults.html(count=1, method="update")

    (lost,) = stage.do(of(stage, project, "writer"))
    (done,) = stage.do(of(stage, project, "writer"))

    assert lost.failure is not None
    assert (lost.passing, lost.client) == (True, True), lost.failure
    assert "UnusableAnswer" in lost.failure.text
    assert done.failure is None, done.failure


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        ("fails", "SessionError", "KeyError: 'no such step'"),
        ("hangs", "SessionTimeout", "longer than 0.5 s"),
        ("can_not_come_back", "CarryError", "what can_not_come_back returned"),
        ("dies", "SessionLost", "exit code 3"),
    ],
)
def test_what_goes_wrong_in_a_session_is_told_to_the_caller(call: str, kind: str, text: str, studio: Studio) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    stage = studio.stage()
    stage.start(
        "where",
        asking(
            f"""
            if event["session_uuid"] == "wrong":
                session({project}, timeout=0.5).call({call})
            raise ValueError(session({project}).call(seen, "010")["version"])
            """
        ),
    )

    (wrong,) = stage.do(of(stage, project, session_uuid="wrong"))
    right = said(stage, of(stage, project))

    assert wrong.failure is not None
    assert wrong.failure.kind.rpartition(".")[2] == kind
    assert text in wrong.failure.text
    if call == "fails":
        assert "in fails" in wrong.failure.text
    assert right == OLD.version


def test_two_threads_of_one_plugin_get_the_sessions_that_they_ask_for(studio: Studio) -> None:
    one, other = studio.project("one"), studio.project("other")
    studio.installation.localized(one, OLD)
    studio.installation.localized(other, NEW)
    stage = studio.stage()
    stage.start(
        "where",
        asking(
            f"""
            from concurrent.futures import ThreadPoolExecutor
            wanted = [{one}, {other}] * 20
            with ThreadPoolExecutor(2) as pool:
                versions = list(pool.map(lambda project: session(project).call(seen, project)["version"], wanted))
            raise ValueError(sorted(set(zip(wanted, versions))))
            """
        ),
    )

    assert said(stage, of(stage, one)) == str(sorted({(one, OLD.version), (other, NEW.version)}))


@pytest.mark.parametrize("most", [8, 1])
def test_sessions_that_would_wait_for_each_other_for_ever_are_told_so(most: int, studio: Studio) -> None:
    # Given two projects each of whose callbacks calls a function in the other's session; or no place for the other's session
    one, other = studio.project("one"), studio.project("other")
    for project in (one, other):
        studio.installation.localized(project, OLD)
    stage = studio.stage(SessionLimits(most=most))
    stage.start(
        "where",
        CALLS
        + textwrap.dedent(
            f"""
            @on("*", toolkit=True)
            def callback(ctx):
                open({str(studio.folder)!r} + "/%d" % ctx.project["id"], "w").close()
                while {most} > 1 and not os.path.exists({str(studio.folder)!r} + "/%d" % ({one + other} - ctx.project["id"])):
                    threading.Event().wait(0.01)
                session({one + other} - ctx.project["id"]).call(seen, "010")
            """
        ),
    )
    runs = [of(stage, project) for project in (one, other)]

    # When they do so at once
    stage.executor.submit(runs)
    reports = [report for run in runs for report in stage.finish(run)]

    # Then one fails, to be tried again, which lets the other go on
    failed = [report.failure for report in reports if report.failure is not None]
    assert failed
    assert all(report.verdict in {Verdict.FAILED, Verdict.OK} for report in reports)
    for failure in failed:
        assert failure.kind.endswith("SessionLost")
        assert "waits for that of" in failure.text or "toolkit.sessions" in failure.text
    assert most == 1 or len(failed) == 1


def test_a_session_of_its_own_project_is_called_at_once(studio: Studio) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    stage = studio.stage()
    stage.start(
        "where",
        CALLS
        + textwrap.dedent(
            """
            @on("*", toolkit=True)
            def callback(ctx):
                raise ValueError(session(ctx.project).call(seen, "010")["pid"] == os.getpid())
            """
        ),
    )

    assert said(stage, of(stage, project)) == "True"


def test_a_reloaded_plugin_is_new_in_its_sessions(studio: Studio) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    stage = studio.stage()
    plugin = 'from callsheet import on\n@on("*", toolkit=True)\ndef callback(ctx): raise ValueError("{}")'
    stage.start("where", plugin.format("old"))
    assert said(stage, of(stage, project)) == "old"

    stage.start("where", plugin.format("new"))
    assert said(stage, of(stage, project)) == "new"


def test_a_session_does_one_thing_at_a_time_whatever_its_plugins_say(studio: Studio) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    stage = studio.stage()
    stage.start(
        "where",
        """
        import threading
        from callsheet import on
        inside, never = threading.Lock(), threading.Event()
        @on("*", toolkit=True, lane="none", slots=4)
        def callback(ctx):
            assert inside.acquire(blocking=False), "somebody else is at it"
            never.wait(0.05)
            inside.release()
        """,
    )
    runs = [of(stage, project) for _ in range(8)]

    stage.executor.submit(runs)

    assert [one.verdict for run in runs for one in stage.finish(run)] == [Verdict.OK] * 8


def test_a_caller_hears_of_the_daemons_end_while_its_session_opens(studio: Studio) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    stage = studio.stage(SessionLimits(most=1))
    stage.start("where", asking(f"session({project}).call(seen, '010')"))
    run = of(stage, project)
    stage.executor.submit([run])
    stage.until(lambda: any(one.project == project for one in stage.executor.workers()))

    stage.executor.close(20)

    (report,) = stage.finish(run)
    assert report.failure is None or report.failure.kind.endswith("SessionLost")


def test_a_session_that_ends_slowly_keeps_nobody_from_the_place_of_an_idle_one(studio: Studio) -> None:
    slow, idle, third = (studio.project(name) for name in ("slow", "idle", "third"))
    for project in (slow, idle, third):
        studio.installation.localized(project, OLD)
    stage = studio.stage(SessionLimits(most=2))
    flag, begun = studio.folder / "flag", studio.folder / "begun"
    stage.start(
        "where",
        f"""
        import os, threading
        from callsheet import on
        @on("*", toolkit=True)
        def callback(ctx):
            if ctx.project["id"] == {slow}:
                open({str(begun)!r}, "w").close()
            while ctx.project["id"] == {slow} and not os.path.exists({str(flag)!r}):
                threading.Event().wait(0.01)
        """,
    )
    hangs = of(stage, slow)
    stage.executor.submit([hangs])
    stage.until(begun.exists)
    stage.do(of(stage, idle))
    assert isinstance(stage.executor, LocalExecutor)
    stage.executor.retire(SITE, "slow")

    assert [one.verdict for one in stage.do(of(stage, third))] == [Verdict.OK]

    assert not any(isinstance(one, Report) and one.run_id == hangs.id for one in stage.heard)
    flag.touch()
    assert [one.verdict for one in stage.finish(hangs)] == [Verdict.OK]


def test_a_core_that_is_in_pieces_while_it_is_upgraded_costs_no_delivery(studio: Studio) -> None:
    project = studio.project("moth")
    core = studio.installation.localized(project, OLD) / "install" / "core"
    stage = studio.stage()
    stage.start("where", WHERE)
    pid = told(stage.do(of(stage, project))[0])["pid"]
    assert isinstance(stage.executor, LocalExecutor)

    (core / "python").rename(core / "old")
    stage.executor.retire(SITE, project)
    stage.until(lambda: not any(one.pid == pid for one in stage.executor.workers()))
    (meanwhile,) = stage.do(of(stage, project))
    NEW.put(core)
    stage.until(lambda: stage.do(of(stage, project))[0].verdict is Verdict.FAILED and told_or_none(stage) == NEW.version)

    assert meanwhile.verdict is Verdict.FAILED  # to be tried again, and not given up
    assert meanwhile.failure is not None
    assert f"{core} lacks python" in meanwhile.failure.text


def told_or_none(stage: Stage) -> str | None:
    """The version that the last callback saw, if it could."""
    last = [one for one in stage.heard if isinstance(one, Report)][-1]
    return told(last)["version"] if last.failure is not None and last.failure.kind == "ValueError" else None


NEVER = """
import sys, threading
from pathlib import Path
from callsheet.settings import Secret
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.workers.local_executor import LocalExecutor

class Hanging:
    def __init__(self, archive): pass
    def find(self, site, project): threading.Event().wait()

setup = WorkerConfig("studio", "http://127.0.0.1:9", "x", Secret("y"))
executor = LocalExecutor({"studio": setup}, Path(sys.argv[1]), finder=Hanging)
executor.warm("studio", 97)
executor.close(1)
"""


def test_a_share_that_hangs_does_not_keep_the_daemon_from_ending(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", NEVER, str(tmp_path)], check=True, timeout=60)


PUBLISHING = """
import threading
from callsheet import on
from callsheet.toolkit import here, session

def publish(name="direct"):
    import sgtk
    data = {"code": name, "project": here().context_for().project}
    here().tk.shotgun.create("PublishedFile", data)
    sgtk.get_authenticated_user().create_sg_connection().create("PublishedFile", data)
    thread = threading.Thread(target=lambda: here().tk.shotgun.create("PublishedFile", data))
    thread.start()
    thread.join()
"""
BROWSER = "6c1f2a40-0000-11f0-9a3e-0242ac110002"


def events_of_publishes(studio: Studio) -> list[Event]:
    """What the site logged of the files that were published, as the daemon reads it."""
    fields = ["event_type", "user", "project", "meta", "session_uuid"]
    found = studio.sandbox.connect().find("EventLogEntry", [["event_type", "is", "Shotgun_PublishedFile_New"]], fields)
    return [Event(SITE, one) for one in found]


@pytest.mark.parametrize("core", every_core(), ids=name_of)
@pytest.mark.parametrize(
    ("body", "hosted"),
    [
        ('@on("*", toolkit=True)\ndef callback(ctx): publish()', False),
        ('@on("*", toolkit=True, batch=5)\ndef callback(all): publish()', False),
        ('@on("*", toolkit=True, settle=0.01)\ndef callback(ctx): publish()', False),
        ('@on("*")\ndef callback(ctx): session(ctx.project).call(publish)', False),
        (HOSTED_HEAD + "    session(event['project']).call(publish)", False),
        (HOSTED_HEAD + "    publish()", True),
        (
            HOSTED_HEAD + "    thread = threading.Thread(target=lambda: session(event['project']).call(publish))\n"
            "    thread.start(); thread.join()",
            False,
        ),
    ],
    ids=["on", "batch", "settle", "call", "call by legacy", "hosted", "call by a thread"],
)
def test_what_toolkit_writes_for_a_plugin_is_known_as_that_plugins(body: str, hosted: bool, core: Core, studio: Studio) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, core)
    stage = studio.stage(hosted=("where",) if hosted else ())
    stage.start("where", PUBLISHING + body)

    (report,) = stage.do(of(stage, project))

    assert report.failure is None, report.failure
    events = events_of_publishes(studio)
    assert len(events) == 3
    for event in events:
        made = loop_protection.origin(event)
        assert made.script is not None
        assert made.mark == loop_protection.Mark(1, loop_protection.sign(PluginKey(SITE, "where")))
        assert not loop_protection.is_own(made, loop_protection.sign(PluginKey(SITE, "other")), [made.script])
        assert not loop_protection.is_by(made, made.script)


def test_what_toolkit_writes_for_an_event_of_a_chain_is_one_deeper(studio: Studio) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, NEW)
    stage = studio.stage()
    stage.start("where", PUBLISHING + '@on("*", toolkit=True)\ndef callback(ctx): publish()')

    for session_uuid in (Signature(SITE, "other").mark(Chain(2, 0)), BROWSER):
        stage.do(of(stage, project, session_uuid=session_uuid))

    depths = [mark.depth for one in events_of_publishes(studio) if (mark := loop_protection.origin(one).mark) is not None]
    assert depths == [4] * 3 + [1] * 3


def test_a_hosted_plugin_hands_a_users_session_on_to_what_toolkit_writes_where_that_is_asked_for(studio: Studio) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, NEW)
    stage = studio.stage(hosted=("where",), use_session_uuid=True)
    stage.start("where", PUBLISHING + HOSTED_HEAD + "    publish()")
    chain = Signature(SITE, "other").mark()

    for session_uuid in (BROWSER, chain):
        stage.do(of(stage, project, session_uuid=session_uuid))

    said = [one.data["session_uuid"] for one in events_of_publishes(studio)]
    assert said[:3] == [BROWSER] * 3
    assert {loop_protection.read(one) for one in said[3:]} == {
        loop_protection.Mark(2, loop_protection.sign(PluginKey(SITE, "where")))
    }


def test_a_call_without_a_timeout_ends_before_the_delivery_that_makes_it(studio: Studio, recorder: Recorder) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    stage = studio.stage()
    stage.start(
        "where",
        CALLS
        + f"""
@on("*", timeout=3)
def callback(ctx):
    if ctx.event["session_uuid"] == "hang":
        session({project}).call(hangs)
    raise ValueError(session({project}).call(seen, "010")["version"])
""",
    )

    assert isinstance(stage.executor, LocalExecutor)
    stage.executor.warm(SITE, project)
    recorder.wait_for("session.opened")

    # The caller hears where it hung, and is not killed; and the project goes on
    (late,) = stage.do(of(stage, project, session_uuid="hang"))
    (again,) = stage.do(of(stage, project))

    assert late.verdict is Verdict.FAILED
    assert late.failure is not None
    assert late.failure.kind.endswith("SessionTimeout")
    assert "longer than the delivery that called it may" in late.failure.text
    assert "hangs" in late.failure.text  # its stack
    assert again.failure is not None
    assert again.failure.text == OLD.version


def test_calls_of_a_caller_that_died_are_not_made_and_the_one_under_way_is_ended(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_calls, "ORPHAN_GRACE", 0.2)
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    stage = studio.stage()
    made, late = studio.folder / "made", studio.folder / "late"
    head = (
        CALLS
        + f"""
def hangs_now():
    open({str(made)!r}, "w").close()
    threading.Event().wait()

def is_late():
    open({str(late)!r}, "w").close()
"""
    )
    # Given a caller whose function hangs in the session, and has two more that wait behind that
    stage.start(
        "where",
        head
        + f"""
@on("*")
def callback(ctx):
    threading.Thread(target=session({project}).call, args=(hangs_now,)).start()
    while not os.path.exists({str(made)!r}): threading.Event().wait(0.01)
    for _ in range(2):
        threading.Thread(target=session({project}).call, args=(is_late,)).start()
    threading.Event().wait(0.2)
    os._exit(5)
""",
    )
    stage.start("other", head + f"@on('*')\ndef callback(ctx): raise ValueError(session({project}).call(seen, '')['version'])")

    # When the caller dies
    assert [one.verdict for one in stage.do(of(stage, project))] == [Verdict.CRASHED]

    # Then another one's call is made, in a session anew, and those of the dead one never
    (report,) = stage.do(of(stage, project, "other"))
    assert report.failure is not None
    assert report.failure.text == OLD.version
    assert not late.exists()


def test_a_session_that_hangs_is_shown_and_can_be_ended_at_once(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_status, "LASTING", 0.0)
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    stage = studio.stage()
    stage.start("where", asking(f"session({project}).call(hangs)"))
    run = of(stage, project)
    stage.executor.submit([run])
    shown = "function hangs of plugin where"
    stage.until(lambda: any(one.call == shown for one in stage.executor.workers() if one.project == project))
    assert isinstance(stage.executor, LocalExecutor)

    stage.executor.retire(SITE, project)
    stage.executor.retire(SITE, project, at_once=True)

    (report,) = stage.finish(run)
    assert report.failure is not None
    assert report.failure.kind.endswith("SessionLost")
    assert not report.passing


def test_an_idle_session_ends(studio: Studio, recorder: Recorder) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    stage = studio.stage(SessionLimits(idle=0.5))
    stage.start("where", WHERE)
    stage.do(of(stage, project))

    retired = recorder.wait_for("worker.retired")
    assert "nothing to do for 0.5 s" in retired.facts["why"]


def test_a_killed_idle_session_is_replaced_when_it_is_needed(studio: Studio) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    stage = studio.stage()
    stage.start("where", WHERE)
    first = told(stage.do(of(stage, project))[0])

    os.kill(first["pid"], signal.SIGKILL)
    stage.until(lambda: not any(one.pid == first["pid"] for one in stage.executor.workers()))
    again = told(stage.do(of(stage, project))[0])

    assert again["pid"] != first["pid"]


def test_sessions_are_opened_ahead_where_that_is_asked_for(studio: Studio, recorder: Recorder) -> None:
    project = studio.project("moth")
    studio.installation.localized(project, OLD)
    executor = studio.stage().executor
    assert isinstance(executor, LocalExecutor)

    executor.warm(SITE, "moth")

    opened = recorder.wait_for("session.opened", project=project)
    assert opened.facts["version"] == OLD.version


def test_a_session_that_was_mended_is_opened_at_once_when_that_is_asked_for(studio: Studio, recorder: Recorder) -> None:
    project = studio.project("moth")
    roots = studio.installation.localized(project, OLD) / CORE / "roots.yml"
    executor = studio.stage().executor
    assert isinstance(executor, LocalExecutor)
    roots.rename(roots.with_suffix(".away"))
    executor.warm(SITE, project)
    recorder.wait_for("session.failed", project=project)

    roots.with_suffix(".away").rename(roots)
    executor.warm(SITE, project)

    assert recorder.wait_for("session.opened", project=project).facts["version"] == OLD.version
    assert len(recorder.named("session.failed")) == 1
