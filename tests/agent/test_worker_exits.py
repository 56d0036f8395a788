"""Workers that die, in every way that plugins have found."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from callsheet.domain.delivery import Report, Verdict
from callsheet.domain.plugin import Manifest
from callsheet.telemetry import Recorder
from callsheet.workers.local_executor import LocalExecutor
from tests.support.executor_bench import SITE, Stage, key, legacy, setup

RESTARTS = int(os.environ.get("CALLSHEET_RESTARTS", "100"))
DEATHS = {
    "kill": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed by signal 9 (SIGKILL)"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "was killed by signal 11 (SIGSEGV)"),
    "abort": ("import os; os.abort()", "was killed by signal 6 (SIGABRT)"),
    "exit": ("import os; os._exit(7)", "ended with exit code 7"),
    "quiet_exit": ("import os; os._exit(0)", "ended with exit code 0"),
}


def deadly(statement: str) -> str:
    """A plugin that dies at every event whose session says so."""
    return legacy(f'if event["session_uuid"] == "die":\n    {statement}')


@pytest.mark.parametrize("death", DEATHS)
def test_a_death_is_blamed_on_the_delivery_that_ran(stage: Stage, recorder: Recorder, death: str) -> None:
    statement, words = DEATHS[death]
    stage.start("deadly", deadly(statement))
    run = stage.run("deadly", "callback", "callback", "callback", events={1: {"session_uuid": "die"}})

    reports = stage.do(run)

    assert [one.verdict for one in reports] == [Verdict.OK, Verdict.CRASHED]  # the third was not begun, and comes back
    failure = reports[1].failure
    assert failure is not None
    assert failure.text == f"The worker {words} during this delivery. Look at the plugin's log for its last words."
    lost = recorder.wait_for("worker.lost", plugin="deadly")
    assert (lost.facts["how"], lost.facts["delivery_id"]) == (words, run.deliveries[1].id)


def test_after_a_death_the_plugin_is_free_again_by_itself(stage: Stage) -> None:
    stage.start("deadly", deadly("import os; os._exit(7)"))

    for _ in range(3):
        stage.do(stage.run("deadly", "callback", events={0: {"session_uuid": "die"}}))
        stage.until(lambda: key("deadly") in stage.executor.free())
    (report,) = stage.do(stage.run("deadly", "callback"))

    assert report.verdict is Verdict.OK
    assert len([one for one in stage.heard if isinstance(one, Manifest)]) == 1  # it reads the same, so it is not told again


def test_an_idle_worker_that_is_killed_is_replaced_and_nobody_blamed(stage: Stage, recorder: Recorder) -> None:
    manifest = stage.start("idle", legacy("pass"))

    os.kill(manifest.pid, signal.SIGKILL)

    lost = recorder.wait_for("worker.lost", plugin="idle")
    assert lost.facts["delivery_id"] is None
    recorder.wait_for("worker.started", plugin="idle", count=2)
    stage.until(lambda: key("idle") in stage.executor.free())
    assert not [one for one in stage.heard if isinstance(one, Report)]


def test_a_restart_that_reads_differently_is_told(stage: Stage, recorder: Recorder) -> None:
    manifest = stage.start("edited", legacy("pass"))
    stage.write("edited", legacy("pass", name="renamed"))

    os.kill(manifest.pid, signal.SIGKILL)

    again = stage.wait(Manifest)
    assert [one.key.name for one in again.callbacks] == ["renamed"]


def test_dying_at_import_is_told_and_tried_again(stage: Stage, recorder: Recorder, tmp_path: Path) -> None:
    fixed = tmp_path / "fixed"
    text = f"import os\nif not os.path.exists({str(fixed)!r}): os.kill(os.getpid(), 9)\n" + legacy("pass")

    manifest = stage.start("deadly", text)

    assert manifest.problem is not None
    assert "The worker died while loading it: was killed by signal 9 (SIGKILL)." in manifest.problem
    assert (manifest.where, manifest.logger) == ("import", "plugin.deadly")
    assert key("deadly") not in stage.executor.free()
    fixed.touch()
    assert stage.wait(Manifest).problem is None


def test_an_import_that_never_ends_is_ended(tmp_path: Path) -> None:
    executor = LocalExecutor({SITE: setup()}, tmp_path / "state", loading_time=0.5)
    try:
        manifest = Stage(tmp_path / "plugins", executor).start("endless", "import threading; threading.Event().wait()")
    finally:
        executor.close(0)

    assert manifest.problem is not None
    assert "loading took longer than 0.5 s" in manifest.problem


def test_no_interpreter_is_told(tmp_path: Path) -> None:
    executor = LocalExecutor({SITE: setup(python="/nowhere/python3")}, tmp_path / "state")
    try:
        manifest = Stage(tmp_path / "plugins", executor).start("simple", legacy("pass"))
    finally:
        executor.close(0)

    assert manifest.where == "describe"
    assert manifest.problem is not None
    assert "with /nowhere/python3: " in manifest.problem


def test_a_site_that_does_not_answer_while_loading_breaks_no_plugin_for_good(stage: Stage, tmp_path: Path) -> None:
    up = tmp_path / "up"
    manifest = stage.start(
        "asking",
        f"""
        import os
        def registerCallbacks(reg):
            if not os.path.exists({str(up)!r}):
                raise ConnectionRefusedError(111, "Connection refused")
        """,
    )
    assert manifest.where == "register"

    up.touch()

    assert stage.wait(Manifest).problem is None


def test_a_callback_past_its_timeout_is_killed_and_blamed(stage: Stage, recorder: Recorder) -> None:
    manifest = stage.start(
        "slow",
        """
        import threading
        from callsheet import on

        @on("*", timeout=0.3)
        def callback(ctx):
            if ctx.event["session_uuid"] == "hang":
                threading.Event().wait()
        """,
    )
    run = stage.run("slow", "callback", "callback", "callback", events={1: {"session_uuid": "hang"}})

    reports = stage.do(run)

    assert [one.verdict for one in reports] == [Verdict.OK, Verdict.TIMEOUT]
    assert reports[1].ended - reports[1].started >= 0.3
    lost = recorder.wait_for("worker.lost", plugin="slow", pid=manifest.pid)
    assert lost.facts["delivery_id"] == run.deliveries[1].id
    stage.until(lambda: key("slow") in stage.executor.free())


def test_a_timeout_kills_what_the_callback_started_too(stage: Stage, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    stage.start(
        "slow",
        f"""
        import pathlib, subprocess
        from callsheet import on

        @on("*", timeout=1)
        def callback(ctx):
            child = subprocess.Popen(["sleep", "600"])
            pathlib.Path({str(pid_file)!r}).write_text(str(child.pid))
            child.wait()
        """,
    )

    stage.do(stage.run("slow", "callback"))

    stage.until(lambda: not lives(int(pid_file.read_text())))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_meant_for_the_daemon_do_not_end_a_worker(stage: Stage, number: signal.Signals) -> None:
    stage.start(
        "signalled",
        legacy(f"import os, subprocess\nos.kill(os.getpid(), {int(number)})\nprint(subprocess.check_output(['echo', 'sane']))"),
    )

    (report,) = stage.do(stage.run("signalled", "callback"))

    assert report.verdict is Verdict.OK


@pytest.mark.timeout(0 if RESTARTS > 1_000 else 120)
def test_restarts_leave_nothing_behind(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred of them; the suite's share of the 10,000 that CALLSHEET_RESTARTS=10000 makes."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))  # this process's
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))  # the workers'
    stage.start("deadly", deadly("import os; os._exit(7)"))
    stage.until(lambda: key("deadly") in stage.executor.free())
    before = left_behind(tmp_path)
    began, size = time.monotonic(), psutil.Process().memory_info().rss

    for number in range(RESTARTS):
        if number % 5:
            stage.do(stage.run("deadly", "callback", "callback", events={1: {"session_uuid": "die"}}))
        else:
            stage.load("deadly")
        stage.until(lambda: key("deadly") in stage.executor.free())
        stage.forget()

    stage.until(lambda: not any(more > before[what] for what, more in left_behind(tmp_path).items()))
    grown = (psutil.Process().memory_info().rss - size) / 2**20
    assert grown < 32, f"{grown:.1f} MB more than before"
    took = time.monotonic() - began
    print(f"{RESTARTS:,} restarts in {took:.0f} s left nothing: {before}; memory {size / 2**20:.1f} {grown:+.1f} MB")  # noqa: T201


def left_behind(folder: Path) -> dict[str, int]:
    """What a restart might leave: descriptors, children (zombies count), threads, files in the state and temporary folders."""
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "children": sum(len(path.read_text().split()) for path in Path("/proc/self/task").glob("*/children")),
        "threads": threading.active_count(),
        "files": sum(len(list((folder / name).iterdir())) for name in ("state", "temporary")),
    }


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
