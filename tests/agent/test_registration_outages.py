"""Plugins that ask their site for something while they are loaded, and what becomes of them if it does not answer then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from callsheet.domain.plugin import Manifest
from callsheet.sandbox import Sandbox
from callsheet.sandbox.faults import Fault
from callsheet.wire.frames import SITE_FAILED
from callsheet.workers.local_executor import LocalExecutor
from tests.support.executor_bench import SITE, Stage, key, setup

ASKS = 'sg.find_one("Project", [])'
CONNECTS = "import shotgun_api3\nsg = shotgun_api3.Shotgun({url!r}, {script!r}, {key!r}{more})\n"
REGISTERS = 'reg.registerCallback("script", "key", print_it, None, None)'
Make = Callable[[Sandbox], str]
CALLBACK = "\ndef print_it(sg, logger, event, args): pass\n"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def stage(tmp_path: Path, sandbox: Sandbox) -> Iterator[Stage]:
    executor = LocalExecutor({SITE: setup(sandbox.url, script=sandbox.script)}, tmp_path / "state")
    yield Stage(tmp_path / "plugins", executor)
    executor.close(0)


def connected(sandbox: Sandbox, *, connect: bool = True) -> str:
    more = "" if connect else ", connect=False"
    return CONNECTS.format(url=sandbox.url, script=sandbox.script, key=sandbox.key, more=more)


def indented(text: str, by: int = 4) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in text.splitlines())


def legacy(body: str) -> str:
    return f"def registerCallbacks(reg):\n{indented(body)}{CALLBACK}"


def catches(sandbox: Sandbox) -> str:
    """As the official examples do."""
    asks = f"try:\n    {ASKS}\nexcept Exception as error:\n    reg.logger.warning(error)\n    return\n"
    return legacy(connected(sandbox) + asks + REGISTERS)


def connects(sandbox: Sandbox) -> str:
    """Has no connection, which is made in the constructor."""
    asks = f"try:\n{indented(connected(sandbox))}except Exception:\n    return\n{REGISTERS}"
    return legacy(asks)


def registers_less(sandbox: Sandbox) -> str:
    asks = f"{connected(sandbox, connect=False)}{REGISTERS}\ntry:\n    {ASKS}\nexcept Exception:\n    return\n"
    return legacy(asks + 'reg.registerCallback("script", "key", print_it, {"Shotgun_Shot_New": None}, None)')


def asks_in_a_thread(sandbox: Sandbox) -> str:
    asks = f"""{connected(sandbox, connect=False)}import threading
found = []
def look():
    try:
        found.append({ASKS})
    except Exception:
        pass
thread = threading.Thread(target=look)
thread.start()
thread.join()
if found:
    {REGISTERS}
