"""Callbacks that are coroutines: awaited, several at once, cancelled at their deadline; and work that only seems to be done."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from callsheet.domain.delivery import Report, Run, Verdict
from callsheet.domain.plugin import Manifest
from callsheet.sandbox import Sandbox
from callsheet.telemetry import Recorder
from callsheet.wire.causality import chain_of
from callsheet.workers.local_executor import LocalExecutor
from tests.agent.conftest import CommandContext
from tests.support.executor_bench import SITE, Stage, key, legacy, setup

HEAD = """
import asyncio, contextvars, functools, os, threading, time, types
from callsheet import GiveUp, Retry, Skip, on

async def until(true):
    while not true():
        await asyncio.sleep(0.005)

def in_thread(*call):
    return asyncio.get_event_loop().run_in_executor(None, *call)
"""
WIDE = """
running = []

@on("*", lane="none", slots=4)
async def callback(ctx):
    await run(ctx)

@on("*", lane="none", slots=4, timeout=0.5)
async def brief(ctx):
    await run(ctx)

async def run(ctx):
    kind = ctx.event["session_uuid"]
    running.append(kind)
    try:
        await globals()[kind](ctx)
    finally:
        running.remove(kind)

async def well(ctx): pass
"""
"""Two callbacks that do what the event names; the second must be quick."""


def start(stage: Stage, text: str, name: str = "plugin") -> int:
    """Load a plugin; returns its worker's process id."""
    manifest = stage.start(name, HEAD + textwrap.dedent(text))
    assert manifest.problem is None, manifest.problem
    assert manifest.pid is not None
    return manifest.pid


def run(stage: Stage, kind: str, callback: str = "callback") -> Run:
    """A run of one event that names what to do."""
    return stage.run("plugin", callback, events={0: {"session_uuid": kind}})


def together(stage: Stage, *runs: Run) -> list[list[str]]:
    """What comes of runs that are handed out at once, run by run."""
    stage.executor.submit(runs)
    return [said(stage.finish(each)) for each in runs]


def said(reports: Sequence[Report]) -> list[str]:
    """The verdicts, and the reasons of those that have one."""
    return [f"{each.verdict.value}: {each.failure.text}" if each.failure else each.verdict.value for each in reports]


def processes(stage: Stage) -> set[int | None]:
    """The workers that have loaded something."""
    return {each.pid for each in stage.heard if isinstance(each, Manifest)}


LATE = "timeout: It took longer than its timeout."


def test_as_many_tasks_run_at_once_as_there_are_slots_in_one_loop(opened: CommandContext) -> None:
    stage = opened(ahead=8)
    start(
        stage,
        WIDE
        + textwrap.dedent("""
        LOCK = asyncio.Lock()  # belongs to a loop when it is made, before Python 3.10
        loops, most = set(), [0]

        async def meets(ctx):
            loops.add(asyncio.get_event_loop())
            async with LOCK: await asyncio.sleep(0)
            most.append(len(running))
            await until(lambda: max(most) == 4)
            raise Skip("%d in %d" % (max(most), len(loops)))
        """),
    )

    assert together(stage, *(run(stage, "meets") for _ in range(8))) == [["skip: 4 in 1"]] * 8


def test_those_of_one_slot_and_legacy_ones_run_one_by_one_on_the_main_thread(stage: Stage) -> None:
    start(
        stage,
        """
        running = []

        async def alone():
            assert threading.current_thread() is threading.main_thread()
            running.append(1)
            await asyncio.sleep(0.01)
            assert len(running) == 1
            running.pop()

        @on("*", lane="none")
        async def callback(ctx):
            await alone()

        def registerCallbacks(reg):
            reg.registerCallback("n", "the-key", four)
            reg.registerCallback("n", "the-key", three)
            reg.registerCallback("n", "the-key", Context(), {}, "args")
            reg.registerCallback("n", "the-key", itself)

        async def four(sg, logger, event, args):
            await alone()
            assert event["id"] and logger.name == "plugin.plugin.four" and args is None

        async def three(sg, event, args): await alone()

        class Context:
            async def __call__(self, context):
                await alone()
                assert context.args == "args"

        def itself(sg, logger, event, args): asyncio.run(alone())
        """,
    )

    names = ("callback", "four", "itself", "three", "Context", "itself", "callback")
    assert together(stage, *(stage.run("plugin", name) for name in names)) == [["ok"]] * 7


