"""The roster: which plugins there are, and whether anybody has to wait for them."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from callsheet import telemetry
from callsheet.domain.callback import CallbackKey, PluginKey
from callsheet.domain.delivery import NewDelivery, Outcome, State
from callsheet.domain.overview import Heartbeat
from callsheet.domain.plugin import ImportedFile, Manifest, PluginFile, PluginImports, PluginRecord, PluginState
from callsheet.domain.reading import Intake
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.services.heartbeat import HeartbeatService
from callsheet.services.known_plugins import AS_IS_LOADS, LOADING_LOADS
from callsheet.services.plugin_registry import PluginRegistry
from callsheet.telemetry import recording
from callsheet.testing.inline_executor import InlineExecutor
from callsheet.wire.texts import storable
from tests.support.events import callback, event
from tests.support.executor_bench import SITE, legacy, setup
from tests.support.waiting import until


def test_the_sites_reading_waits_for_plugins_at_the_start_and_for_no_reload(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    plugin = folder / "plugin.py"
    plugin.write_text(legacy("pass"))
    executor = InlineExecutor({SITE: setup()})
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        steady = iter(range(0, 100, 10))
        registry = PluginRegistry({SITE: [folder]}, executor, ledger, steady=lambda: float(next(steady)))
        assert registry.starting(SITE)
        registry.step()
        assert registry.starting(SITE)
        (manifest,) = executor.collect(0)
        assert isinstance(manifest, Manifest)
        registry.described(manifest)
        assert not registry.starting(SITE)

        later = plugin.stat().st_mtime + 10
        os.utime(plugin, (later, later))
        registry.step()
        registry.step()

        assert registry.state(SITE, "plugin") is PluginState.LOADING
        assert not registry.starting(SITE)
    executor.close(0)


def test_a_file_that_can_not_be_loaded_ends_no_look(tmp_path: Path) -> None:
    for name in ("a", "odd", "z"):
        (tmp_path / f"{name}.py").write_text(legacy("pass"))

    class Fussy(InlineExecutor):
        def load(self, plugin: PluginFile) -> None:
            if plugin.key.name == "odd":
                raise ValueError("embedded null byte")
            super().load(plugin)

    executor = Fussy({SITE: setup()})
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger, recording("plugin.broken") as recorder:
        registry = PluginRegistry({SITE: [tmp_path]}, executor, ledger)
        registry.step()
        for manifest in executor.collect(0):
            assert isinstance(manifest, Manifest)
            registry.described(manifest)
        assert list(registry.ready(SITE).callbacks) == ["a", "z"]
        assert [one.facts["problem"] for one in recorder.signals] == [
            f"{tmp_path / 'odd.py'}: it can't be loaded (ValueError: embedded null byte); rename or replace it"
        ]
    executor.close(0)


class Mount:
    """Folders below ``at`` whose server answers only while ``up`` is set; those who ask meanwhile wait, as in the kernel."""

    def __init__(self, at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.up = threading.Event()
        self.up.set()
        for module, name in ((os, "scandir"), (os, "stat"), (io, "open")):
            monkeypatch.setattr(module, name, self._waiting(at, getattr(module, name)))

    def _waiting(self, at: Path, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **options: Any) -> Any:
            if isinstance(path, (str, Path)) and at in [Path(path), *Path(path).parents]:
                assert self.up.wait(60)
            return function(path, *args, **options)

        return call


def reload(registry: PluginRegistry, site: str) -> None:
    """Look until the plugin of a site is being loaded again."""
    until(lambda: registry.step() and registry.state(site, "plugin") is PluginState.LOADING)


def test_a_share_that_hangs_stops_the_reloads_of_no_other_site_and_no_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two sites with a plugin each, one of them on a share
    folders = {"here": tmp_path / "here", "share": tmp_path / "share"}
    for folder in folders.values():
        folder.mkdir()
        (folder / "plugin.py").write_text(legacy("pass"))
    (folders["share"] / "pid").touch()
    share = Mount(folders["share"], monkeypatch)
    executor = InlineExecutor({site: setup(site=site) for site in folders})
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger, recording("plugin.broken") as recorder:
        registry = PluginRegistry({site: [folder] for site, folder in folders.items()}, executor, ledger)
        registry.step()
        for manifest in executor.collect(0):
            assert isinstance(manifest, Manifest)
            registry.described(manifest)
        stopped: list[str] = []
        heartbeat = HeartbeatService(
            ledger, Heartbeat(1, 1.0, 1.0, "", ""), list, pid_file=folders["share"] / "pid", stop=stopped.append
        )

        # When the share hangs, and both plugins are changed
        share.up.clear()
        (folders["here"] / "plugin.py").write_text(legacy("1"))

        # Then the one is loaded, the other stays as it is, and is told
        reload(registry, "here")
        assert registry.state("share", "plugin") is PluginState.READY
        assert "does not answer" in recorder.wait_for("plugin.broken", site="share").facts["problem"]
        heartbeat.step()
        assert stopped == []

        # And once the share answers, the change there is seen
        share.up.set()
        (folders["share"] / "plugin.py").write_text(legacy("1"))
        reload(registry, "share")
        heartbeat.step()
        (folders["share"] / "pid").unlink()
        until(lambda: heartbeat.step() and stopped)
    executor.close(0)


@pytest.mark.parametrize("name", ["away", os.fsdecode(b"away\xe9")])
def test_what_stood_in_a_folder_that_can_not_be_seen_at_the_start_is_not_gone(tmp_path: Path, name: str) -> None:
    # Given a ledger that knows of a plugin in a folder that is not mounted yet, and of one whose file was removed
    seen, away = tmp_path / "seen", tmp_path / name
    seen.mkdir()
    executor = InlineExecutor({SITE: setup()})
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        files = [PluginFile(PluginKey(SITE, key), str(folder / "a.py"), 0, 1.0) for key, folder in (("seen", seen), ("away", away))]
        ledger.enrol(files, PluginState.READY, time.time())
        registry = PluginRegistry({SITE: [seen, away]}, executor, ledger)
        # When the daemon looks
        registry.step()
        # Then it keeps its place, as one that can't be loaded does
        found = {one.key.name: (one.state, one.problem) for one in ledger.plugins()}
        problem = storable(f"The folder {away} is not there.")
        assert found == {"seen": (PluginState.GONE, ""), "away": (PluginState.BROKEN, problem)}
        ledger.enrol([files[1]], PluginState.LOADING, time.time())
        assert ledger.site(SITE).returned == {}
    executor.close(0)


class Loads:
    """Stands for the executor: which files were to be loaded."""

    def __init__(self) -> None:
        self.files: list[PluginFile] = []

    def load(self, plugin: PluginFile) -> None:
        self.files.append(plugin)

    def unload(self, plugin: PluginKey) -> None:
        pass


@dataclass
class Bench:
    """A registry with one plugin, of which each load meets what the test says."""

    registry: PluginRegistry
    executor: Loads
    ledger: SqliteLedger
    answering: bool = True

    def meets(self, *callbacks: str, problem: str | None = "The site failed while the plugin at x loaded.\n\nread: 503") -> None:
        """The last load is over: the plugin has registered these, and its site has not answered all; unless there is no problem."""
        known = tuple(callback(name, plugin="plugin") for name in callbacks)
        file = self.executor.files[-1]
        where = "site" if problem else ""
        self.registry.described(Manifest(KEY, file.generation, known, problem, where, passing=problem is not None))
        self.registry.step()

    def is_in(self, state: PluginState) -> bool:
        return self.registry.state(SITE, "plugin") is state

    @property
    def record(self) -> PluginRecord:
        return self.ledger.plugins(SITE)[0]


KEY = PluginKey(SITE, "plugin")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "plugin.py").write_text("")
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        executor = Loads()
        made: list[Bench] = []
        registry = PluginRegistry(
            {SITE: [tmp_path / "plugins"]},
            executor,  # type: ignore[arg-type] # it has what a registry asks of one
            ledger,
            answers=lambda _: made[0].answering,
        )
        made.append(Bench(registry, executor, ledger))
        registry.step()
        yield made[0]


@pytest.mark.parametrize(
    ("site", "plugin", "times"), [(SITE, "plugin", 2), (None, None, 2), (None, "other", 1), ("other", None, 1)]
)
def test_a_plugin_is_loaded_anew_on_order_though_it_has_not_changed(
    bench: Bench, site: str | None, plugin: str | None, times: int
) -> None:
    bench.meets("first", problem=None)
    bench.registry.reload(site, plugin)
    for _ in range(2):
        bench.registry.step()
    assert [file.generation for file in bench.executor.files] == [1, 2][:times]


@dataclass
class Helper:
    """A module that the bench's plugin has imported."""

    bench: Bench
    path: Path

    def write(self, text: str, mtime: float = 1e9) -> None:
        self.path.write_text(text)
        os.utime(self.path, (mtime, mtime))

    def imported(self) -> None:
        """The plugin, as loaded last, has imported it as it is now."""
        stat = self.path.stat() if self.path.exists() else None
        found = ImportedFile(str(self.path), stat.st_mtime if stat else None, stat.st_size if stat else None)
        self.bench.registry.imported(PluginImports(KEY, self.bench.executor.files[-1].generation, (found,)))

    def loads(self, number: int) -> None:
        """Wait for so many loads of the plugin."""
        until(lambda: self.bench.registry.step() and len(self.bench.executor.files) == number)


