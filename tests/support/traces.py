"""Plugins that write down what they do, one line per call, and tests that read it: what ran, in which order, how often."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

HEAD = """
import json, os, signal, time

FOLDER = {folder!r}

def note(word, event, callback="noted", **more):
    meta = event["meta"] if isinstance(event["meta"], dict) else {{}}
    line = dict(plugin=__name__, callback=callback, word=word, event=event["id"], pid=os.getpid(), **more)
    line["lane"] = "%s:%s" % (meta.get("entity_type"), meta.get("entity_id"))
    file = os.open(os.path.join(FOLDER, "trace"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, (json.dumps(line) + "\\n").encode())
    os.close(file)

def flag(name):
    return os.path.exists(os.path.join(FOLDER, name + ".flag"))

def once(name):
    try:
        os.close(os.open(os.path.join(FOLDER, name + ".flag"), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

def wait_for(name):
    while not flag(name):
        time.sleep(0.005)

def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""
"""Begins every plugin of these tests. A flag is a file that a test or a plugin puts down: ``flag``, ``once``, ``wait_for``."""


class Call(NamedTuple):
    """One line of the trace. ``word``: ``done`` at a callback's end, or what else the plugin noted."""

    plugin: str
    callback: str
    word: str
    event: int
    lane: str
    pid: int
    text: str = ""


class Trace:
    """What plugins wrote down, and the flags between them and the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def calls(self, plugin: str | None = None, *, callback: str | None = None, word: str = "done") -> list[Call]:
        """The calls that were noted, in the order of the notes."""
        file = self.folder / "trace"
        lines = file.read_text().splitlines() if file.exists() else []
        noted = [Call(**json.loads(line)) for line in lines]
        return [one for one in noted if one.word == word and plugin in (None, one.plugin) and callback in (None, one.callback)]

    def events(self, plugin: str | None = None, *, callback: str | None = None, word: str = "done") -> list[int]:
        """The ids of the events of ``calls``, in their order."""
        return [one.event for one in self.calls(plugin, callback=callback, word=word)]

    def raise_flag(self, name: str) -> None:
        """Let plugins go on that wait for that flag."""
        (self.folder / f"{name}.flag").touch()

    def source(self, text: str) -> str:
        """A plugin's whole source: its own text behind the head."""
        return HEAD.format(folder=str(self.folder)) + textwrap.dedent(text)


def noting(body: str = "", options: str = "", *, types: Sequence[str] = ("Shotgun_Task_Change",)) -> str:
    """A new-style plugin whose callback ``noted(ctx)`` does ``body``, then notes the event as done; lanes are per entity."""
    inner = textwrap.indent(textwrap.dedent(body).strip() or "pass", "    ")
    named = ", ".join([*map(repr, types), *([options] if options else [])])
    return f"from callsheet import on\n\n@on({named})\ndef noted(ctx):\n    event = ctx.event\n{inner}\n    note('done', event)\n"


def legacy(*bodies: str, stop: bool = True) -> str:
    """A plugin as for shotgunEvents: callbacks ``first``, ``second`` … that each do their body, then note the event as done."""
    names = ("first", "second", "third")
    text = "def registerCallbacks(reg):\n"
    wanted = "{'Shotgun_Task_Change': ['sg_status_list']}"
    for name, _ in zip(names, bodies or ("",), strict=False):
        text += f"    reg.registerCallback('script', 'key', {name}, {wanted}, None, {stop})\n"
    for name, body in zip(names, bodies or ("",), strict=False):
        inner = textwrap.indent(textwrap.dedent(body).strip() or "pass", "    ")
        text += f"\ndef {name}(sg, logger, event, args):\n{inner}\n    note('done', event, {name!r})\n"
    return text


def disorder(calls: Iterable[Call]) -> list[str]:
    """Where a lane of a callback went back in its events; empty if all went in order, each event at most once."""
    last: dict[tuple[str, str, str], int] = {}
    wrong = []
    for one in calls:
        key = (one.plugin, one.callback, one.lane)
        if one.event <= last.get(key, 0):
            wrong.append(f"{one.plugin}.{one.callback}, lane {one.lane}: event {one.event} behind {last[key]}")
        last[key] = one.event
    return wrong
