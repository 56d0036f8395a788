"""Importing an id file into a real ledger."""

from __future__ import annotations

import datetime as dt
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from callsheet.cli.commands.import_state import command
from callsheet.config import load
from callsheet.discovery import discover
from callsheet.domain.callback import PluginKey
from callsheet.domain.plugin import Manifest, PluginFile, PluginState
from callsheet.domain.reading import Gap, Intake
from callsheet.errors import SiteError, StateError
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.legacy.importing import import_state
from callsheet.ports import Ledger
from callsheet.settings import Settings
from callsheet.telemetry import recording

NOW = 1_800_000_000.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "plugins").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "plugins" / f"{name}.py").touch()
    conf = tmp_path / "daemon.conf"
    conf.write_text(
        "[daemon]\neventIdFile: daemon.id\n[shotgun]\nserver: http://127.0.0.1:1\nname: s\nkey: %(SG_KEY)s\n"
        "[plugins]\npaths: plugins\n[callsheet]\nstate: state\n"
    )
    (tmp_path / "state").mkdir()
    return load(conf, {"SG_KEY": "s3cret-key"})


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    ledger = SqliteLedger(settings.state / "ledger.db")
    yield ledger
    ledger.close()


def id_file(settings: Settings, content: Any) -> Path:
    assert settings.id_file is not None
    settings.id_file.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, 5))
    return settings.id_file


def folder(settings: Settings) -> str:
    return str(settings.sites[0].plugins[0])


def never() -> int:
    raise AssertionError("nobody needs the newest id")


def positions(ledger: Ledger) -> dict[str, int | None]:
    return {record.key.name: record.position for record in ledger.plugins()}


def test_a_file_of_another_install_is_told_and_not_imported(settings: Settings, ledger: Ledger) -> None:
    id_file(settings, {"/other/plugins": {"x": (10, {}), "y": (30, {})}})
    found = import_state(ledger, settings, never, NOW)
    assert found is not None
    assert "knows none of the plugins here, but only x, y" in (found.problem or "")
    assert ledger.site("127.0.0.1").cursor is None


def test_plugins_at_three_ids_each_go_on_from_their_own(settings: Settings, ledger: Ledger) -> None:
    id_file(settings, {folder(settings): {"a": (10, {}), "b": (30, {}), "c": (20, {}), "gone": (99, {})}})

    found = import_state(ledger, settings, never, NOW)

    assert found is not None
    assert found.positions == {"a": 10, "b": 30, "c": 20}
    assert found.unused == ("gone",)
    assert ledger.site("127.0.0.1").cursor == 30
    assert positions(ledger) == {"a": 10, "b": None, "c": 20}
    assert {record.state for record in ledger.plugins()} == {PluginState.LOADING}


def test_plugins_that_the_file_does_not_know_begin_at_the_newest_event(settings: Settings, ledger: Ledger) -> None:
    id_file(settings, {folder(settings): {"a": (10, {}), "b": (None, {})}})

    found = import_state(ledger, settings, lambda: 500, NOW)

    assert found is not None
    assert found.fresh == ("b", "c")
    assert ledger.site("127.0.0.1").cursor == 500
    assert positions(ledger) == {"a": 10, "b": None, "c": None}


def test_an_old_integer_is_where_all_plugins_stand(settings: Settings, ledger: Ledger) -> None:
    id_file(settings, b"4711\n")

    import_state(ledger, settings, never, NOW)

    assert ledger.site("127.0.0.1").cursor == 4711
    assert positions(ledger) == {"a": None, "b": None, "c": None}


def test_the_backlog_becomes_gaps_of_its_plugin(settings: Settings, ledger: Ledger) -> None:
    path = id_file(settings, b"")
    written = dt.datetime.fromtimestamp(NOW)  # noqa: DTZ006 - naive local, as the expiries are
    soon, later = (written + dt.timedelta(seconds=seconds) for seconds in (99.5, 250))
    backlog = {5: soon, 6: soon, 7: soon + dt.timedelta(microseconds=80), 9: soon, 10: later}
    id_file(settings, {folder(settings): {"a": (12, backlog), "b": (12, {}), "c": (12, {6: soon})}})
    os.utime(path, (NOW, NOW))
    ledger.record(Intake("127.0.0.1", clock=1000.0), NOW)

    import_state(ledger, settings, never, NOW)

    assert sorted(ledger.site("127.0.0.1").gaps, key=lambda gap: (gap.plugin or "", gap.first)) == [
        Gap(5, 7, 1100.0, "a"),
        Gap(9, 9, 1100.0, "a"),
        Gap(10, 10, 1250.0, "a"),
        Gap(6, 6, 1100.0, "c"),
    ]