@pytest.fixture
def helper(bench: Bench, tmp_path: Path) -> Helper:
    return Helper(bench, tmp_path / "plugins" / "lib" / "names.txt")


def test_a_plugin_is_loaded_anew_when_a_module_that_it_imports_has_changed(bench: Bench, helper: Helper) -> None:
    # Given a plugin that is held, and has imported a module
    helper.path.parent.mkdir()
    helper.write("old")
    helper.imported()
    bench.meets("first", problem=None)
    bench.ledger.record(Intake(SITE, (NewDelivery(CallbackKey(KEY, "first"), 0, event(7), "lane"),), cursor=7), 1.0)
    (run,), _ = bench.ledger.claim({KEY: 1}, 1, "me", 2.0)
    bench.ledger.settle([Outcome(run.deliveries[0].id, State.HELD, 1, 0, 2.0, 2.0)], [run.id], 2.0)
    # When the module goes, then nothing happens; it may come back
    helper.path.rename(helper.path.with_suffix(".away"))
    bench.registry.step()
    helper.path.with_suffix(".away").rename(helper.path)
    # When it is another one, then the plugin is loaded, and goes on as after a change of its own file
    helper.write("new", 1e9 + 60)
    with telemetry.recording("plugin.helper_changed", "lane.released") as recorder:
        helper.loads(2)
        helper.imported()
        bench.meets("first", problem=None)
        assert [one.facts["helper"] for one in recorder.named("plugin.helper_changed")] == [str(helper.path)]
        assert len(recorder.named("lane.released")) == 1
    # And it is not loaded again and again
    bench.registry.step()
    assert len(bench.executor.files) == 2