def test_a_failure_tells_the_plugins_lines_and_locals(stage: Stage) -> None:
    start(
        stage,
        """
        @on("*")
        async def callback(ctx):
            mine = 5
            await asyncio.sleep(0)
            await inner(mine)

        async def inner(number):
            raise ValueError(number)
        """,
    )

    (report,) = stage.do(stage.run("plugin", "callback"))

    assert report.failure is not None
    assert (report.failure.kind, report.failure.text) == ("ValueError", "5")
    assert report.failure.traceback.splitlines()[1].endswith("in callback")
    assert "in inner" in report.failure.traceback
    assert "'mine': 5" in report.failure.locals


@pytest.mark.parametrize("slots", [1, 2], ids=["main thread", "shared loop"])
def test_what_it_raises_means_what_it_means_elsewhere(stage: Stage, slots: int) -> None:
    pid = start(
        stage,
        f"""
        @on("*", slots={slots})
        async def callback(ctx):
            await asyncio.sleep(0)
            raise eval(ctx.event["session_uuid"])
        """,
    )
    raised = {
        "Skip('nothing')": "skip: nothing",
        "Retry('later', after=5)": "retry: later",
        "GiveUp('never')": "give_up: never",
        "SystemExit('enough')": "failed: enough",
        "KeyboardInterrupt('enough')": "failed: enough",
        "asyncio.CancelledError('itself')": "failed: itself",
        "asyncio.TimeoutError('its own')": "failed: its own",
    }

    told = [each for text in raised for each in said(stage.do(run(stage, text)))]

    assert told == list(raised.values())
    assert processes(stage) == {pid}


# -- deadlines

HANGING = """
async def hangs(ctx):
    here = "is where it hung"
    await deep()

async def deep():
    await asyncio.sleep(60)

async def goes_on(ctx):
    await until(lambda: "hangs" in running)
    await until(lambda: "hangs" not in running)

async def swallows(ctx):
    try: await asyncio.sleep(60)
    except BaseException: return

async def fails_then(ctx):
    try: await asyncio.sleep(60)
    finally: raise OSError("no clean end")

async def asks_then(ctx):
    try: await asyncio.sleep(60)
    except BaseException: raise Retry("the farm is slow", after=7)

async def never_ends(ctx):
    while True:
        try: await asyncio.sleep(60)
        except BaseException: pass

async def blocks(ctx):
    await until(lambda: "beside" in running)
    time.sleep(60)

async def beside(ctx):
    await asyncio.sleep(60)
"""


def test_past_its_deadline_a_task_is_cancelled_and_those_beside_it_go_on(opened: CommandContext) -> None:
    stage = opened(ahead=8)
    pid = start(stage, WIDE + HANGING)
    late = run(stage, "hangs", "brief")

    assert together(stage, late, run(stage, "goes_on")) == [[LATE], ["ok"]]
    assert said(stage.do(run(stage, "well"))) == ["ok"]

    assert processes(stage) == {pid}
    (report,) = (each for each in stage.heard if isinstance(each, Report) and each.run_id == late.id)
    assert report.failure is not None
    assert report.failure.kind == "Timeout"
    assert "in deep" in report.failure.traceback
    assert "'kind': 'hangs'" not in report.failure.locals  # of the outermost frame of the plugin
    assert "'ctx': <Context of event" in report.failure.locals


