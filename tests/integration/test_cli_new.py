"""What ``callsheet new`` writes is loaded and called by a real worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callsheet import telemetry
from callsheet.cli import main
from callsheet.domain.callback import CallbackKey, PluginKey, Rule
from callsheet.domain.delivery import Delivery, Report, Run, Verdict
from callsheet.domain.event import Event
from callsheet.domain.plugin import Manifest, PluginFile
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.settings import Secret
from callsheet.workers.local_executor import LocalExecutor

EVENT = {
    "type": "EventLogEntry",
    "id": 7,
    "event_type": "Shotgun_Task_Change",
    "attribute_name": "sg_status_list",
    "meta": {"old_value": "wtg", "new_value": "ip"},
    "entity": {"type": "Task", "id": 14, "name": "Animation"},
    "user": None,
    "project": None,
    "session_uuid": None,
    "created_at": "2026-11-22T03:40:10Z",
}


def new(*arguments: object) -> object:
    with pytest.raises(SystemExit) as exit_:
        main(["new", *map(str, arguments)])
    return exit_.value.code


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[LocalExecutor]:
    sections = {"shotgun": {"server": "http://127.0.0.1:9", "name": "daemon", "key": "secret"}}
    setup = WorkerConfig("studio", "http://127.0.0.1:9", "daemon", Secret("secret"), config=sections)
    (tmp_path / "state").mkdir()
    executor = LocalExecutor({"studio": setup}, tmp_path / "state")
    yield executor
    executor.close(5.0)


def awaited(executor: LocalExecutor, kind: type) -> Any:
    """The first message of that kind."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [one for one in executor.collect(1.0) if isinstance(one, kind)]
        if found:
            return found[0]
    raise TimeoutError(f"no {kind.__name__} came")


@pytest.mark.parametrize("form", [[], ["--legacy"]])
def test_a_new_plugin_registers_and_logs_a_change_as_it_is(tmp_path: Path, executor: LocalExecutor, form: list[str]) -> None:
    assert new("follow_tasks", "--folder", tmp_path, *form) == 0
    key = PluginKey("studio", "follow_tasks")
    executor.load(PluginFile(key, str(tmp_path / "follow_tasks.py"), 0, 1.0))

    manifest = awaited(executor, Manifest)
    assert manifest.problem is None
    (callback,) = manifest.callbacks
    assert callback.key == CallbackKey(key, "task_status_changed")
    assert callback.legacy == bool(form)
    assert callback.filter["Shotgun_Task_Change"].rule is Rule.AMONG
    assert callback.filter["Shotgun_Task_Change"].values == {"sg_status_list"}

    with telemetry.recording("plugin.record") as recorder:
        delivery = Delivery(1, callback.key, 7, Event("studio", EVENT).payload)
        executor.submit([Run(1, key, "Task:14", (delivery,))])
        assert awaited(executor, Report).verdict is Verdict.OK
        record = recorder.wait_for("plugin.record", plugin="follow_tasks").facts["record"]
    assert "Task 14: wtg -> ip" in str(record)


def test_a_file_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text("mine")
    assert new("mine", "--folder", tmp_path) == 2
    assert "is there already and was left as it is" in capsys.readouterr().err
    assert (tmp_path / "mine.py").read_text() == "mine"


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", ".py"])
def test_a_name_that_would_not_be_found_as_a_plugin_is_refused(tmp_path: Path, name: str) -> None:
    assert new(name, "--folder", tmp_path) == 2
    assert not list(tmp_path.iterdir())


def test_a_name_may_be_given_with_its_ending(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new("10 follow-tasks.py", "--folder", tmp_path) == 0
    assert [one.name for one in tmp_path.iterdir()] == ["10 follow-tasks.py"]
    assert f"Wrote {tmp_path / '10 follow-tasks.py'}." in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    assert new("a", "--folder", tmp_path / "nowhere") == 2
