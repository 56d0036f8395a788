"""What is raced: the events that wait on the site, the plugins that want them, and how the site answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from callsheet.sandbox import Sandbox

HEAD = """
import time
{on}
FIRST, LAST, MARK = {first}, {last}, {mark!r}

def mark(event):
    if event["id"] == FIRST or event["id"] == LAST:
        with open(MARK, "a") as file:
            file.write("%.6f\\n" % time.time())
"""
LEGACY = (
    HEAD
    + """
def registerCallbacks(reg):
    reg.registerCallback({script!r}, {key!r}, react, {wanted!r}, None)

def react(sg, logger, event, args):
    {work}
    mark(event)
"""
)
NEW_STYLE = (
    HEAD
    + """
@on("Shotgun_Task_Change", attribute="sg_status_list", lane="none", slots=64)
def react(ctx):
    sg, event = ctx.sg, ctx.event
    {work}
    mark(event)
"""
)
WRITE = 'sg.update("Task", event["meta"]["entity_id"], {"sg_description": "seen"})'
WRITES = 0.05
PAGE = 0.2


@dataclass(frozen=True)
class Plugin:
    """A plugin to be written out. ``share``: of every ``share`` events it wants the one at ``turn``."""

    source: str = LEGACY
    work: str = "pass"
    types: tuple[str, ...] | None = None
    turn: int = 0
    share: int = 1


@dataclass(frozen=True)
class Scenario:
    """``plugins``: by name, for the legacy race. ``new_style``: the same work as Callsheet's own kind can do it, if it differs."""

    title: str
    events: int
    plugins: Mapping[str, Plugin]
    new_style: Mapping[str, Plugin] = field(default_factory=dict)
    make: Callable[[int], Mapping[str, object]] | None = None
    faults: Callable[[Sandbox], object] = lambda _: None
    reading: bool = False
    """Whether merely reading the log is a measure for it."""


def _type(number: int) -> str:
    return f"Bench_Type_{number % 25}"


SCENARIOS = {
    "noop": Scenario("20,000 events, one no-op legacy plugin", 20_000, {"noop": Plugin()}, reading=True),
    "many": Scenario(
        "3,000 events, 50 no-op legacy plugins, each event wanted by 2 of them",
        3_000,
        {f"noop_{number:02}": Plugin(types=(_type(number),), turn=number % 25, share=25) for number in range(50)},
        make=lambda number: {"event_type": _type(number)},
    ),
    "writes": Scenario(
        "100 events, 5 plugins that write, each write takes 50 ms",
        100,
        {f"writer_{number}": Plugin(work=WRITE, types=("Shotgun_Task_Change",)) for number in range(5)},
        {f"writer_{number}": Plugin(NEW_STYLE, WRITE) for number in range(5)},
        faults=lambda sandbox: sandbox.faults.slow(WRITES, method="update"),
    ),
    "catch-up": Scenario(
        "catch-up over 20,000 events that nobody wants, each page takes 200 ms",
        20_000,
        {"last": Plugin(types=("Bench_Ends",))},
        make=lambda number: {"event_type": "Bench_Ends" if number in (0, 19_999) else "Bench_Unwanted"},
        faults=lambda sandbox: sandbox.faults.slow(PAGE, method="read", entity_type="EventLogEntry"),
    ),
}
