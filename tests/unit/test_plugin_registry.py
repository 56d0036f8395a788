"""The roster: which plugins there are, and whether anybody has to wait for them."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from callsheet import telemetry
from callsheet.domain.plugin import Manifest, PluginFile, PluginState
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.services.plugin_registry import PluginRegistry
from callsheet.testing.inline_executor import InlineExecutor
from tests.support.executor_bench import SITE, legacy, setup


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
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger, telemetry.recording("plugin.broken") as recorder:
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