"""
    return legacy(asks)


def says_it_in_its_own_words(sandbox: Sandbox) -> str:
    asks = f"{connected(sandbox, connect=False)}try:\n    {ASKS}\nexcept Exception:\n    raise ValueError('no site') from None\n"
    return legacy(asks + REGISTERS)


def raises(sandbox: Sandbox) -> str:
    return legacy(f"{connected(sandbox, connect=False)}{ASKS}\n{REGISTERS}")


def asks_at_import(sandbox: Sandbox) -> str:
    asks = f"try:\n    {ASKS}\n    types = ['Shotgun_Task_Change']\nexcept Exception:\n    types = []\n"
    rule = "from callsheet import on\nif types:\n    @on(*types)\n    def react(ctx): pass\n"
    return f"{connected(sandbox, connect=False)}{asks}{rule}def registerCallbacks(reg): pass\n"


def asks_by_a_subclass(sandbox: Sandbox) -> str:
    made = connected(sandbox, connect=False).replace("shotgun_api3.Shotgun(", "Studio(")
    head = "import shotgun_api3\nclass Studio(shotgun_api3.Shotgun):\n    pass\n"
    return head + legacy(f"{made}try:\n    {ASKS}\nexcept Exception:\n    return\n{REGISTERS}")


PLUGINS = (
    *(catches, connects, registers_less, asks_in_a_thread, says_it_in_its_own_words),
    *(raises, asks_at_import, asks_by_a_subclass),
)


FAULTS = {"503": {"kind": "status"}, "html": {"kind": "html"}, "drop": {"kind": "drop"}}


@pytest.mark.parametrize(
    ("plugin", "kind"),
    [*((one, "503") for one in PLUGINS), (catches, "html"), (registers_less, "drop")],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_a_plugin_that_met_an_outage_is_loaded_again_by_itself(plugin: Make, kind: str, sandbox: Sandbox, stage: Stage) -> None:
    # Given a plugin that registers something if its site answers
    stage.write("plugin", plugin(sandbox))
    expected = stage.load("plugin")
    assert expected.problem is None
    assert expected.callbacks

    # When the site does not answer while it is loaded, though the plugin catches that
    sandbox.faults.add(Fault.of({**FAULTS[kind], "method": "info" if plugin is connects else "read"}))
    lost = stage.load("plugin")

    # Then it is of no use, and loaded again until it has registered all
    assert lost.problem is not None
    assert lost.passing
    assert lost.site_failed is (plugin not in (raises, says_it_in_its_own_words))
    assert lost.problem.startswith(SITE_FAILED) is lost.site_failed
    sandbox.faults.clear()
    found = ready(stage)
    assert [one.key for one in found.callbacks] == [one.key for one in expected.callbacks]


def ready(stage: Stage) -> Manifest:
    return stage.wait(Manifest, lambda one: one.plugin == key("plugin") and one.problem is None)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("for _ in range(3):\n    try:\n        {asks}\n        break\n    except Exception:\n        pass\n{registers}", "status"),
        ("try:\n    sg.find_one('NoSuch', [])\nexcept Exception:\n    pass\n{registers}", ""),
        ("try:\n    sg.find_one('NoSuch', [])\nexcept Exception:\n    pass\n", ""),
        ("{registers}\ntry:\n    open('/nowhere')\nexcept OSError:\n    pass", ""),
        (
            "import urllib.request\ntry:\n    urllib.request.urlopen('http://127.0.0.1:9')\nexcept OSError:\n    pass\n{registers}",
            "",
        ),
    ],
    ids=["asks again", "the site says no", "and registers nothing", "no site", "another server"],
)
def test_a_plugin_that_lacks_nothing_of_the_site_is_loaded_once(body: str, fault: str, sandbox: Sandbox, stage: Stage) -> None:
    if fault:
        sandbox.faults.status(503, count=2)
    body = body.format(asks=ASKS, registers=REGISTERS)
    assert stage.start("plugin", legacy(connected(sandbox, connect=False) + body)).problem is None


def test_a_plugin_that_the_site_does_not_know_and_that_registers_nothing_is_loaded_again(sandbox: Sandbox, stage: Stage) -> None:
    text = catches(sandbox).replace(sandbox.key, "a key that is refused")
    manifest = stage.start("plugin", text)
    assert manifest.site_failed
    assert "AuthenticationFault" in (manifest.problem or "")
    assert stage.start("plugin", text.replace("    return\n", "    pass\n")).problem is None


def test_what_it_registers_is_told_and_can_be_taken_as_it_is(sandbox: Sandbox, stage: Stage) -> None:
    sandbox.faults.status(503, method="read")
    stage.write("plugin", registers_less(sandbox))
    lost = stage.load("plugin")
    assert [one.key.name for one in lost.callbacks] == ["print_it"]
    assert lost.problem is not None
    assert lost.problem.partition("\n\n")[2].startswith("read: ProtocolError: ")

    stage.executor.load(replace(stage.file("plugin", 7), as_is=True))
    found = stage.wait(Manifest, lambda one: one.generation == 7)
    assert (found.problem, [one.key.name for one in found.callbacks]) == (None, ["print_it"])


def test_each_load_in_vain_is_told_and_comes_later_than_the_one_before(sandbox: Sandbox, stage: Stage) -> None:
    sandbox.faults.status(503, method="read")
    stage.start("plugin", catches(sandbox))
    for _ in range(3):
        assert stage.wait(Manifest).site_failed
    stage.until(lambda: [(row.state, row.plugins) for row in stage.executor.workers()] == [("backing off", ("plugin",))])
    sandbox.faults.clear()
    assert ready(stage).callbacks


BUSY = """
import builtins, threading
from callsheet import on
builtins.failed, builtins.done = [], threading.Event()
@on("*", slots=3)
def ask(ctx):
    while not builtins.done.is_set():
        try:
            sg.find_one("Project", [])
        except Exception as error:
            builtins.failed.append(error)
"""
QUIET = """
import builtins, time
from callsheet import on
while len(builtins.failed) < 3:
    time.sleep(0.01)
builtins.done.set()
@on("*")
def react(ctx): pass
"""


def test_what_fails_in_a_plugin_that_shares_the_worker_is_no_trouble_of_its_own(tmp_path: Path, sandbox: Sandbox) -> None:
    executor = LocalExecutor({SITE: setup(sandbox.url, script=sandbox.script)}, tmp_path / "state", workers=1)
    stage = Stage(tmp_path / "plugins", executor)
    try:
        # Given a plugin that asks its site again and again in a thread of its own, and gets no answer
        stage.start("busy", connected(sandbox, connect=False) + BUSY)
        sandbox.faults.status(503)
        run = stage.run("busy", "ask")
        executor.submit([run])
        # When another one is loaded in the same worker meanwhile, then that is not its outage
        assert stage.start("quiet", QUIET).problem is None
        stage.finish(run)
    finally:
        executor.close(0)
