"""The roster: which plugins there are, and whether anybody has to wait for them."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from callsheet.domain.plugin import Manifest, PluginState
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