@pytest.mark.parametrize(("kind", "told"), [("swallows", LATE), ("fails_then", LATE), ("asks_then", "retry: the farm is slow")])
def test_what_comes_of_a_cancelled_task_is_its_timeout_unless_it_asks_for_something(stage: Stage, kind: str, told: str) -> None:
    pid = start(stage, WIDE + HANGING)

    (report,) = stage.do(run(stage, kind, "brief"))

    assert said([report]) == [told]
    assert report.failure is not None
    assert ("no clean end" in report.failure.traceback) == (kind == "fails_then")
    assert said(stage.do(run(stage, "well"))) == ["ok"]
    assert processes(stage) == {pid}


@pytest.mark.parametrize("kind", ["never_ends", "blocks"])
def test_one_that_can_not_be_cancelled_ends_with_the_worker_and_alone_is_charged(opened: CommandContext, kind: str) -> None:
    stage = opened(ahead=8)
    start(stage, WIDE + HANGING)

    assert together(stage, run(stage, kind, "brief"), run(stage, "beside")) == [[LATE], []]


def test_a_legacy_coroutine_keeps_the_configured_timeout(tmp_path: Path) -> None:
    executor = LocalExecutor({SITE: setup(deadline=1.0)}, tmp_path / "state")
    stage = Stage(tmp_path / "plugins", executor)
    pid = start(
        stage, legacy("await asyncio.sleep(60 if event['session_uuid'] == 'hangs' else 0)").replace("def cal", "async def cal")
    )

    assert said(stage.do(stage.run("plugin", "callback", "callback", events={0: {"session_uuid": "hangs"}}))) == [LATE]
    assert said(stage.do(stage.run("plugin", "callback"))) == ["ok"]
    assert processes(stage) == {pid}
    executor.close(0)


def test_a_cancelled_call_is_not_over_while_a_thread_of_its_own_works(stage: Stage) -> None:
    start(
        stage,
        """
        log, cancelled = [], threading.Event()

        def work():
            cancelled.wait()
            time.sleep(0.1)
            log.append("ended")

        @on("*", lane="plugin", timeout=1)
        async def callback(ctx):
            if cancelled.is_set():
                raise Skip(" ".join(log))
            try: await in_thread(work)
            finally: cancelled.set()
        """,
    )

    assert said(stage.do(stage.run("plugin", "callback"))) == [LATE]
    assert said(stage.do(stage.run("plugin", "callback"))) == ["skip: ended"]


# -- together

TOGETHER = """
@on("*", batch=3, lane="plugin", timeout=1, retry={"attempts": 4})
async def many(contexts):
    await asyncio.sleep(0)
    print("called with", [one.event["id"] for one in contexts])
    for one in contexts:
        if one.event["session_uuid"] == "skip": one.skip("none of ours")
        if one.event["session_uuid"] == "hang": await asyncio.sleep(60)
        if one.event["session_uuid"] == "fail": raise ValueError("no farm")

@on("*", settle=1, timeout=1, retry={"attempts": 4})
async def last(ctx):
    await asyncio.sleep(0)
    if ctx.event["session_uuid"] == "hang": await asyncio.sleep(60)
    assert len(ctx.folded) == 2
"""


@pytest.mark.parametrize(
    ("callback", "word", "expected"),
    [
        ("many", "skip", ["ok", "ok", "skip: none of ours"]),
        ("many", "fail", ["failed: no farm"] * 3),
        ("many", "hang", [LATE] * 3),
        ("last", "", ["skip: folded into event 3", "skip: folded into event 3", "ok"]),
        ("last", "hang", [LATE] * 3),
    ],
)
def test_batches_and_bursts_can_be_coroutines(stage: Stage, callback: str, word: str, expected: list[str]) -> None:
    pid = start(stage, TOGETHER)

    reports = stage.do(stage.run("plugin", *[callback] * 3, events={2: {"session_uuid": word}}))

    assert said(reports) == expected
    assert [each.shares for each in reports if each.verdict is Verdict.TIMEOUT] in ([], [False, True, True])
    assert processes(stage) == {pid}


# -- what is not done

