"""What plugins do to their standard streams, descriptors and processes, and what comes of it: nothing but lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsheet.domain.delivery import Verdict
from callsheet.telemetry import Recorder
from tests.support.executor_bench import Stage, legacy


def lines(recorder: Recorder, plugin: str) -> list[str]:
    return [line for one in recorder.named("plugin.output", plugin=plugin) for line in one.facts["text"].split("\n")]


def test_what_is_printed_becomes_lines(stage: Stage, recorder: Recorder) -> None:
    stage.start(
        "printing",
        legacy(
            """
            import os, subprocess, sys
            print("from print")
            print("to stderr", file=sys.stderr)
            os.write(1, b"from a C library\\n")
            sys.stdout.flush()
            subprocess.run(["echo", "from a program"])
            print("\\u00e9\\ud800 without an end", end="")
            """
        ),
    )

    (report,) = stage.do(stage.run("printing", "callback"))
    stage.executor.close(5)

    assert report.verdict is Verdict.OK
    assert lines(recorder, "printing") == [
        "from print",
        "to stderr",
        "from a C library",
        "from a program",
        "\u00e9\\ud800 without an end",
    ]


@pytest.mark.parametrize(
    "mischief",
    [
        "import os; os.close(1)",
        "import os; os.close(0); os.close(1); os.close(2)",
        "import sys; sys.stdout = sys.stderr = sys.stdin = None",
        "import sys; sys.stdout.close(); sys.stderr.close()",
        "import sys, io; sys.stdout = io.StringIO(); print('lost')",
        "import logging; logging.getLogger().handlers.clear(); logger.error('lost')",
        "import os; os.chdir('/'); os.environ.clear()",
        "import sys; sys.path.clear(); sys.modules.pop('callsheet', None)",
    ],
)
def test_mischief_with_the_process_harms_no_delivery(stage: Stage, mischief: str) -> None:
    stage.start("mischief", legacy(mischief))

    first = stage.do(stage.run("mischief", "callback"))
    stage.start("mischief", legacy("pass"))
    second = stage.do(stage.run("mischief", "callback", "callback"))

    assert [one.verdict for one in first + second] == [Verdict.OK] * 3


def test_standard_input_is_empty(stage: Stage) -> None:
    stage.start("reading", legacy("import sys\nassert sys.stdin.read() == ''"))

    (report,) = stage.do(stage.run("reading", "callback"))

    assert report.verdict is Verdict.OK


def test_a_flood_of_output_holds_up_nothing_and_loses_nothing(stage: Stage, recorder: Recorder) -> None:
    stage.start("flooding", legacy("for n in range(20000): print(n, 'x' * 100)"))
    stage.start("quiet", legacy("pass"))

    flood = stage.run("flooding", "callback", "callback")
    stage.executor.submit([flood])
    (quiet,) = stage.do(stage.run("quiet", "callback"))
    reports = stage.finish(flood)
    stage.executor.close(5)

    assert quiet.verdict is Verdict.OK
    assert [one.verdict for one in reports] == [Verdict.OK, Verdict.OK]
    printed = lines(recorder, "flooding")
    assert len(printed) == 40000
    assert printed[-1] == f"19999 {'x' * 100}"


def test_a_line_without_an_end_comes_in_pieces(stage: Stage, recorder: Recorder) -> None:
    stage.start("endless", legacy("import sys\nfor _ in range(64): sys.stdout.write('x' * 1024)"))

    stage.do(stage.run("endless", "callback"))
    stage.executor.close(5)

    assert sum(len(one) for one in lines(recorder, "endless")) == 65536


def test_a_forked_child_speaks_not_for_the_worker(stage: Stage, recorder: Recorder) -> None:
    # One child leaves by itself, one comes back from the callback, and one logs: none may touch the protocol.
    stage.start(
        "forking",
        legacy(
            """
            import os, sys
            if os.fork() == 0:
                os._exit(0)
            if os.fork() == 0:
                logger.error("said by a child")
                return
            for _ in range(2):
                os.wait()
            """
        ),
    )

    reports = stage.do(stage.run("forking", "callback", "callback"))
    stage.executor.close(5)

    assert [one.verdict for one in reports] == [Verdict.OK, Verdict.OK]
    assert lines(recorder, "forking") == ["ERROR:plugin.forking.callback:said by a child"] * 2
    assert not recorder.named("worker.lost")


def test_multiprocessing_works_in_a_callback(stage: Stage) -> None:
    stage.write("sums", "def double(n): return 2 * n")
    stage.start(
        "pooling",
        legacy(
            """
            import multiprocessing, os, signal, sums
            child = os.fork()
            if child == 0:
                signal.pause()
            os.kill(child, signal.SIGTERM)  # as a pool ends its children
            assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM
            for method in ("fork", "spawn"):
                with multiprocessing.get_context(method).Pool(2) as pool:
                    assert pool.map(sums.double, [1, 2, 3]) == [2, 4, 6]
            """
        ),
    )

    (report,) = stage.do(stage.run("pooling", "callback"))

    assert report.verdict is Verdict.OK, report.failure


def test_a_program_left_behind_may_go_on_printing(stage: Stage, recorder: Recorder, tmp_path: Path) -> None:
    # shotgunEvents' plugins start viewers and servers; neither the end of the worker nor a closed pipe may end these.
    go = tmp_path / "go"
    stage.start(
        "starting", legacy(f"import subprocess\nsubprocess.Popen('until [ -e {go} ]; do sleep 0.01; done; echo later', shell=True)")
    )
    stage.do(stage.run("starting", "callback"))

    stage.load("starting")
    recorder.wait_for("worker.retired", plugin="starting")
    go.touch()

    recorder.wait_for("plugin.output", plugin="starting", text="later")


def test_threads_left_behind_hold_up_no_end(stage: Stage, recorder: Recorder) -> None:
    stage.start("threads", legacy("import threading\nthreading.Thread(target=threading.Event().wait, daemon=False).start()"))
    stage.do(stage.run("threads", "callback"))

    stage.executor.unload(stage.run("threads").plugin)

    recorder.wait_for("worker.retired", plugin="threads", timeout=5)


def test_exit_handlers_run_at_the_end(stage: Stage, recorder: Recorder) -> None:
    stage.start("tidy", "import atexit\natexit.register(print, 'put away')\n" + legacy("pass"))

    stage.executor.close(5)

    assert lines(recorder, "tidy") == ["put away"]
