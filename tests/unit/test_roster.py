"""The roster: which plugins there are, and whether anybody has to wait for them."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from callsheet.executors.inline import InlineExecutor
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.model import Manifest, PluginState
from callsheet.services.roster import Roster
from tests.agent.stage import SITE, legacy, setup


def test_the_sites_reading_waits_for_plugins_at_the_start_and_for_no_reload(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    plugin = folder / "plugin.py"
    plugin.write_text(legacy("pass"))
    executor = InlineExecutor({SITE: setup()})
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        steady = iter(range(0, 100, 10))
        roster = Roster({SITE: [folder]}, executor, ledger, steady=lambda: float(next(steady)))
        assert roster.starting(SITE)
        roster.step()
        assert roster.starting(SITE)
        (manifest,) = executor.collect(0)
        assert isinstance(manifest, Manifest)
        roster.described(manifest)
        assert not roster.starting(SITE)

        later = plugin.stat().st_mtime + 10
        os.utime(plugin, (later, later))
        roster.step()
        roster.step()

        assert roster.state(SITE, "plugin") is PluginState.LOADING
        assert not roster.starting(SITE)
    executor.close(0)