def test_it_happens_once(settings: Settings, ledger: Ledger) -> None:
    id_file(settings, b"10")
    assert import_state(ledger, settings, never, NOW) is not None
    id_file(settings, b"20")

    assert import_state(ledger, settings, never, NOW) is None
    assert ledger.site("127.0.0.1").cursor == 10

    assert import_state(ledger, settings, never, NOW, force=True) is not None
    assert ledger.site("127.0.0.1").cursor == 20


def test_a_plugin_that_was_described_before_the_import_stays_ready(settings: Settings, ledger: Ledger) -> None:
    """Given a site that was down at the start, plugins that registered before the import are not loading again after it."""
    found = discover(settings.sites[0].name, settings.sites[0].plugins).plugins
    ledger.enrol(found, PluginState.LOADING, NOW)
    ledger.describe(found[0], Manifest(found[0].key, found[0].generation), NOW)
    id_file(settings, {folder(settings): {"a": (90, {}), "b": (95, {}), "c": (100, {})}})

    import_state(ledger, settings, never, NOW)

    states = {record.key.name: record.state for record in ledger.plugins()}
    assert states == {"a": PluginState.READY, "b": PluginState.LOADING, "c": PluginState.LOADING}
    assert positions(ledger) == {"a": 90, "b": 95, "c": None}


def test_the_import_is_said(settings: Settings, ledger: Ledger) -> None:
    path = id_file(settings, b"10")

    with recording("state.imported") as recorder:
        import_state(ledger, settings, never, NOW)

    [signal] = recorder.signals
    assert signal.facts == {"site": "127.0.0.1", "source": str(path), "plugins": {"a": 10, "b": 10, "c": 10}}


def test_an_empty_file_is_said_and_imports_nothing(settings: Settings, ledger: Ledger) -> None:
    id_file(settings, b"")

    with recording("state.imported") as recorder:
        found = import_state(ledger, settings, never, NOW)

    assert found is not None
    assert found.problem is not None
    assert "is empty" in recorder.signals[0].facts["problem"]
    assert ledger.site("127.0.0.1").cursor is None
    assert ledger.plugins() == []


def test_no_file_is_nothing_to_import(settings: Settings, ledger: Ledger) -> None:
    assert import_state(ledger, settings, never, NOW) is None
    assert ledger.site("127.0.0.1").cursor is None


def test_a_site_that_does_not_answer_leaves_all_as_it_was(settings: Settings, ledger: Ledger) -> None:
    id_file(settings, {folder(settings): {"a": (10, {})}})

    def down() -> int:
        raise SiteError("down")

    with pytest.raises(SiteError):
        import_state(ledger, settings, down, NOW)

    assert ledger.site("127.0.0.1").cursor is None


def test_a_plugin_folder_that_vanished_stops_the_import(settings: Settings, ledger: Ledger) -> None:
    id_file(settings, b"10")
    plugins = settings.sites[0].plugins[0]
    plugins.rename(plugins.with_name("away"))

    with pytest.raises(StateError) as caught:
        import_state(ledger, settings, never, NOW)

    assert str(caught.value) == f"plugin folder {plugins} can't be listed, so its plugins' ids can't be imported; fix it first"
    assert ledger.site("127.0.0.1").cursor is None


# The command.


def run(settings: Settings, *arguments: str) -> tuple[object, str]:
    result = CliRunner().invoke(
        command, [str(settings.source), *arguments], env={"SG_KEY": "s3cret-key"}, standalone_mode=False, catch_exceptions=False
    )
    return result.return_value, result.output