PRETENDING = """
from unittest.mock import MagicMock, Mock

async def work(ctx): raise Skip("awaited")

@types.coroutine
def by_yield(ctx):
    yield from asyncio.sleep(0).__await__()
    raise Skip("awaited")

class Handler:
    async def __call__(self, ctx): await work(ctx)
    async def method(self, ctx): await work(ctx)

def kept(function):
    @functools.wraps(function)
    def wrapper(*arguments): return function(*arguments)
    return wrapper

def lost(function):
    def wrapper(ctx): return function(ctx)
    return wrapper

def blocking(function):
    @functools.wraps(function)
    def wrapper(*arguments): return asyncio.run(function(*arguments))
    return wrapper

class Future:
    "As of a library that works on, whoever waits for it."
    def __await__(self): yield

class Odd:
    @property
    def __class__(self): raise RuntimeError("outside of what it stands for")

def over(ctx):
    generator = (each for each in (1, 2))
    list(generator)
    return generator

def run_already(ctx):
    async def nothing(): pass
    coroutine = nothing()
    asyncio.run(coroutine)
    return coroutine

def task(ctx):
    loop = asyncio.new_event_loop()
    return loop.create_task(work(ctx))

async def forgets(ctx): return work(ctx)
async def yields_later(ctx): return (each for each in (1, 2))
async def events(ctx): yield 1
"""
COROUTINE = "returned a coroutine that nobody awaited: declare the callback with async def or await it."
GENERATOR = "returned a generator, whose code nobody ran: go through it, and return nothing."
LATER = "returned an asynchronous generator, whose code nobody ran: go through it with async for, and return nothing."
TASK = "returned a task that nobody awaited: declare the callback with async def and await it."


AWAITED = [
    "work",
    "by_yield",
    "Handler()",
    "Handler().method",
    "functools.partial(work)",
    "functools.partial(functools.partial(Handler().method))",
    "kept(work)",
    "kept(kept(functools.partial(work)))",
    "blocking(work)",
]
PRETENDERS = {
    "lost(work)": COROUTINE,
    "lambda ctx: work(ctx)": COROUTINE,
    "lambda ctx: by_yield(ctx)": COROUTINE,
    "forgets": COROUTINE,
    "task": TASK,
    "lambda ctx: (each for each in (1, 2))": GENERATOR,
    "yields_later": GENERATOR,
    "lambda ctx: events(ctx)": LATER,
}
IGNORED = [
    f"lambda ctx: {what}" for what in ("Future()", "5", "map(print, ())", "asyncio.new_event_loop()", "[work]", "iter(())", "work")
] + ["over", "run_already", "lambda ctx: Odd()", "lambda ctx: Mock()", "lambda ctx: MagicMock()"]


def register(stage: Stage, functions: Sequence[str], form: str = "on") -> list[Report]:
    """What comes of these functions, each called for one event."""
    text = f"{PRETENDING}\nchosen = [{', '.join(functions)}]\n"
    if form == "on":
        start(stage, f"{text}for each in chosen: on('*')(each)\n")
    else:
        start(stage, f"{text}def registerCallbacks(reg):\n    for each in chosen: reg.registerCallback('n', 'the-key', each)\n")
    (manifest,) = (each for each in stage.heard if isinstance(each, Manifest))
    runs = [stage.run("plugin", each.key.name) for each in manifest.callbacks]
    stage.executor.submit(runs)
    return [report for each in runs for report in stage.finish(each)]


@pytest.mark.parametrize("form", ["on", "registerCallback"])
def test_a_coroutine_function_is_awaited_whatever_is_around_it(stage: Stage, form: str) -> None:
    assert said(register(stage, AWAITED, form)) == ["skip: awaited"] * len(AWAITED)