def test_a_module_that_changed_while_the_plugin_was_loaded_is_noticed(bench: Bench, helper: Helper) -> None:
    helper.path.parent.mkdir()
    helper.write("old")
    helper.imported()
    helper.write("new and longer", 1e9 + 1)
    bench.meets("first", problem=None)
    helper.loads(2)


def test_a_module_for_want_of_which_a_plugin_is_broken_is_waited_for(bench: Bench, helper: Helper) -> None:
    helper.imported()
    bench.registry.described(Manifest(KEY, 1, problem="No module named names"))
    bench.registry.step()
    assert len(bench.executor.files) == 1
    helper.path.parent.mkdir()
    helper.write("there")
    helper.loads(2)


def test_what_an_earlier_load_has_imported_counts_no_more(bench: Bench, helper: Helper) -> None:
    helper.path.parent.mkdir()
    helper.write("old")
    helper.imported()
    bench.meets("first", problem=None)
    bench.registry.reload()
    helper.loads(2)
    bench.registry.imported(PluginImports(KEY, 1, (ImportedFile(str(helper.path), 1.0, 1),)))  # late news of the first load
    helper.write("new", 1e9 + 60)
    for _ in range(2):
        bench.registry.step()
    assert not bench.registry._helpers.changed(SITE)
    assert len(bench.executor.files) == 2