def test_the_command_imports_by_hand(settings: Settings) -> None:
    path = id_file(settings, {folder(settings): {"a": (10, {}), "b": (30, {}), "c": (20, {}), "gone": (1, {})}})
    report = """\
PLUGIN  GOES ON AFTER  FROM  STILL WAITS FOR
a                  10  file  -
b                  30  file  -
c                  20  file  -

In the file, but in no plugin folder, so left out: gone
"""

    code, said = run(settings, "--dry-run")
    assert code == 0
    assert said == f"{path}: would be imported for site 127.0.0.1, 3 plugins; the reading goes on after event 30\n\n{report}"
    assert not (settings.state / "ledger.db").exists()

    code, said = run(settings)
    assert code == 0
    assert said == f"{path}: imported for site 127.0.0.1, 3 plugins; the reading goes on after event 30\n\n{report}"
    assert positions(SqliteLedger(settings.state / "ledger.db")) == {"a": 10, "b": None, "c": 20}


def test_the_command_does_not_overwrite_what_the_ledger_knows(settings: Settings, tmp_path: Path) -> None:
    other = tmp_path / "other.id"
    other.write_text("20")
    id_file(settings, b"10")
    run(settings)

    with pytest.raises(StateError) as caught:
        run(settings, str(other))
    assert str(caught.value) == (
        "the ledger knows site 127.0.0.1 already: it has been read up to event 10; "
        "--force moves its plugins to the ids of the file all the same"
    )

    assert run(settings, str(other), "--force")[0] == 0
    assert SqliteLedger(settings.state / "ledger.db").site("127.0.0.1").cursor == 20


def test_a_dry_run_says_what_the_real_one_would(settings: Settings) -> None:
    path = id_file(settings, b"10")
    state = SqliteLedger(settings.state / "ledger.db")
    state.record(Intake("127.0.0.1", cursor=99), NOW)
    # The ledger knows the site, and a plugin by another name than its file alone gives it
    file = PluginFile(PluginKey("127.0.0.1", "a@old"), str(settings.sites[0].plugins[0] / "a.py"), 0, 1.0)
    state.enrol([file], PluginState.READY, NOW)
    state.close()
    with pytest.raises(StateError, match=r"the ledger knows site 127\.0\.0\.1 already: it has been read up to event 99"):
        run(settings, "--dry-run")
    code, would = run(settings, "--dry-run", "--force")
    assert (code, "a@old" in would) == (0, True)
    # A daemon has it
    state = SqliteLedger(settings.state / "ledger.db")
    state.lock("a daemon")
    with pytest.raises(StateError, match=r"runs on this ledger\. Stop that one first"):
        run(settings, "--dry-run", "--force")
    state.close()
    # And nothing was changed by all that
    state = SqliteLedger(settings.state / "ledger.db")
    assert state.site("127.0.0.1").cursor == 99
    state.close()
    assert run(settings, "--force") == (0, would.replace("would be imported", "imported"))
    # A ledger that is gone keeps the real one from it, too
    for one in settings.state.glob("ledger.db*"):
        if one.suffix != ".lock":
            one.unlink()
    with pytest.raises(StateError, match="is gone, though a daemon has run with it"):
        run(settings, "--dry-run")
    assert path.exists()


def test_the_command_refuses_while_a_daemon_runs(settings: Settings) -> None:
    id_file(settings, b"10")
    daemons = SqliteLedger(settings.state / "ledger.db")
    daemons.lock("a daemon")

    with pytest.raises(StateError, match=r"a daemon\) runs on this ledger.*Stop that one first"):
        run(settings)

    assert daemons.site("127.0.0.1").cursor is None
    daemons.close()
    assert run(settings)[0] == 0


def test_the_command_says_what_is_wrong_with_an_empty_file(settings: Settings) -> None:
    id_file(settings, b"")

    code, said = run(settings, "--json")

    assert code == 1
    assert '"imported": false' in said
    assert "is empty, as an old daemon leaves it" in said


def test_the_command_names_the_sites_to_choose_from(settings: Settings) -> None:
    id_file(settings, b"10")

    with pytest.raises(StateError) as caught:
        run(settings, "--site", "other")

    assert str(caught.value) == f"{settings.source} has no site 'other'; name one of: 127.0.0.1"
