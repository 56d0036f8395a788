"""What a worker says of callbacks in which the site did not answer, whatever they make of that themselves."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shotgun_api3

from callsheet.agent.failures import Secrets
from callsheet.agent.toolkit import hosting
from callsheet.agent.toolkit.diagnosis import ToolkitOpenError
from callsheet.domain.delivery import Report, Verdict
from callsheet.sandbox import Sandbox
from callsheet.settings import Secret
from callsheet.wire import transient
from callsheet.workers.local_executor import LocalExecutor
from tests.support.executor_bench import SITE, Stage, setup

PLUGIN = """
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from callsheet import on, GiveUp, Retry, Skip

URL = {url!r}

def write(sg):
    sg.update("Task", 301, {{"sg_description": "written"}})

@on("*")
def lets_it_out(ctx):
    write(ctx.sg)

@on("*")
def raises_from_it(ctx):
    try:
        write(ctx.sg)
    except Exception as error:
        raise RuntimeError("no luck") from error

@on("*")
def says_it_in_words(ctx):
    failures = []
    try:
        write(ctx.sg)
    except Exception as error:
        failures.append(str(error))
    if failures:
        raise RuntimeError(f"not written: {{failures}}")

@on("*")
def hides_it(ctx):
    try:
        write(ctx.sg)
    except Exception:
        raise LookupError("no such task") from None

@on("*")
def meets_it_in_a_thread(ctx):
    lost = []
    def work():
        try:
            write(ctx.sg)
        except Exception:
            lost.append(True)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not lost

@on("*")
def meets_it_in_a_pool(ctx):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: write(ctx.sg), range(2)))

@on("*")
def asks_to_be_called_again(ctx):
    try:
        write(ctx.sg)
    except Exception:
        raise Retry("not now", after=7)

@on("*", batch=3)
def settles_each(batch):
    for ctx in batch:
        try:
            write(ctx.sg)
        except Exception as error:
            ctx.fail(str(error))

@on("*")
def has_a_connection_of_its_own(ctx):
    import shotgun_api3
    write(shotgun_api3.Shotgun(URL, "own", "own-key", connect=False))

@on("*")
def has_a_copy_of_the_client(ctx):
    from studio.vendor import shotgun_api3
    assert shotgun_api3.Shotgun.__module__ == "studio.vendor.shotgun_api3.shotgun"
    write(shotgun_api3.Shotgun(URL, "own", "own-key", connect=False))

@on("*")
def has_a_copy_in_a_zip(ctx):
    import sys
    sys.path.insert(0, {archive!r})
    from zipped import shotgun_api3
    assert ".zip" in shotgun_api3.__file__
    write(shotgun_api3.Shotgun(URL, "own", "own-key", connect=False))

@on("*")
def makes_a_mistake(ctx):
    raise ValueError("mine")

@on("*")
def asks_another_server(ctx):
    socket.create_connection(("127.0.0.1", 9), timeout=5)

@on("*")
def is_refused_and_makes_a_mistake(ctx):
    try:
        ctx.sg.update("Task", 301, {{"no_such_field": 1}})
    except Exception:
        pass
    raise ValueError("mine")

@on("*")
def gives_up(ctx):
    try:
        write(ctx.sg)
    except Exception:
        raise GiveUp("enough")

@on("*")
def passes_over_it(ctx):
    try:
        write(ctx.sg)
    except Exception:
        raise Skip("not needed")
"""
OF_THE_SITE = (
    *("lets_it_out", "raises_from_it", "says_it_in_words", "hides_it", "meets_it_in_a_thread", "meets_it_in_a_pool"),
    *("settles_each", "has_a_connection_of_its_own", "has_a_copy_of_the_client", "has_a_copy_in_a_zip"),
)
"""Callbacks that fail since the site does not answer, and would end well if it did."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.add_script("own", "own-key")
        yield sandbox


