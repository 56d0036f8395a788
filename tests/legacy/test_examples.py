"""The example plugins that come with shotgunEvents, on the same recorded day, under both daemons."""

from __future__ import annotations

import fcntl
import json
import re
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from callsheet.domain.callback import Callback
from callsheet.domain.plugin import Manifest
from callsheet.sandbox import Sandbox
from callsheet.workers.local_executor import LocalExecutor
from tests.support import compare_sites as comparing
from tests.support import stream
from tests.support.executor_bench import SITE, Stage, setup
from tests.support.legacy_install import Daemon, Install
from tests.support.reference import checkout, needs_reference

pytestmark = needs_reference

EXAMPLES = 27
NOON = 1_780_000_000.0
"""The site's time, so that no test runs across midnight in one of the plugins' time zones."""

SILENT = {"logArgs", "sharedStateA", "sharedStateB", "sharedStateC"}
"""The examples that never write; all others do on that day. One of them shares its script with another."""


IN_TURN = "in turn"
"""Ours, with ``order = "global"``."""


def raced(write: dict[str, Any]) -> bool:
    """A write that depends on which of two plugins comes first: version_status_update_task_status reads the task of a new version,
    and update_version_task_field sets it for the same event. The reference runs the second one first, by its file's name.
    """
    return (write["script"], write["type"], write["id"]) == ("vsuts", "Task", 361)


@dataclass(frozen=True)
class Day:
    """What one daemon made of the day, as JSON keeps it."""

    engine: str
    logs: dict[str, str]
    writes: list[dict[str, Any]]
    kept: dict[str, Any]


def examples() -> Path:
    return checkout() / "src" / "examplePlugins"


def play(folder: Path, daemon: Daemon, site: Sandbox, start: int, order: str | None = None) -> Day:
    """Run ``daemon`` on a copy of ``site`` until it is quiet; its plugins have had all up to ``start``."""
    with site.copy() as sandbox:
        ours = {"callsheet": {"order": order}} if order else {}
        install = Install(folder, sandbox, options={"plugins": {"paths": str(examples())}, **ours})
        install.folders = [examples()]
        install.environ = environment(sandbox)
        install.place(start)
        if daemon.ours:
            # A drain ends where the log ended when it began; what plugins cause is for the next. So it runs until all is quiet.
            with install.running(daemon) as running:
                running.until(install.is_quiet, "all events handled, those that plugins caused too", seconds=60)
                assert running.stop() == 0
        else:
            install.drain(daemon)
        return day_of(install)


def day_of(install: Install) -> Day:
    logs = {path.name.removeprefix("plugin."): path.read_text() for path in (install.folder / "logs").glob("plugin.*")}
    return Day(install.log(), logs, install.sandbox.writes(), comparing.kept(install.sandbox))


def environment(sandbox: Sandbox) -> dict[str, str]:
    """What the examples read: SG_SERVER, and a name and key for each, that the site lets in."""
    wanted = {
        name for path in examples().glob("*.py") for name in re.findall(r'environ\["(SGDAEMON_\w+)_NAME"\]', path.read_text())
    }
    scripts = {name: name.removeprefix("SGDAEMON_").lower() for name in wanted}
    names = {f"{name}_NAME": script for name, script in scripts.items()}
    keys = {f"{name}_KEY": sandbox.add_script(script, f"key-of-{script}") for name, script in scripts.items()}
    return {"SG_SERVER": sandbox.url, **names, **keys}


