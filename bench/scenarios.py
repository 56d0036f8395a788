"""What is raced: the events that wait on the site, the plugins that want them, and how the site answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.goals import Goal
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
IDLE = """
from callsheet import on

def idle(ctx):
    raise AssertionError("nothing of that type is ever written")

for number in range({count}):
    on("Bench_Other_%d" % number)(idle)
"""
WRITE = 'sg.update("Task", event["meta"]["entity_id"], {"sg_description": "seen"})'
WRITES = 0.05
PAGE = 0.2
HOURS = 3 * 3600.0
IDLE_PLUGINS = 9
WAITING = 500_000


@dataclass(frozen=True)
class Plugin:
    """A plugin to be written out. ``share``: of every ``share`` events it wants the one at ``turn``."""

    source: str = LEGACY
    work: str = "pass"
    types: tuple[str, ...] | None = None
    turn: int = 0
    share: int = 1


@dataclass(frozen=True)
class Entry:
    """How Callsheet takes part: with these plugins by name, with ``others`` beside them that want nothing (their sources, by name),
    and with so many deliveries waiting in the ledger, of a plugin that never ends.
    """

    plugins: Mapping[str, Plugin]
    others: Mapping[str, str] = field(default_factory=dict)
    waiting: int = 0


@dataclass(frozen=True)
class Scenario:
    """``entries`` by name; the reference takes part with the plugins of the entry "callsheet", where there is one."""

    title: str
    events: int
    entries: Mapping[str, Entry]
    goals: tuple[Goal, ...]
    make: Callable[[int], Mapping[str, object]] | None = None
    faults: Callable[[Sandbox], object] = lambda _: None
    reading: bool = False
    """Whether merely reading the log is a measure for it."""


def _type(number: int) -> str:
    return f"Bench_Type_{number % 25}"


def _unwanted(age: float) -> Callable[[int], Mapping[str, object]]:
    """All but the first and the last event are of a type that nobody wants."""
    made = time.time() - age
    return lambda number: {"event_type": "Bench_Ends" if number in (0, 19_999) else "Bench_Unwanted", "created_at": made}


def _catch_up(title: str, age: float) -> Scenario:
    return Scenario(
        f"{title}, each page takes 200 ms",
        20_000,
        {"callsheet": Entry({"last": Plugin(types=("Bench_Ends",))})},
        (Goal(title, "callsheet", "reference", 4, 8),),
        make=_unwanted(age),
        faults=lambda sandbox: sandbox.faults.slow(PAGE, method="read", entity_type="EventLogEntry"),
    )


def _beside(callbacks: int) -> Entry:
    """One plugin that works, and so many callbacks in all."""
    each = (callbacks - 1) // IDLE_PLUGINS
    return Entry({"noop": Plugin()}, {f"idle_{number}": IDLE.format(count=each) for number in range(IDLE_PLUGINS)})


NOOP = "20,000 events, one no-op legacy plugin"
MANY = "3,000 events, 50 no-op legacy plugins, each event wanted by 2 of them"
WRITERS = "100 events, 5 plugins that write, each write takes 50 ms"

SCENARIOS = {
    "noop": Scenario(
        NOOP,
        20_000,
        {"callsheet": Entry({"noop": Plugin()})},
        (
            Goal(NOOP, "callsheet", "reference", 4, note="against the reference"),
            Goal(NOOP, "callsheet", "merely reading", aim=1, note="against merely reading"),
        ),
        reading=True,
    ),
    "many": Scenario(
        MANY,
        3_000,
        {
            "callsheet": Entry(
                {f"noop_{number:02}": Plugin(types=(_type(number),), turn=number % 25, share=25) for number in range(50)}
            )
        },
        (Goal(MANY, "callsheet", "reference", 2),),
        make=lambda number: {"event_type": _type(number)},
    ),
    "writes": Scenario(
        WRITERS,
        100,
        {
            "callsheet": Entry({f"writer_{number}": Plugin(work=WRITE, types=("Shotgun_Task_Change",)) for number in range(5)}),
            "callsheet, new style": Entry({f"writer_{number}": Plugin(NEW_STYLE, WRITE) for number in range(5)}),
        },
        (
            Goal(WRITERS, "callsheet", "reference", 4.5, note="legacy"),
            Goal(WRITERS, "callsheet, new style", "reference", 25, 30, note="new style, 64 slots"),
        ),
        faults=lambda sandbox: sandbox.faults.slow(WRITES, method="update"),
    ),
    "catch-up": _catch_up("catch-up over 20,000 unwanted events made just now", 0.0),
    "catch-up-old": _catch_up("catch-up over 20,000 unwanted events made 3 hours ago", HOURS),
    "callbacks": Scenario(
        "20,000 events beside callbacks that want other types",
        20_000,
        {"10 callbacks": _beside(10), "1,000 callbacks": _beside(1000)},
        (Goal("cost per event with 1,000 callbacks against 10", "10 callbacks", "1,000 callbacks", 1.2, 1.05, at_most=True),),
    ),
    "waiting": Scenario(
        "20,000 events beside deliveries that wait",
        20_000,
        {"none waiting": Entry({"noop": Plugin()}), "500,000 waiting": Entry({"noop": Plugin()}, waiting=WAITING)},
        (
            Goal(
                "cost per event with 500,000 waiting deliveries against none",
                "none waiting",
                "500,000 waiting",
                1.2,
                1.05,
                at_most=True,
            ),
        ),
    ),
}