@pytest.mark.parametrize("form", ["on", "registerCallback"])
def test_what_only_looks_done_is_a_failure(stage: Stage, form: str) -> None:
    reports = register(stage, list(PRETENDERS), form)

    assert [each.verdict for each in reports] == [Verdict.FAILED] * len(PRETENDERS)
    for report, told in zip(reports, PRETENDERS.values(), strict=True):
        assert report.failure is not None
        assert f" {told} ({stage.folder / 'plugin.py'}, line " in report.failure.text


def test_what_is_returned_is_otherwise_ignored(stage: Stage) -> None:
    assert said(register(stage, IGNORED)) == ["ok"] * len(IGNORED)


def test_a_condition_that_answers_with_a_coroutine_is_a_failure_and_no_yes(stage: Stage) -> None:
    start(stage, PRETENDING + "\non('*', where=lost(work))(print)\non('*', batch=5, where=lost(work))(len)\n")

    for name in ("print", "len"):
        (told,) = said(stage.do(stage.run("plugin", name)))
        assert told.startswith(f"failed: where= is no answer: it {COROUTINE}")


# -- what tasks share, and what they don't


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def test_each_task_writes_by_a_connection_of_its_own_with_its_own_mark(sandbox: Sandbox, tmp_path: Path) -> None:
    script_key = sandbox.add_script("writer")
    executor = LocalExecutor({SITE: setup(sandbox.url)}, tmp_path / "state", ahead=8)
    stage = Stage(tmp_path / "plugins", executor)
    start(
        stage,
        f"""
        begun, connections = [], set()

        @on("*", lane="none", slots=3, script=("writer", {script_key!r}))
        async def callback(ctx):
            project = ctx.sg.find_one("Project", [])
            begun.append(ctx.event["id"])
            await until(lambda: len(begun) == 3)  # the others have got their connections and marks meanwhile
            connections.add(id(ctx.sg))
            assert ctx.sg is ctx.sg and len(connections) <= 3
            ctx.sg.create("Note", {{"subject": "loop %d" % ctx.event["id"], "project": project}})
            await in_thread(lambda: ctx.sg.create("Note", {{"subject": "thread %d" % ctx.event["id"], "project": project}}))
            await until(lambda: len(connections) == 3)
        """,
    )
    depths = ["ca115ee7-0100-8000-8000-000000000000", "ca115ee7-0200-8000-8000-000000000000", "none"]
    runs = [stage.run("plugin", "callback", events={0: {"session_uuid": mark}}) for mark in depths]
    assert together(stage, *runs) == [["ok"]] * 3

    expected = {1: 2, 2: 3, 3: 1}
    ids = {each.deliveries[0].event_id: place for place, each in enumerate(runs, 1)}
    written = {}
    for event in sandbox.events():
        subject = str(event["meta"].get("new_value") or "")
        if event["attribute_name"] == "subject" and subject.split(maxsplit=1)[0] in ("loop", "thread"):
            written[subject] = chain_of(event["session_uuid"]).depth
    assert written == {f"{where} {number}": expected[place] for number, place in ids.items() for where in ("loop", "thread")}
    executor.close(0)


@pytest.mark.parametrize("form", ["on", "registerCallback"])
def test_threads_that_one_connection_is_given_to_take_turns(sandbox: Sandbox, tmp_path: Path, form: str) -> None:
    script_key = sandbox.add_script("reader")
    executor = LocalExecutor({SITE: setup(sandbox.url)}, tmp_path / "state")
    stage = Stage(tmp_path / "plugins", executor)
    start(
        stage,
        f"""
        async def reads(sg):
            tasks = sg.find("Task", [], ["content"])
            ids = [one["id"] for one in tasks][:20]
            for again in range(5):
                found = await asyncio.gather(*(in_thread(sg.find_one, "Task", [["id", "is", one]], ["id"]) for one in ids))
                assert [one["id"] for one in found] == ids

        async def legacy(sg, logger, event, args): await reads(sg)
        async def modern(ctx): await reads(ctx.sg)

        def registerCallbacks(reg):
            reg.registerCallback("reader", {script_key!r}, legacy)

        if {form == "on"}:
            del registerCallbacks
            on("*", slots=2, script=("reader", {script_key!r}))(modern)
        """,
    )

    assert together(stage, stage.run("plugin", "modern" if form == "on" else "legacy")) == [["ok"]]
    executor.close(0)


