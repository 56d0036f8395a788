"""What tests of executors share: a folder of plugins, an executor over it, events, and waiting for what came."""

from __future__ import annotations

import itertools
import json
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from callsheet.domain.callback import CallbackKey, PluginKey
from callsheet.domain.delivery import Delivery, Report, Run, RunEnded
from callsheet.domain.plugin import Manifest, PluginFile
from callsheet.ports import Executor, Message
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.settings import Secret

SITE = "studio"
Kind = TypeVar("Kind", Manifest, Report, RunEnded)

EVENT: dict[str, Any] = {
    "type": "EventLogEntry",
    "id": 0,
    "event_type": "Shotgun_Task_Change",
    "attribute_name": "sg_status_list",
    "meta": {"type": "attribute_change", "entity_id": 5, "old_value": "wtg", "new_value": "ip"},
    "entity": {"type": "Task", "id": 5, "name": "Anim"},
    "user": {"type": "HumanUser", "id": 3, "name": "Ada"},
    "project": {"type": "Project", "id": 70, "name": "Moth"},
    "session_uuid": "b3c0",
    "created_at": "2026-11-22T03:40:10Z",
}

LEGACY = """
    def registerCallbacks(reg):
        reg.registerCallback("script", "script-key", {name}, {matches}, {args}, {stop})
    def {name}(sg, logger, event, args):
"""


def setup(url: str = "http://127.0.0.1:9", **changes: Any) -> WorkerConfig:
    """A site's setup; nothing answers at the default address."""
    return WorkerConfig(**{"site": SITE, "url": url, "script": "daemon", "key": Secret("daemon-key"), **changes})


def legacy(body: str, *, name: str = "callback", matches: str = "None", args: str = "None", stop: bool = True) -> str:
    """A plugin with one legacy callback of that body."""
    head = textwrap.dedent(LEGACY.format(name=name, matches=matches, args=args, stop=stop))
    return head.strip() + "\n" + textwrap.indent(textwrap.dedent(body).strip(), "    ") + "\n"


class Stage:
    """An executor and a folder of plugins, driven step by step. Waiting is for messages; time-outs only end a failed test."""

    def __init__(self, folder: Path, executor: Executor) -> None:
        self.folder = folder
        self.executor = executor
        self.heard: list[Message] = []
        self._ids = itertools.count(1)
        self._generations = itertools.count(1)
        self._taken: set[int] = set()

    def write(self, name: str, text: str) -> Path:
        """Write a plugin's file."""
        path = self.folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def start(self, name: str, text: str) -> Manifest:
        """Write a plugin, load it, and wait for its manifest."""
        self.write(name, text)
        return self.load(name)

    def load(self, name: str) -> Manifest:
        """Load a plugin that is written, and wait for its manifest."""
        generation = next(self._generations)
        self.executor.load(self.file(name, generation))
        return self.wait(Manifest, lambda one: one.plugin == key(name) and one.generation == generation)

    def file(self, name: str, generation: int) -> PluginFile:
        """The plugin as found on disk."""
        return PluginFile(key(name), str(self.folder / f"{name}.py"), 0, 0.0, generation)

    def run(self, name: str, *callbacks: str, events: Mapping[int, Mapping[str, Any]] | None = None, **fields: Any) -> Run:
        """A run of one delivery per callback name, each of an event of its own; ``events``: changes to the n-th."""
        deliveries = []
        for position, callback in enumerate(callbacks):
            number = next(self._ids)
            event = {**EVENT, "id": number, **(events or {}).get(position, {})}
            deliveries.append(Delivery(number, CallbackKey(key(name), callback), event["id"], json.dumps(event), **fields))
        return Run(next(self._ids), key(name), "", tuple(deliveries))

    def do(self, run: Run) -> list[Report]:
        """Submit a run, wait for its end, and return its reports."""
        self.executor.submit([run])
        return self.finish(run)

    def finish(self, run: Run) -> list[Report]:
        """Wait for the end of a submitted run, and return its reports."""
        self.wait(RunEnded, lambda one: one.run_id == run.id)
        return [one for one in self.heard if isinstance(one, Report) and one.run_id == run.id]

    def wait(self, kind: type[Kind], wanted: Callable[[Kind], bool] = lambda _: True, timeout: float = 30.0) -> Kind:
        """The first message of that kind, come or to come, that was not returned before."""
        deadline = time.monotonic() + timeout
        while True:
            for one in self.heard:
                if isinstance(one, kind) and id(one) not in self._taken and wanted(one):
                    self._taken.add(id(one))
                    return one
            left = deadline - time.monotonic()
            assert left > 0, f"no {kind.__name__} within {timeout} s; heard {self.heard}"
            self.heard += self.executor.collect(left)

    def forget(self) -> None:
        """Drop all that was heard, for tests that go on for long."""
        self.heard.clear()
        self._taken.clear()

    def until(self, true: Callable[[], bool], timeout: float = 30.0) -> None:
        """Wait for a fact outside of the executor, which is looked at again and again."""
        deadline = time.monotonic() + timeout
        while not true():
            assert time.monotonic() < deadline, "it did not become true"
            self.heard += self.executor.collect(0.01)


def key(name: str) -> PluginKey:
    """The key of a plugin of the tests' site."""
    return PluginKey(SITE, name)