def once(folder: Path, make: Callable[[], Any]) -> Any:
    """What ``make`` returns, made by whichever test process comes first, and read by the others."""
    with (folder / "examples.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = folder / "examples.json"
        if not result.exists():
            result.write_text(json.dumps(make()))
        return json.loads(result.read_text())


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> dict[Daemon | str, Day]:
    """Both daemons' days, and under IN_TURN ours with the plugins one after another."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def make() -> Any:
        with Sandbox(clock=lambda: NOON) as site:
            stream.set_stage(site)
            start = site.events()[-1]["id"]
            environment(site)
            stream.play(site)
            made = {daemon.value: vars(play(shared / daemon.value, daemon, site, start)) for daemon in Daemon}
            made[IN_TURN] = vars(play(shared / "in_turn", Daemon.CALLSHEET, site, start, order="global"))
            return {"days": made, "events": len(site.events(start))}

    made = once(shared, make)
    assert made["events"] >= 290, made["events"]
    known: dict[Daemon | str, Day] = {daemon: Day(**made["days"][daemon.value]) for daemon in Daemon}
    return {**known, IN_TURN: Day(**made["days"][IN_TURN])}


def test_every_plugin_registers_or_refuses_as_in_the_reference(days: dict[Daemon | str, Day]) -> None:
    # Given all examples, and a site that has what they check for; when both daemons loaded them; then
    ours, theirs = days[Daemon.CALLSHEET], days[Daemon.REFERENCE]
    names = {path.stem for path in examples().glob("*.py")}
    assert registered(ours) == registered(theirs)
    assert {name for name, words in registered(ours).items() if not words} == names
    assert len(names) == EXAMPLES


def test_side_by_side_plugins_write_what_they_write_under_the_reference(days: dict[Daemon | str, Day]) -> None:
    ours, theirs = ([one for one in days[daemon].writes if not raced(one)] for daemon in Daemon)
    print("writes by script:", dict(comparing.by_script(ours)))  # noqa: T201 - to be read with pytest -rP
    # Then the same writes, as many times
    assert comparing.multiset(ours) == comparing.multiset(theirs)
    # and to each field of each entity, and by each plugin to each entity, in the same order
    assert comparing.different(comparing.by_field(ours), comparing.by_field(theirs)) == {}
    assert comparing.different(comparing.by_writer(ours), comparing.by_writer(theirs)) == {}
    # and there was something to compare
    assert len(comparing.by_script(ours)) == EXAMPLES - len(SILENT) - 1
    assert {one["type"] for one in ours if one["script"] == "fieldtofield"} == {"Task", "Version"}
    assert len(ours) >= 119


def test_in_turn_the_site_sees_the_very_same_from_both(days: dict[Daemon | str, Day]) -> None:
    # Given plugins that run one after another, as under the reference; then the same writes, in the same order for each entity,
    ours, theirs = days[IN_TURN], days[Daemon.REFERENCE]
    assert comparing.multiset(ours.writes) == comparing.multiset(theirs.writes)
    assert comparing.different(comparing.by_entity(ours.writes), comparing.by_entity(theirs.writes)) == {}
    assert len(ours.writes) >= 120
    # and the same site in the end
    assert comparing.different(ours.kept, theirs.kept) == {}


def test_each_plugin_logs_what_it_logs_under_the_reference(days: dict[Daemon | str, Day]) -> None:
    # Then plugins say the same in the same order, counters of shared state included; what is said of ids is the site's, not ours
    ours, theirs = days[IN_TURN].logs, days[Daemon.REFERENCE].logs
    for name in ("sharedStateA", "sharedStateB", "sharedStateC", "init_entity", "tasks_approved", "datestamp"):
        assert said(ours[name]) == said(theirs[name]), name
        assert len(said(ours[name])) >= 3, name


def test_the_plugin_that_fails_stops_in_both(days: dict[Daemon | str, Day]) -> None:
    for day in days.values():
        log = day.logs["update_task_template_entities"]
        assert log.count("An error occured processing an event.") == 1
        assert "TypeError: Object of type dict_keys is not JSON serializable" in log
        assert "Local variables at outer most frame in plugin:" in log
        assert comparing.by_script(day.writes)["utte"] == 1
    assert "Plugin update_task_template_entities is held at event" in days[Daemon.CALLSHEET].logs["update_task_template_entities"]


def test_plugins_refuse_a_site_that_lacks_what_they_need_as_in_the_reference(tmp_path: Path) -> None:
    # Given a site without some fields, a machine without pytz, and no name for two of the plugins
    refused = {}
    with Sandbox() as sandbox:
        sg = sandbox.connect()
        for kind, field in (("Shot", "sg_cut_length_tc"), ("Shot", "sg_cut_length_r_t"), ("CustomEntity02", "sg_amount")):
            sg.schema_field_delete(kind, field)
        for daemon in Daemon:
            install = Install(tmp_path / daemon.value, sandbox, options={"plugins": {"paths": str(examples())}})
            install.folders = [examples()]
            (install.folder / "pytz.py").write_text("raise ModuleNotFoundError('No module named pytz', name='pytz')")
            install.environ = environment(sandbox) | {"PYTHONPATH": str(install.folder)}
            del install.environ["SGDAEMON_LOGARGS_NAME"], install.environ["SGDAEMON_TSUES_KEY"]
            install.place()
            # When
            install.drain(daemon)
            refused[daemon] = {name: words for name, words in registered(day_of(install)).items() if words}
    # Then the same ones refuse, and say the same
    assert refused[Daemon.CALLSHEET] == refused[Daemon.REFERENCE]
    reasons = Counter(words[0].split()[0] for words in refused[Daemon.CALLSHEET].values())
    assert reasons == {"Could": 3, "Error": 3, '"target_tc_field"': 1, '"cut_length_rt_field"': 1}


def registered(day: Day) -> dict[str, list[str]]:
    """Plugin → why it does not take part, in its own words or the daemon's."""
    told: dict[str, list[str]] = {path.stem: [] for path in examples().glob("*.py")}
    for name, log in day.logs.items():
        head = f" - plugin.{name} - "  # the plugin's own logger; callbacks have others
        lines = [line.partition(head)[2] for line in log.splitlines() if head in line and " is held at " not in line]
        told[name] += [line.partition(" - ")[2] for line in lines if line.startswith(("WARNING", "ERROR", "CRITICAL"))]
    for line in day.engine.splitlines():
        if " - CRITICAL - " in line:
            told[Path(line.rpartition(" ")[2].rstrip(".")).stem].append(line.partition(" - CRITICAL - ")[2])
    return told


def said(log: str) -> list[str]:
    """The lines that the plugin itself logged, without time."""
    lines = (line.split(" - ", 1)[1] for line in log.splitlines() if re.match(r"\d{4}-\d\d-\d\d .* - plugin\.", line))
    return [re.sub(r"0x[0-9a-f]+", "0x", line) for line in lines if " - INFO - " in line]


def test_an_outage_while_they_are_loaded_costs_no_example_its_callbacks(tmp_path: Path) -> None:
    """15 of them look at the site first, catch what goes wrong, warn, and register nothing."""
    names = sorted(path.stem for path in examples().glob("*.py"))
    assert len(names) == EXAMPLES
    with Sandbox() as site:
        config = setup(site.url, environ={**environment(site), "PATH": "/usr/bin:/bin"})
        executor = LocalExecutor({SITE: config}, tmp_path)
        stage = Stage(examples(), executor)
        try:
            wanted = {name: loaded(stage, name) for name in names}
            for method in ("read", "schema_field_read", "schema_read"):
                site.faults.status(503, method=method)
            lost = [stage.load(name) for name in names]
            assert sum(one.passing for one in lost) >= LOOK_FIRST
            site.faults.clear()
            latest = {one.plugin.name: one for one in lost}
            stage.until(lambda: not any(one.passing for one in settled(stage, latest)))
            assert {name: one.callbacks for name, one in latest.items()} == wanted
        finally:
            executor.close(0)


LOOK_FIRST = 15
"""So many of the examples ask the site for something while they register."""


def loaded(stage: Stage, name: str) -> tuple[Callback, ...]:
    manifest = stage.load(name)
    assert manifest.problem is None, manifest.problem
    return manifest.callbacks


def settled(stage: Stage, latest: dict[str, Manifest]) -> Collection[Manifest]:
    """What the plugins last said of themselves."""
    latest.update({one.plugin.name: one for one in stage.heard if isinstance(one, Manifest)})
    return latest.values()