@pytest.fixture(scope="module")
def stage(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A worker with that plugin, on a site that answers reads alone, with web pages to all else."""
    folder = tmp_path_factory.mktemp("transient")
    client = Path(shotgun_api3.__file__).parent
    for package in ("studio", "studio/vendor"):
        (folder / "plugins" / package).mkdir(parents=True)
        (folder / "plugins" / package / "__init__.py").touch()
    shutil.copytree(client, folder / "plugins" / "studio" / "vendor" / "shotgun_api3")
    with zipfile.ZipFile(folder / "vendor.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", "")
        for path in client.rglob("*.py"):
            archive.write(path, f"zipped/shotgun_api3/{path.relative_to(client)}")
    executor = LocalExecutor({SITE: setup(sandbox.url, script=sandbox.script, key=Secret(sandbox.key))}, folder / "state")
    stage = Stage(folder / "plugins", executor)
    assert stage.start("plugin", PLUGIN.format(url=sandbox.url, archive=str(folder / "vendor.zip"))).problem is None
    yield stage
    executor.close(0)


@pytest.fixture
def outage(sandbox: Sandbox) -> Iterator[None]:
    sandbox.faults.html(method="update")
    yield
    sandbox.faults.clear()


def call(stage: Stage, callback: str) -> Report:
    return stage.do(stage.run("plugin", callback))[0]


@pytest.mark.parametrize("callback", OF_THE_SITE)
def test_what_a_callback_makes_of_it_does_not_matter(stage: Stage, outage: None, callback: str) -> None:
    report = call(stage, callback)
    assert (report.verdict, report.passing, report.client) == (Verdict.FAILED, True, True), report.failure


@pytest.mark.parametrize("callback", OF_THE_SITE)
def test_once_the_site_answers_it_is_done(stage: Stage, callback: str) -> None:
    assert call(stage, callback).verdict is Verdict.OK


def test_a_wish_to_be_called_again_is_kept(stage: Stage, outage: None) -> None:
    report = call(stage, "asks_to_be_called_again")
    assert (report.verdict, report.after, report.passing) == (Verdict.RETRY, 7, True)


@pytest.mark.parametrize("callback", ["makes_a_mistake", "asks_another_server"])
def test_what_has_nothing_to_do_with_the_site_is_the_callbacks(stage: Stage, outage: None, callback: str) -> None:
    report = call(stage, callback)
    assert (report.verdict, report.passing, report.client) == (Verdict.FAILED, False, False)


def test_a_mistake_behind_a_refusal_is_the_callbacks_unless_the_daemon_knows_better(stage: Stage) -> None:
    report = call(stage, "is_refused_and_makes_a_mistake")
    assert (report.verdict, report.passing, report.client) == (Verdict.FAILED, False, True)


@pytest.mark.parametrize(("callback", "verdict"), [("gives_up", Verdict.GIVE_UP), ("passes_over_it", Verdict.SKIP)])
def test_what_a_callback_decides_is_decided(stage: Stage, outage: None, callback: str, verdict: Verdict) -> None:
    report = call(stage, callback)
    assert (report.verdict, report.passing) == (verdict, False)


@pytest.mark.parametrize("lost", [True, False])
def test_a_core_that_puts_it_into_words_of_its_own_is_opened_again(monkeypatch: pytest.MonkeyPatch, lost: bool) -> None:
    def open_toolkit(_told: object) -> None:
        transient.note(OSError("what the client said"), transient=lost)
        raise ToolkitOpenError("other", "The site has no such configuration.", "Name another one.")

    monkeypatch.setattr(hosting, "open_toolkit", open_toolkit)
    said: list[Any] = []
    assert hosting.open_session({"key": "key", "host": "http://studio", "proxy": None}, said.append, Secrets()) is None
    assert [one["passing"] for one in said] == [lost]


def test_nothing_behind_it_in_its_lane_is_begun(stage: Stage) -> None:
    # Given the last attempt of a callback whose lane would go on behind a failure of its own
    own = stage.do(stage.run("plugin", "makes_a_mistake", "makes_a_mistake", attempts=4))
    assert len(own) == 2
    # When it fails at something that the daemon may know to be the site's
    refused = stage.do(stage.run("plugin", "is_refused_and_makes_a_mistake", "makes_a_mistake", attempts=4))
    # Then the next one waits
    assert len(refused) == 1
