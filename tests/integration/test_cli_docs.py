"""The examples of the README and the pages work as they stand there."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest

from callsheet import Context, Retry
from callsheet.config import load
from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Delivery, Report, Run
from callsheet.domain.plugin import Manifest, PluginFile
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.sandbox import Sandbox
from callsheet.settings import Secret
from callsheet.testing.inline_executor import InlineExecutor
from callsheet.workers.local_executor import LocalExecutor

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall((ROOT / page).read_text("utf-8")) if kind == language]


def module(name: str, text: str) -> types.ModuleType:
    made = types.ModuleType(name)
    exec(compile(text, name, "exec"), made.__dict__)
    return made


@pytest.fixture
def close_shot() -> Any:
    """The plugin of the README."""
    plugin, _of_toolkit = blocks("README.md", "python")
    return module("close_shot", plugin)


@pytest.mark.parametrize(
    ("page", "at", "callback"),
    [
        ("README.md", 0, "close_shot"),
        ("docs/plugins.md", 0, "follow"),
        ("docs/plugins.md", 1, "tell"),
        ("docs/plugins.md", 2, "register"),
        ("docs/plugins.md", 3, "retime"),
        ("docs/plugins.md", 4, "changed"),
        ("docs/plugins.md", 5, "measure"),
    ],
)
def test_a_plugin_of_the_pages_registers_in_a_worker(tmp_path: Path, page: str, at: int, callback: str) -> None:
    file = tmp_path / "example.py"
    file.write_text(blocks(page, "python")[at])
    executor = LocalExecutor({"studio": WorkerConfig("studio", "http://127.0.0.1:9", "x", Secret("y"))}, tmp_path)
    try:
        executor.load(PluginFile(PluginKey("studio", "example"), str(file), 0, 1.0))
        manifests: list[Manifest] = []
        deadline = time.monotonic() + 60
        while not manifests and time.monotonic() < deadline:
            manifests = [one for one in executor.collect(1.0) if isinstance(one, Manifest)]
    finally:
        executor.close(5.0)
    assert manifests[0].problem is None
    assert [one.key.name for one in manifests[0].callbacks] == [callback]


def test_the_plugin_of_the_readme_does_what_it_is_there_for(close_shot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "close_shot", close_shot)
    (example, _) = blocks("docs/sandbox.md", "python")
    module("the_test_of_the_page", example).test_a_finished_task_finishes_its_shot()


def test_the_plugin_of_the_readme_comes_back_for_a_task_that_is_not_linked_yet(close_shot: Any) -> None:
    with Sandbox() as sandbox:
        sg = sandbox.connect()
        project = sg.find_one("Project", [])
        task = sg.create("Task", {"content": "loose", "project": project})
        sg.update("Task", task["id"], {"sg_status_list": "fin"})
        context = Context(sandbox.events()[-1], connect=sandbox.connect, log=logging.getLogger("test"), fields=["entity"])
        with pytest.raises(Retry) as retry:
            close_shot.close_shot(context)
    assert retry.value.after == 60


def test_the_faults_of_the_page_are_faults() -> None:
    (_, faults) = blocks("docs/sandbox.md", "python")
    module("faults_of_the_page", faults)


def test_the_configuration_of_the_page_is_one(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "callsheet.toml").write_text(blocks("docs/start.md", "toml")[0])
    settings = load(tmp_path / "callsheet.toml", {"SG_EVENT_KEY": "secret"})
    assert settings.sites[0].plugins == (tmp_path / "plugins",)


class Runs:
    """Calls a callback of docs/plugins.md on a sandbox, as a worker does."""

    def __init__(self, sandbox: Sandbox, folder: Path, at: int) -> None:
        (folder / "example.py").write_text(blocks("docs/plugins.md", "python")[at])
        setup = WorkerConfig("studio", sandbox.url, sandbox.script, Secret(sandbox.key))
        self._executor = InlineExecutor({"studio": setup})
        self._plugin = PluginKey("studio", "example")
        self._executor.load(PluginFile(self._plugin, str(folder / "example.py"), 0, 1.0))
        (manifest,) = [one for one in self._executor.collect(1.0) if isinstance(one, Manifest)]
        (self._callback,) = manifest.callbacks

    def __call__(self, *events: dict[str, Any]) -> list[str]:
        """What came of each event: the verdict, and the reason."""
        deliveries = [Delivery(place, self._callback.key, one["id"], json.dumps(one)) for place, one in enumerate(events)]
        self._executor.submit([Run(1, self._plugin, "lane", tuple(deliveries))])
        reports = [one for one in self._executor.collect(1.0) if isinstance(one, Report)]
        return [f"{one.verdict.value}: {one.failure.text}" if one.failure else one.verdict.value for one in reports]


def about(sandbox: Sandbox, entity: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """An event about that entity, as the site sends it."""
    number = sandbox.add_event("Shotgun_Task_Change", entity=entity or {"type": "Version", "id": 10**6}, **more)
    (event,) = [one for one in sandbox.events() if one["id"] == number]
    return {**event, "entity": entity}


def test_the_fields_of_the_page_are_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Sandbox() as sandbox, caplog.at_level(logging.INFO):
        task = sandbox.connect().find_one("Task", [["entity", "type_is", "Shot"]], ["content", "entity.Shot.code"])
        assert Runs(sandbox, tmp_path, 1)(about(sandbox, {"type": "Task", "id": task["id"]})) == ["ok"]
    assert f"{task['content']} of {task['entity.Shot.code']}: over to" in caplog.text


def test_the_batch_of_the_page_settles_each_apart(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        good, other = ({"type": "Version", "id": 5, "name": name} for name in ("dailies", "unheard-of"))
        runs = Runs(sandbox, tmp_path, 2)
        events = [about(sandbox, None), about(sandbox, good), about(sandbox, other), about(sandbox, good)]
        assert runs(*events) == ["skip: the version is gone", "ok", "retry: not in the database yet"]


def test_the_burst_of_the_page_is_one_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Sandbox() as sandbox, caplog.at_level(logging.INFO):
        shot = {"type": "Shot", "id": sandbox.connect().find_one("Shot", [])["id"]}
        first, last = about(sandbox, shot), about(sandbox, shot)
        assert Runs(sandbox, tmp_path, 3)(first, last) == [f"skip: folded into event {last['id']}", "ok"]
    assert f"shot {shot['id']} has a new cut, after 2 changes" in caplog.text
