"""Going back to shotgunEvents: the id file that says where each plugin stands."""

from __future__ import annotations

import datetime as dt
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from callsheet.cli.commands.export_state import command
from callsheet.domain.callback import CallbackKey, PluginKey
from callsheet.domain.delivery import NewDelivery, Outcome, State
from callsheet.domain.plugin import PluginFile, PluginState
from callsheet.domain.reading import Gap, Intake
from callsheet.errors import StateError
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.legacy import idfile
from callsheet.legacy.exporting import export_state
from callsheet.legacy.idfile import Waiting
from tests.support.events import SITE, event
from tests.support.reference import checkout, module, needs_reference

NOW = dt.datetime(2026, 11, 22, 3, 40, 10)  # noqa: DTZ001 - local, as shotgunEvents has it


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """A folder with a configuration, and the ledger of a daemon that has ended: ``a`` has an open event and one that is done, ``b``
    stands apart, ``gone`` has no file, an id is missing.
    """
    (tmp_path / "studio.toml").write_text(
        f"""state = "state"
[sites.{SITE}]
url = "https://studio.example"
script = "daemon"
key = {{ env = "NOT_SET_HERE" }}
plugins = ["plugins"]
"""
    )
    (tmp_path / "plugins").mkdir()
    ledger = SqliteLedger(tmp_path / "state" / "ledger.db")
    for ordinal, name in enumerate(("a", "b", "gone")):
        file = PluginFile(PluginKey(SITE, name), str(tmp_path / "plugins" / f"{name}.py"), ordinal, 1.0)
        ledger.enrol([file], PluginState.GONE if name == "gone" else PluginState.READY, 1.0)
    key = CallbackKey(PluginKey(SITE, "a"), "react")
    deliveries = tuple(NewDelivery(key, 0, event(number), f"lane {number}") for number in (7, 8))
    gap = Gap(5, 5, 90.0)
    ledger.record(Intake(SITE, deliveries, cursor=9, gaps=(gap,), positions={"b": 4}), 1.0)
    runs, _ = ledger.claim({key.plugin: 9}, 9, "me", 2.0)
    done = next(run for run in runs if run.deliveries[0].event_id == 8)
    ledger.settle([Outcome(done.deliveries[0].id, State.DONE, 1, 0, 2.0, 2.0)], [done.id], 2.0)
    ledger.close()
    return tmp_path


@pytest.fixture
def ledger(studio: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(studio / "state" / "ledger.db")
    yield opened
    opened.close()


def test_each_plugin_has_its_place_and_waits_for_what_is_missing_or_open(studio: Path, ledger: SqliteLedger) -> None:
    exported = export_state(ledger, SITE, NOW)

    late, long = NOW + dt.timedelta(seconds=90), NOW + dt.timedelta(days=30)
    assert exported.folders == {str(studio / "plugins"): {"a": (9, {5: late, 7: long}), "b": (4, {})}}
    assert exported.unhandled == {"a": 1}


def test_a_site_that_was_never_read_has_nothing_to_export(ledger: SqliteLedger) -> None:
    with pytest.raises(StateError, match="Site other was never read"):
        export_state(ledger, "other", NOW)


def run(studio: Path, file: Path) -> str:
    arguments = [str(studio / "studio.toml"), str(file)]
    return CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False).output


def test_the_command_writes_what_an_import_reads(studio: Path) -> None:
    file = studio / "shotgun.id"
    said = run(studio, file)

    assert said.startswith(f"{file}: written for site {SITE}, 2 plugins.")
    found = idfile.read(file).folders[str(studio / "plugins")]
    assert {name: place.last for name, place in found.items()} == {"a": 9, "b": 4}
    assert [(one.id, one.seconds > 0) for one in found["a"].backlog] == [(5, True), (7, True)]
    assert isinstance(found["a"].backlog[0], Waiting)
    assert file.read_bytes()[:2] == b"\x80\x02"  # as Python 2 reads it, too
    assert run(studio, file) == said  # over the older one


def test_the_command_writes_over_nothing_else_and_beside_no_daemon(studio: Path, ledger: SqliteLedger) -> None:
    (studio / "notes").write_text("for later")
    with pytest.raises(StateError, match="is damaged or no id file"):
        run(studio, studio / "notes")
    with pytest.raises(StateError, match="can't be written"):
        run(studio, studio / "no" / "such" / "folder")
    ledger.lock("a daemon")
    with pytest.raises(StateError, match=r"A Callsheet daemon \(process \d+\) runs on this ledger"):
        run(studio, studio / "shotgun.id")
    assert not (studio / "shotgun.id").exists()


class TestReference:
    """shotgunEvents itself, reading such a file."""

    pytestmark = needs_reference

    def test_it_goes_on_where_each_plugin_stood(self, studio: Path) -> None:
        run(studio, studio / "shotgun.id")
        for name in "ab":
            (studio / "plugins" / f"{name}.py").write_text("def registerCallbacks(reg): pass\n")
        daemon = module(checkout())
        config = SimpleNamespace(getEventIdFile=lambda: str(studio / "shotgun.id"))
        engine = SimpleNamespace(config=config, log=logging.getLogger("engine"))
        collection = daemon.PluginCollection(engine, str(studio / "plugins"))
        for name in "ab":
            plugin = daemon.Plugin.__new__(daemon.Plugin)
            plugin.__dict__.update(_pluginName=name, _lastEventId=None, _backlog={}, logger=engine.log, _active=True)
            collection._plugins[f"{name}.py"] = plugin
        engine.__dict__.update(_pluginCollections=[collection], _eventIdData={})

        daemon.Engine._loadEventIdData(engine)

        states = collection.getState()
        assert {name: (state[0], sorted(state[1])) for name, state in states.items()} == {"a": (9, [5, 7]), "b": (4, [])}
        assert collection.getNextUnprocessedEventId() == 5


def test_protocol_and_types_are_those_of_an_id_file(studio: Path) -> None:
    run(studio, studio / "shotgun.id")
    data = pickle.loads((studio / "shotgun.id").read_bytes())
    last, waits = data[str(studio / "plugins")]["a"]
    assert {type(one) for one in (last, *waits)} == {int}
    assert {type(one) for one in waits.values()} == {dt.datetime}
