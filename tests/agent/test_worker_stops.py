"""Reloading, unloading and closing while a callback runs."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from callsheet.domain.delivery import RunEnded, Verdict
from callsheet.telemetry import Recorder
from tests.support.executor_bench import Stage, key, legacy


def held(begun: Path, go: Path) -> str:
    """A callback that says that it began, and ends when it may."""
    return legacy(
        f"""
        import os, time
        open({str(begun)!r}, "w").close()
        while not os.path.exists({str(go)!r}): time.sleep(0.005)
        """
    )


def test_a_reload_lets_the_running_delivery_finish_and_gives_back_the_rest(
    stage: Stage, recorder: Recorder, tmp_path: Path
) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    stage.start("busy", held(begun, go))
    run, queued = stage.run("busy", "callback", "callback"), stage.run("busy", "callback")
    stage.executor.submit([run, queued])
    stage.until(begun.exists)

    stage.start("busy", legacy('raise ValueError("new")'))
    (new,) = stage.do(stage.run("busy", "callback"))
    go.touch()

    assert new.verdict is Verdict.FAILED
    (old,) = stage.finish(run)
    assert (old.delivery_id, old.verdict) == (run.deliveries[0].id, Verdict.OK)
    assert stage.finish(queued) == []
    recorder.wait_for("worker.retired", plugin="busy")
    assert not recorder.named("worker.lost")


def test_close_waits_for_the_running_delivery(stage: Stage, recorder: Recorder, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    stage.start("busy", held(begun, go))
    run = stage.run("busy", "callback", "callback")
    stage.executor.submit([run])
    stage.until(begun.exists)

    closing = threading.Thread(target=stage.executor.close, args=(30,))
    closing.start()
    stage.until(lambda: key("busy") not in stage.executor.free())
    go.touch()
    closing.join()

    (report,) = stage.finish(run)
    assert report.verdict is Verdict.OK
    assert len(recorder.named("worker.retired", plugin="busy")) == 1


def test_close_ends_what_goes_on_for_longer_and_blames_nobody(stage: Stage, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    stage.start("busy", held(begun, tmp_path / "never"))
    run = stage.run("busy", "callback")
    stage.executor.submit([run])
    stage.until(begun.exists)

    stage.executor.close(0.2)

    assert stage.finish(run) == []
    assert stage.executor.collect(0) == []


def test_a_worker_that_dies_while_it_is_being_replaced_is_blamed(stage: Stage, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    stage.start("busy", held(begun, go) + "    os._exit(3)\n")
    run = stage.run("busy", "callback")
    stage.executor.submit([run])
    stage.until(begun.exists)

    stage.start("busy", legacy("pass"))
    go.touch()

    (report,) = stage.finish(run)
    assert report.verdict is Verdict.CRASHED


def test_a_large_run_is_handed_out_without_waiting_for_the_worker(stage: Stage) -> None:
    # More than any pipe holds, to a worker whose interpreter is locked by a C function.
    stage.start("locked", legacy("import ctypes\nctypes.PyDLL(None).usleep(300000)\nassert len(event['meta']['text']) == 10**6"))
    large = {"meta": {"text": "x" * 10**6}}
    run, queued = (stage.run("locked", "callback", "callback", events={0: large, 1: large}) for _ in range(2))

    began = time.monotonic()
    stage.executor.submit([run, queued])
    handed_out = time.monotonic() - began

    assert [one.verdict for each in (run, queued) for one in stage.finish(each)] == [Verdict.OK] * 4
    assert handed_out < 0.3


def test_helper_modules_are_reloaded_too(stage: Stage) -> None:
    stage.write("helper", "WORD = 'old'")
    plugin = legacy("import helper\nraise ValueError(helper.WORD)")
    stage.start("helped", plugin)
    (old,) = stage.do(stage.run("helped", "callback"))
    stage.write("helper", "WORD = 'brand new'")

    stage.start("helped", plugin)
    (new,) = stage.do(stage.run("helped", "callback"))

    assert [one.failure.text for one in (old, new) if one.failure] == ["old", "brand new"]


def test_lanes_of_a_callback_with_slots_run_at_once(stage: Stage) -> None:
    stage.start(
        "threads",
        """
        import threading
        from callsheet import on
        together = threading.Barrier(3)

        @on("*", slots=3)
        def meet(ctx): together.wait(30)

        @on("*")
        def alone(ctx): pass
        """,
    )
    assert stage.executor.free()[key("threads")] == 4
    runs = [stage.run("threads", "meet", "alone") for _ in range(3)]

    stage.executor.submit(runs)

    assert [one.verdict for run in runs for one in stage.finish(run)] == [Verdict.OK] * 6
    assert len([one for one in stage.heard if isinstance(one, RunEnded)]) == 3
