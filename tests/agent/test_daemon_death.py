"""The daemon dies: its workers must not outlive it, whatever they do just then."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.test_worker_exits import lives

OWNER = r"""
import json, os, signal, sys, time
from pathlib import Path
from callsheet import telemetry
from callsheet.workers.local_executor import LocalExecutor
from callsheet.domain.plugin import Manifest
from tests.support.executor_bench import SITE, Stage, key, legacy, setup

folder = Path(sys.argv[1])
pids = []
telemetry.subscribe(lambda signal: pids.append(signal.facts["pid"]), "worker.started")
groups = {key("shared"): "film", key("beside"): "film"}
stage = Stage(folder / "plugins", LocalExecutor({SITE: setup()}, folder / "state", groups=groups))
busy = folder / "busy"
stage.start("idle", legacy("pass"))
stage.start("waiting", legacy(f"import threading; open({str(busy)!r}, 'w').close(); threading.Event().wait()"))
stage.executor.submit([stage.run("waiting", "callback")])
locked = folder / "locked"
stage.start("locked", legacy(f"import ctypes; open({str(locked)!r}, 'w').close(); ctypes.PyDLL(None).sleep(600)"))
stage.executor.submit([stage.run("locked", "callback")])
stage.start("shared", legacy("pass"))
stage.start("beside", f"import threading\nfrom callsheet import on\n@on('*', slots=2)\ndef callback(ctx):\n    "
    f"open({str(folder)!r} + '/slot%d' % ctx.event['id'], 'w').close(); threading.Event().wait()\n")
stage.executor.submit([stage.run("beside", "callback"), stage.run("beside", "callback")])
stopped = stage.start("stopped", legacy("pass"))
os.kill(stopped.pid, signal.SIGSTOP)
importing = folder / "importing"
stage.write("importing", f"import threading; open({str(importing)!r}, 'w').close(); threading.Event().wait()")
stage.executor.load(stage.file("importing", 99))
stage.until(lambda: busy.exists() and locked.exists() and importing.exists() and len(list(folder.glob("slot*"))) == 2)
print(json.dumps(pids), flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_when_the_daemon_is_killed(tmp_path: Path) -> None:
    # Given workers that are idle, in a callback, in a C function that keeps the interpreter's lock, at import, shared by plugins
    # and in threads, and stopped
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pids = json.loads(owner.stdout.readline())
    assert len(pids) == 6
    assert all(lives(pid) for pid in pids)

    # When
    owner.kill()
    owner.communicate()

    # Then
    gone: set[int] = set()
    for _ in range(3000):
        gone |= {pid for pid in pids if not lives(pid)}
        if len(gone) == len(pids):
            break
        subprocess.run(["sleep", "0.01"], check=True)
    assert gone == set(pids)
