"""The end of the executor: what comes after it, and workers that do not go."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from callsheet.domain.delivery import RunEnded, Verdict
from callsheet.domain.overview import STUCK
from callsheet.domain.toolkit_entities import Project
from callsheet.errors import ToolkitError
from callsheet.runtimes.session_spec import SessionSpec
from callsheet.telemetry import Recorder
from callsheet.workers.local_executor import LocalExecutor
from tests.support.executor_bench import SITE, Stage, key, legacy, setup
from tests.support.unkillable import unkillable


class SlowShare:
    """Finds no project's Toolkit, and takes until ``answer`` is set for it."""

    def __init__(self) -> None:
        self.asked, self.answer = threading.Event(), threading.Event()

    def find(self, site: str, project: int) -> SessionSpec:
        self._wait()
        raise ToolkitError("site", f"Toolkit of project {project}: none.", "Nothing.")

    def project(self, site: str, name: str) -> Project:
        self._wait()
        raise ToolkitError("site", f"There is no project {name}.", "Nothing.")

    def changed(self, site: str, opening: SessionSpec) -> str | None:
        return None

    def reconsidered(self, opening: SessionSpec, trouble: ToolkitError) -> ToolkitError:
        return trouble

    def _wait(self) -> None:
        self.asked.set()
        assert self.answer.wait(30)


def test_a_toolkit_search_that_ends_after_the_close_writes_into_nobodys_file(tmp_path: Path) -> None:
    # Given a search that hangs while the executor ends
    share = SlowShare()
    executor = LocalExecutor({SITE: setup()}, tmp_path / "state", finder=lambda _: share)
    executor.warm(SITE, 97)
    executor.warm(SITE, "moth")
    assert share.asked.wait(30)
    executor.close(0)
    searches = [one for one in threading.enumerate() if one.name == "callsheet-toolkit"]

    # When it ends once its descriptors' numbers belong to others
    with ExitStack() as stack:
        files = [stack.enter_context((tmp_path / f"file{number}").open("w")) for number in range(64)]
        share.answer.set()
        for search in searches:
            search.join(30)

        # Then nothing was written to them
        assert [file.name for file in files if Path(file.name).stat().st_size] == []


linux = pytest.mark.skipif(sys.platform != "linux", reason="uses ptrace")
HANGS_ONCE = """
import threading
from callsheet import on
@on("*", timeout=0.3)
def callback(ctx):
    if ctx.event["session_uuid"] == "hang": threading.Event().wait()
"""
HOWS = pytest.mark.parametrize("how", ["alive", "dead"])


@linux
@HOWS
def test_a_worker_that_outlives_its_kill_is_replaced_and_shown(stage: Stage, recorder: Recorder, how: str) -> None:
    manifest = stage.start("stuck", HANGS_ONCE)
    with unkillable(manifest.pid, how):
        # When a callback is past its timeout, and the kill does not end its worker
        (report,) = stage.do(stage.run("stuck", "callback", events={0: {"session_uuid": "hang"}}))

        # Then the delivery is settled, another worker takes its place, and the process is told
        assert report.verdict is Verdict.TIMEOUT
        assert recorder.wait_for("worker.stuck", plugin="stuck").facts["pid"] == manifest.pid
        stage.until(lambda: key("stuck") in stage.executor.free())
        assert stage.do(stage.run("stuck", "callback"))[0].verdict is Verdict.OK
        pids = {row.pid: row.state for row in stage.executor.workers()}
        assert pids.pop(manifest.pid) == STUCK
        assert not recorder.named("service.failed")
        assert list(pids.values()) == ["idle"]

    # And once it ends after all, nothing is left of it
    stage.until(lambda: manifest.pid not in {row.pid for row in stage.executor.workers()})
    assert not Path(f"/proc/{manifest.pid}").exists()


@linux
@HOWS
def test_a_worker_that_outlives_its_kill_does_not_keep_the_executor_from_ending(stage: Stage, recorder: Recorder, how: str) -> None:
    manifest = stage.start("stuck", legacy("import threading; threading.Event().wait()"))
    run = stage.run("stuck", "callback")
    stage.executor.submit([run])
    with unkillable(manifest.pid, how):
        began = time.monotonic()
        stage.executor.close(0.5)
        assert time.monotonic() - began < 15
        assert recorder.wait_for("worker.stuck", plugin="stuck").facts["pid"] == manifest.pid
        stage.wait(RunEnded, lambda one: one.run_id == run.id)
