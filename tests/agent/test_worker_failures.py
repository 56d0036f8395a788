"""What one plugin's trouble means for those that share its worker, and for the worker that comes next."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from callsheet.domain.delivery import Report, Run, Verdict
from callsheet.domain.plugin import Manifest
from callsheet.telemetry import Recorder
from callsheet.workers import slot
from callsheet.workers.local_executor import LocalExecutor
from tests.agent.conftest import CommandContext
from tests.support.executor_bench import SITE, Stage, key, legacy, setup

PATIENCE = 5.0
"""Seconds in which any plugin is loaded, also on a machine that has much else to do."""
DEADLY = legacy("import os; os._exit(7)")


def wait_free(stage: Stage, *names: str) -> None:
    stage.until(lambda: {key(name) for name in names} <= set(stage.executor.free()))


def verdicts(stage: Stage, name: str, *callbacks: str) -> list[Verdict]:
    return [one.verdict for one in stage.do(stage.run(name, *(callbacks or ("callback",))))]


def test_work_of_those_that_share_a_worker_does_not_clear_the_one_that_takes_it_down(
    opened: CommandContext, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot, "FIRST_WAIT", 600.0)
    monkeypatch.setattr(slot, "LONGEST_WAIT", 600.0)
    # Given two that share a worker, one of which dies at every event while the other goes on
    stage = opened(workers=1)
    stage.start("good", legacy("pass"))
    stage.start("deadly", DEADLY)
    for _ in range(5):
        wait_free(stage, "good", "deadly")
        assert verdicts(stage, "good") == [Verdict.OK]
        assert verdicts(stage, "deadly") == [Verdict.CRASHED]

    # Then it is set apart, waits, and is offered no runs meanwhile
    waiting = recorder.wait_for("worker.waiting", plugin="deadly")
    assert waiting.facts["deaths"] == 5
    wait_free(stage, "good")
    assert key("deadly") not in stage.executor.free()
    assert verdicts(stage, "good") == [Verdict.OK]
    (row,) = [one for one in stage.executor.workers() if one.plugins == ("deadly",)]
    assert (row.state, row.restarts, row.problem) == ("backing off", 5, "ended with exit code 7")

    # When its file is fixed, then it is back at once, where it was
    assert stage.start("deadly", legacy("pass")).problem is None
    wait_free(stage, "good", "deadly")
    assert [one.plugins for one in stage.executor.workers() if one.state == "idle"] == [("good", "deadly")]
    assert verdicts(stage, "deadly") == [Verdict.OK]


def test_one_that_is_too_slow_again_and_again_is_set_apart_and_does_not_wait(opened: CommandContext) -> None:
    stage = opened(workers=1)
    stage.start("good", legacy("pass"))
    stage.start("slow", "from callsheet import on\n@on('*', timeout=1)\ndef callback(ctx):\n    while True: pass\n")
    for _ in range(5):
        wait_free(stage, "good", "slow")
        assert verdicts(stage, "slow") == [Verdict.TIMEOUT]

    wait_free(stage, "good", "slow")

    assert sorted(one.plugins for one in stage.executor.workers() if one.pid) == [("good",), ("slow",)]


def test_pauses_are_forgotten_once_a_delivery_comes_to_its_end(opened: CommandContext, recorder: Recorder) -> None:
    stage = opened()
    stage.start("deadly", legacy("import os\nif event['session_uuid'] == 'die': os._exit(7)"))

    def die() -> None:
        wait_free(stage, "deadly")
        stage.do(stage.run("deadly", "callback", events={0: {"session_uuid": "die"}}))

    for _ in range(5):
        die()
    recorder.wait_for("worker.waiting", plugin="deadly")
    wait_free(stage, "deadly")
    assert verdicts(stage, "deadly") == [Verdict.OK]
    for _ in range(4):
        die()

    wait_free(stage, "deadly")
    assert len(recorder.named("worker.waiting")) == 1


def test_a_plugin_that_comes_to_a_busy_worker_is_not_late_before_it_is_loaded(opened: CommandContext, tmp_path: Path) -> None:
    # Given a worker whose main thread is busy for longer than loading may take
    stage = opened(workers=1, loading_time=PATIENCE)
    begun, go = tmp_path / "begun", tmp_path / "go"
    body = f"""
        import os, time
        open({str(begun)!r}, "w").close()
        while not os.path.exists({str(go)!r}): time.sleep(0.01)
        """
    stage.start("busy", legacy(body))
    run = stage.run("busy", "callback")
    stage.executor.submit([run])
    stage.until(begun.exists)

    # When another plugin comes, waits, and then is loaded
    stage.write("next", legacy("pass"))
    stage.executor.load(stage.file("next", 9))
    late = time.monotonic() + PATIENCE + 1
    stage.until(lambda: time.monotonic() > late)
    go.touch()

    # Then neither is to blame
    assert stage.wait(Manifest, lambda one: one.plugin == key("next")).problem is None
    assert [one.verdict for one in stage.finish(run)] == [Verdict.OK]


WIDE = """
import threading
from callsheet import on
@on("*", slots=2)
def callback(ctx): threading.Event().wait()
"""


def test_an_import_that_never_ends_is_ended_though_threads_beside_it_are_at_work(opened: CommandContext) -> None:
    stage = opened(workers=1, loading_time=PATIENCE)
    stage.start("wide", WIDE)
    run = stage.run("wide", "callback")
    stage.executor.submit([run])
    stage.until(lambda: bool([one for one in stage.executor.workers() if one.state == "busy"]))

    stage.write("endless", "while True: pass")
    stage.executor.load(stage.file("endless", 9))

    manifest = stage.wait(Manifest, lambda one: one.plugin == key("endless"))
    assert "loading took longer than 5 s" in str(manifest.problem)
    assert stage.finish(run) == []  # uncharged
    wait_free(stage, "wide")


@pytest.mark.parametrize(
    "mischief",
    ["import os; os.closerange(3, 256)", "import os\nfor n in range(3, 64):\n    try: os.close(n)\n    except OSError: pass"],
)
def test_closing_the_pipes_is_blamed_on_the_delivery_and_said(opened: CommandContext, mischief: str) -> None:
    stage = opened()
    stage.start("closing", legacy(mischief + "\nimport threading; threading.Event().wait()"))

    (report,) = stage.do(stage.run("closing", "callback"))

    assert report.verdict is Verdict.CRASHED
    assert report.failure is not None
    assert "closed the pipe to the daemon" in report.failure.text


def test_a_worker_that_begins_nothing_is_replaced_and_nobody_blamed(opened: CommandContext, recorder: Recorder) -> None:
    # As after a SIGSTOP, or with a thread of an extension that keeps the interpreter's lock.
    stage = opened(loading_time=PATIENCE)
    manifest = stage.start("stopped", legacy("pass"))
    os.kill(manifest.pid, signal.SIGSTOP)

    assert stage.do(stage.run("stopped", "callback")) == []

    lost = recorder.wait_for("worker.lost", pid=manifest.pid)
    assert "it began nothing of what it was given for 5 s" in lost.facts["how"]
    wait_free(stage, "stopped")
    assert verdicts(stage, "stopped") == [Verdict.OK]


HANGING = """
import re, threading
from callsheet import on
beside = threading.Event()
@on("*", lane="none", slots=2, timeout=1)
def hanging(ctx):
    beside.wait()
    {body}
