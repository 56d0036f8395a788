"""Several plugins in one worker: what they share, and what stays each one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsheet.domain.delivery import Report, Verdict
from callsheet.domain.plugin import Manifest
from callsheet.telemetry import Recorder
from tests.agent.conftest import CommandContext
from tests.support.executor_bench import key, legacy

STATE = """
import os, sys
import shared_state
def registerCallbacks(reg):
    reg.registerCallback("script", "script-key", callback)
def callback(sg, logger, event, args):
    shared_state.seen.append("{name}")
    raise ValueError("%d %s" % (os.getpid(), ",".join(shared_state.seen)))
"""


def texts(*reports: Report) -> list[str]:
    return [one.failure.text for one in reports if one.failure]


def test_a_group_shares_its_modules_and_one_that_is_not_in_it_does_not(opened: CommandContext) -> None:
    stage = opened(groups={key("a"): "film", key("b"): "film"})
    stage.write("helpers/shared_state", "seen = []")
    for name in "abc":
        stage.write(name, f"import sys; sys.path.insert(0, {str(stage.folder / 'helpers')!r})\n" + STATE.format(name=name))
    pids = {name: stage.load(name).pid for name in "abc"}

    said = texts(*(report for name in "abc" for report in stage.do(stage.run(name, "callback"))))

    assert said == [f"{pids['a']} a", f"{pids['a']} a,b", f"{pids['c']} c"]
    assert pids["a"] == pids["b"] != pids["c"]


def test_plugins_share_workers_where_these_are_few_and_stay_where_they_are(opened: CommandContext) -> None:
    stage = opened(workers=2)
    pids = [stage.start(f"plugin_{number}", legacy("pass")).pid for number in range(6)]

    (idle,) = {pid for pid in pids if pids.count(pid) == 3} - {pids[0]}
    again = stage.load("plugin_0").pid

    assert sorted(pids.count(pid) for pid in set(pids)) == [3, 3]
    assert again not in pids
    assert idle in pids  # the others' worker was left alone
    assert [report.verdict for report in stage.do(stage.run("plugin_5", "callback"))] == [Verdict.OK]


def test_a_reload_of_one_brings_the_others_back(opened: CommandContext) -> None:
    stage = opened(workers=1)
    for name in "ab":
        stage.start(name, legacy("pass"))

    stage.load("a")
    stage.until(lambda: set(stage.executor.free()) == {key("a"), key("b")})

    assert [one.verdict for one in stage.do(stage.run("b", "callback"))] == [Verdict.OK]
    assert len([one for one in stage.heard if isinstance(one, Manifest) and one.plugin == key("b")]) == 1  # it reads the same


def test_a_broken_one_harms_no_other(opened: CommandContext) -> None:
    stage = opened(workers=1)
    stage.start("good", legacy("pass"))

    broken = stage.start("broken", "raise ValueError('no')")

    assert broken.problem is not None
    assert [one.verdict for one in stage.do(stage.run("good", "callback"))] == [Verdict.OK]


@pytest.mark.parametrize("body", ["import os; os._exit(3)", "while True: pass"], ids=["dies", "hangs"])
def test_one_that_takes_the_worker_down_at_import_is_set_apart(opened: CommandContext, body: str) -> None:
    stage = opened(workers=1, loading_time=1.0)
    stage.start("good", legacy("pass"))

    deadly = stage.start("deadly", body)
    stage.until(lambda: key("good") in stage.executor.free())
    reports = stage.do(stage.run("good", "callback"))

    assert deadly.problem is not None
    assert "The worker died while loading it" in deadly.problem
    assert [one.verdict for one in reports] == [Verdict.OK]


def test_one_that_takes_the_worker_down_again_and_again_is_set_apart_and_waits(opened: CommandContext, recorder: Recorder) -> None:
    stage = opened(workers=1)
    stage.start("good", legacy("pass"))
    stage.start("deadly", legacy("import os; os._exit(7)"))
    pids = set()

    for _ in range(5):
        stage.until(lambda: {key("good"), key("deadly")} <= set(stage.executor.free()))
        pids.add(recorder.named("worker.started")[-1].facts["pid"])
        stage.do(stage.run("deadly", "callback"))
    waiting = recorder.wait_for("worker.waiting")
    stage.until(lambda: key("good") in stage.executor.free())

    assert len(pids) == 5
    assert (waiting.facts["plugin"], waiting.facts["deaths"], waiting.facts["how"]) == ("deadly", 5, "ended with exit code 7")
    assert waiting.facts["retry_in"] >= 1
    for _ in range(3):
        assert [one.verdict for one in stage.do(stage.run("good", "callback"))] == [Verdict.OK]


def test_deliveries_that_ran_beside_each_other_at_a_death_run_alone_and_only_the_guilty_is_charged(
    opened: CommandContext, tmp_path: Path
) -> None:
    stage = opened(ahead=8)
    log = tmp_path / "log"
    stage.start(
        "wide",
        f"""
        import os, threading
        from callsheet import on
        meeting = threading.Barrier(3)
        def note(text):
            with open({str(log)!r}, "a") as file:
                file.write(text + "\\n")
        @on("*", lane="none", slots=3)
        def callback(ctx):
            kind, first = ctx.event["session_uuid"], not os.path.exists({str(log)!r} + ".met")
            if first:
                meeting.wait()
                if kind == "die":
                    open({str(log)!r} + ".met", "w").close()
                    os._exit(9)
                threading.Event().wait()
            note("begin " + kind)
            if kind == "die":
                os._exit(9)
            note("end " + kind)
        """,
    )
    runs = [stage.run("wide", "callback", events={0: {"session_uuid": kind}}) for kind in ("a", "die", "b")]
    stage.executor.submit(runs)

    uncharged = [stage.finish(run) for run in runs]
    verdicts = []
    for run in runs:  # as the dispatch does: they come again
        stage.until(lambda: key("wide") in stage.executor.free())
        again = stage.run("wide")
        again = type(again)(again.id, again.plugin, "", run.deliveries)
        verdicts += [(one.verdict, one.delivery_id) for one in stage.do(again)]

    assert uncharged == [[], [], []]
    ids = [run.deliveries[0].id for run in runs]
    assert verdicts == [(Verdict.OK, ids[0]), (Verdict.CRASHED, ids[1]), (Verdict.OK, ids[2])]


def test_suspects_run_one_by_one_though_they_are_submitted_together(opened: CommandContext, tmp_path: Path) -> None:
    stage = opened(ahead=8)
    met = tmp_path / "met"
    stage.start(
        "wide",
        f"""
        import os, threading, time
        from callsheet import on
        meeting = threading.Barrier(3)
        running = []
        @on("*", lane="none", slots=3)
        def callback(ctx):
            if not os.path.exists({str(met)!r}):
                meeting.wait()
                open({str(met)!r}, "w").close()
                os.abort()
            running.append(1)
            threading.Event().wait(0.05)
            alone = len(running) == 1
            running.pop()
            if not alone:
                raise ValueError("not alone")
        """,
    )
    runs = [stage.run("wide", "callback") for _ in range(3)]
    stage.executor.submit(runs)
    for run in runs:
        assert stage.finish(run) == []

    stage.until(lambda: key("wide") in stage.executor.free())
    again = [type(run)(run.id + 100, run.plugin, "", run.deliveries) for run in runs]
    stage.executor.submit(again)
    reports = [report for run in again for report in stage.finish(run)]

    assert [one.verdict for one in reports] == [Verdict.OK] * 3


def test_a_worker_that_grows_is_replaced_after_the_running_delivery(opened: CommandContext, recorder: Recorder) -> None:
    stage = opened(memory=80 * 2**20)
    first = stage.start(
        "growing",
        """
        kept = []
        def registerCallbacks(reg):
            reg.registerCallback("script", "script-key", callback)
        def callback(sg, logger, event, args):
            kept.append(bytearray(100 * 2**20))
        """,
    )

    reports = stage.do(stage.run("growing", "callback"))
    retired = recorder.wait_for("worker.retired", plugin="growing")
    stage.until(lambda: key("growing") in stage.executor.free())

    assert [one.verdict for one in reports] == [Verdict.OK]
    assert retired.facts["pid"] == first.pid
    assert "memory limit of 80 MB" in retired.facts["why"]


def test_a_delivery_that_fills_the_memory_is_stopped_and_to_blame(opened: CommandContext) -> None:
    stage = opened(memory=60 * 2**20)
    stage.start("filling", legacy("kept = bytearray(250 * 2**20)\nimport threading; threading.Event().wait()"))

    (report,) = stage.do(stage.run("filling", "callback", "callback"))

    assert report.verdict is Verdict.CRASHED
    assert report.failure is not None
    assert report.failure.kind == "OutOfMemory"
    assert "far above its limit of 60 MB" in report.failure.text


def test_past_its_deadline_a_failure_says_where_the_callback_hung(opened: CommandContext) -> None:
    stage = opened()
    stage.start(
        "hanging",
        """
        import threading
        from callsheet import on
        @on("*", timeout=0.5)
        def callback(ctx):
            wait_for_ever()
        def wait_for_ever():
            threading.Event().wait()
        """,
    )

    (report,) = stage.do(stage.run("hanging", "callback"))

    assert report.verdict is Verdict.TIMEOUT
    assert report.failure is not None
    assert "in wait_for_ever" in report.failure.traceback
    assert "hanging.py" in report.failure.traceback


def test_a_crash_in_a_library_says_where_it_was_called(opened: CommandContext) -> None:
    stage = opened()
    stage.start("deadly", legacy("import ctypes; ctypes.string_at(0)"))

    (report,) = stage.do(stage.run("deadly", "callback"))

    assert report.verdict is Verdict.CRASHED
    assert report.failure is not None
    assert "Segmentation fault" in report.failure.traceback
    assert "deadly.py" in report.failure.traceback


def test_what_each_says_is_its_own(opened: CommandContext, recorder: Recorder) -> None:
    stage = opened(workers=1)
    for name in "ab":
        stage.start(name, legacy(f'import logging; logging.getLogger("library").warning("from {name}"); print("print {name}")'))
        stage.do(stage.run(name, "callback"))

    for name in "ab":
        record = recorder.wait_for("plugin.record", plugin=name)
        assert record.facts["record"]["message"] == f"from {name}"