@pytest.mark.parametrize(("written", "released"), [(-60.0, 0), (60.0, 1)])
def test_a_module_fixed_while_no_daemon_ran_lets_what_is_held_go_on(
    bench: Bench, helper: Helper, written: float, released: int
) -> None:
    # Given a held plugin in an earlier life of the daemon
    helper.path.parent.mkdir()
    helper.write("old")
    helper.imported()
    bench.meets("first", problem=None)
    noted = bench.record.updated_at
    bench.ledger.record(Intake(SITE, (NewDelivery(CallbackKey(KEY, "first"), 0, event(7), "lane"),), cursor=7), 1.0)
    (run,), _ = bench.ledger.claim({KEY: 1}, 1, "me", 2.0)
    bench.ledger.settle([Outcome(run.deliveries[0].id, State.HELD, 1, 0, 2.0, 2.0)], [run.id], 2.0)
    # When the module is written before or after that, and the daemon starts
    helper.write("new", noted + written)
    bench.registry = PluginRegistry({SITE: [helper.path.parent.parent]}, bench.executor, bench.ledger)  # type: ignore[arg-type]
    bench.registry.step()
    helper.imported()
    with telemetry.recording("lane.released") as recorder:
        bench.meets("first", problem=None)
        assert len(recorder.signals) == released


def test_a_plugin_that_met_an_outage_keeps_its_place_and_what_waits(bench: Bench) -> None:
    # Given a plugin with two callbacks, for one of which a delivery waits
    bench.meets("first", "second", problem=None)
    bench.ledger.record(Intake(SITE, (NewDelivery(CallbackKey(KEY, "second"), 0, event(7), "lane"),), cursor=7), 1.0)
    with telemetry.recording() as recorder:
        # When it is loaded again in an outage, again and again, and registers less
        for _ in range(LOADING_LOADS):
            bench.meets("first")
            assert KEY.name not in bench.registry.ready(SITE).callbacks
        # Then it is no more loading, but broken, which is said once, and nothing that waits is skipped
        assert bench.is_in(PluginState.BROKEN)
        assert len(recorder.named("plugin.broken")) == 1
        assert not recorder.named("plugin.orphans")
        assert (bench.record.waiting, [one.key.name for one in bench.record.callbacks]) == (1, ["first", "second"])
        # When the site answers, then it goes on
        bench.meets("first", "second", problem=None)
        assert bench.is_in(PluginState.READY)
        assert (bench.record.waiting, bench.record.problem) == (1, "")


def test_it_counts_as_loading_at_first_so_that_a_drain_waits_for_it(bench: Bench) -> None:
    for _ in range(LOADING_LOADS - 1):
        bench.meets("first")
        assert bench.is_in(PluginState.LOADING)
        assert bench.registry.unserved({})
        assert bench.record.problem.startswith("The site failed")
    bench.meets("first")
    assert not bench.registry.unserved({})


def test_what_it_registers_each_time_though_the_site_answers_is_taken_as_it_is(bench: Bench) -> None:
    with telemetry.recording() as recorder:
        for _ in range(AS_IS_LOADS):
            assert not bench.executor.files[-1].as_is
            bench.meets("first")
        assert bench.executor.files[-1].as_is
        assert recorder.named("plugin.as_is", plugin="plugin")
    bench.meets("first", problem=None)
    assert bench.is_in(PluginState.READY)


@pytest.mark.parametrize("registers", [["first"], []])
def test_it_is_not_taken_as_it_is_in_an_outage_nor_where_it_registers_nothing(bench: Bench, registers: list[str]) -> None:
    bench.answering = not registers
    for _ in range(3 * AS_IS_LOADS):
        bench.meets(*registers)
    assert len(bench.executor.files) == 1


def test_it_is_not_taken_as_it_is_where_it_registers_another_thing_each_time(bench: Bench) -> None:
    for number in range(3 * AS_IS_LOADS):
        bench.meets(f"callback{number % 2}")
    assert len(bench.executor.files) == 1


def test_it_is_not_taken_as_it_is_where_it_had_more_before(bench: Bench) -> None:
    bench.meets("first", "second", problem=None)
    for _ in range(3 * AS_IS_LOADS):
        bench.meets("first")
    assert len(bench.executor.files) == 1
    assert bench.is_in(PluginState.BROKEN)
