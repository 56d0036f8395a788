"""The roster: which plugins there are, and whether anybody has to wait for them."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from callsheet.domain.callback import PluginKey
from callsheet.domain.overview import Heartbeat
from callsheet.domain.plugin import Manifest, PluginFile, PluginState
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.services.heartbeat import HeartbeatService
from callsheet.services.plugin_registry import PluginRegistry
from callsheet.telemetry import recording
from callsheet.testing.inline_executor import InlineExecutor
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


def test_what_stood_in_a_folder_that_can_not_be_seen_at_the_start_is_not_gone(tmp_path: Path) -> None:
    # Given a ledger that knows of a plugin in a folder that is not mounted yet, and of one whose file was removed
    seen, away = tmp_path / "seen", tmp_path / "away"
    seen.mkdir()
    executor = InlineExecutor({SITE: setup()})
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        files = [PluginFile(PluginKey(SITE, one.name), str(one / f"{one.name}.py"), 0, 1.0) for one in (seen, away)]
        ledger.enrol(files, PluginState.READY, time.time())
        registry = PluginRegistry({SITE: [seen, away]}, executor, ledger)
        # When the daemon looks
        registry.step()
        # Then it keeps its place, as one that can't be loaded does
        found = {one.key.name: (one.state, one.problem) for one in ledger.plugins()}
        assert found == {"seen": (PluginState.GONE, ""), "away": (PluginState.BROKEN, f"The folder {away} is not there.")}
        ledger.enrol([files[1]], PluginState.LOADING, time.time())
        assert ledger.site(SITE).returned == {}
    executor.close(0)