def test_context_variables_are_a_tasks_own(stage: Stage) -> None:
    start(
        stage,
        WIDE
        + textwrap.dedent("""
        VARIABLE = contextvars.ContextVar("variable", default="unset")

        async def sets(ctx):
            assert VARIABLE.get() == "unset"
            VARIABLE.set(ctx.event["id"])
            await until(lambda: len(running) == 2)
            await asyncio.sleep(0.01)
            assert VARIABLE.get() == ctx.event["id"]
        """),
    )

    assert together(stage, run(stage, "sets"), run(stage, "sets")) == [["ok"]] * 2


def test_what_a_library_logs_in_a_task_is_that_of_the_plugin_whose_task_it_is(opened: CommandContext, recorder: Recorder) -> None:
    stage = opened(workers=1)
    for name in "ab":
        start(
            stage,
            f"""
            import logging
            @on("*", slots=2)
            async def callback(ctx):
                open(__file__ + ".{name}", "w").close()
                await until(lambda: all(os.path.exists(__file__[:-4] + each + ".py." + each) for each in "ab"))
                await asyncio.sleep(0.02)
                logging.getLogger("library").warning("from {name}")
                await in_thread(logging.getLogger("library").warning, "from a thread of {name}")
            """,
            name,
        )
    runs = [stage.run(name, "callback") for name in "ab"]

    assert together(stage, *runs) == [["ok"]] * 2

    for name in "ab":
        recorder.wait_for("plugin.record", plugin=name, count=2)
        told = [each.facts["record"]["message"] for each in recorder.named("plugin.record") if each.facts["plugin"] == name]
        assert told == [f"from {name}", f"from a thread of {name}"]


@pytest.mark.parametrize("slots", [1, 2], ids=["main thread", "shared loop"])
def test_a_task_that_is_left_behind_goes_on_and_harms_nobody(stage: Stage, slots: int, tmp_path: Path) -> None:
    pid = start(
        stage,
        f"""
        tasks = []

        @on("*", slots={slots})
        async def callback(ctx):
            for each in (leave(), stop(), write()):
                tasks.append(asyncio.ensure_future(each))
            await asyncio.sleep(0.05)

        async def leave(): raise SystemExit("of a task")
        async def stop(): asyncio.get_event_loop().stop()
        async def write():
            await asyncio.sleep(0.1)
            open({str(tmp_path / "written")!r}, "w").close()
            try: await asyncio.sleep(60)
            finally: open({str(tmp_path / "cancelled")!r}, "w").close()
        """,
    )

    first = said(stage.do(stage.run("plugin", "callback")))
    stage.until((tmp_path / "written").exists)  # nothing else is handed out meanwhile
    second = said(stage.do(stage.run("plugin", "callback")))
    stage.executor.unload(key("plugin"))
    stage.until((tmp_path / "cancelled").exists)

    assert first == second == ["ok"]
    assert processes(stage) == {pid}


def test_a_process_that_a_coroutine_forked_is_no_second_worker(stage: Stage) -> None:
    pid = start(
        stage,
        WIDE
        + textwrap.dedent("""
        async def forks(ctx):
            if os.fork() == 0:
                return
        """),
    )

    assert said(stage.do(run(stage, "forks"))) == ["ok"]
    assert said(stage.do(run(stage, "well"))) == ["ok"]
    assert processes(stage) == {pid}
    stage.until(lambda: all(child.status() == psutil.STATUS_ZOMBIE for child in psutil.Process(pid).children()))


def test_a_worker_without_coroutines_does_not_pay_for_them(stage: Stage) -> None:
    stage.start("plain", "import sys\n" + legacy('assert "asyncio" not in sys.modules'))

    assert said(stage.do(stage.run("plain", "callback"))) == ["ok"]