@on("*", lane="none", slots=2)
def innocent(ctx):
    beside.set()
    if ctx.attempt == 1 and ctx.event["session_uuid"] == "wait": threading.Event().wait()
"""


@pytest.mark.parametrize(
    "body", ["threading.Event().wait()", "re.match('(a+)+$', 'a' * 99 + 'b')"], ids=["waits", "holds the lock"]
)
def test_past_a_deadline_those_beside_it_run_again_uncharged(opened: CommandContext, body: str) -> None:
    stage = opened(ahead=4)
    stage.start("wide", HANGING.format(body=body))
    hanging, beside = stage.run("wide", "hanging"), stage.run("wide", "innocent", events={0: {"session_uuid": "wait"}})
    stage.executor.submit([hanging, beside])

    (late,) = stage.finish(hanging)
    assert late.verdict is Verdict.TIMEOUT
    assert late.failure is not None
    assert "in hanging" in late.failure.traceback
    assert stage.finish(beside) == []
    wait_free(stage, "wide")
    again = Run(
        beside.id + 100,
        beside.plugin,
        "",
        tuple(type(one)(one.id, one.callback, one.event_id, one.payload.replace("wait", "")) for one in beside.deliveries),
    )
    assert [one.verdict for one in stage.do(again)] == [Verdict.OK]


def test_a_legacy_callback_past_its_deadline_says_where_it_was(tmp_path: Path) -> None:
    executor = LocalExecutor({SITE: setup(deadline=0.5)}, tmp_path / "state")
    stage = Stage(tmp_path / "plugins", executor)
    try:
        stage.start("slow", legacy("import threading; threading.Event().wait()"))
        (report,) = stage.do(stage.run("slow", "callback"))
    finally:
        executor.close(0)

    assert isinstance(report, Report)
    assert (report.verdict, "in callback" in (report.failure.traceback if report.failure else "")) == (Verdict.TIMEOUT, True)
