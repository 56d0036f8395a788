"""Has distributed configurations prepared: a process each time, one at a time for each configuration, with an end to its time.

Whatever a starter core does to the process that it is loaded in, that process is gone afterwards.
"""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from callsheet.runtimes import config_errors
from callsheet.runtimes.runtime import Runtime
from callsheet.wire import frames

_START = "import sys; sys.path.insert(0, sys.argv[1]); from callsheet.agent.toolkit.prepare_config import main; main()"
_SHOWN = 2000


@dataclass(frozen=True, slots=True)
class Preparer:
    """What all prepares of a site have in common. ``archive``: the agent's. ``locks``: a folder of lock files."""

    archive: Path
    locks: Path
    host: str
    script: str
    key: str = field(repr=False)
    proxy: str | None = None
    timeout: float = 60.0
    """Seconds after which a silent socket gives up."""
    patience: float = 900.0
    """Seconds after which a prepare is killed: it may have to download a lot."""

    def prepare(self, runtime: Runtime, *, home: str, environ: Mapping[str, str]) -> Runtime:
        """The runtime, its configuration brought into ``home``, a SHOTGUN_HOME that no other process uses meanwhile.

        ``environ``: all of the process's environment, see ``agent.toolkit.environment``. Waits for others that prepare the same
        configuration. Raises ToolkitError.
        """
        with self._alone(runtime.key):
            return runtime.prepared(self._ask(runtime, home, environ, {}))

    def descriptor(self, runtime: Runtime, *, home: str, environ: Mapping[str, str]) -> Mapping[str, Any]:
        """What the configuration would be prepared from now. Raises ToolkitError."""
        found: Mapping[str, Any] = self._ask(runtime, home, environ, {"only": "descriptor"})["descriptor"]
        return found

    def _ask(self, runtime: Runtime, home: str, environ: Mapping[str, str], more: Mapping[str, Any]) -> Mapping[str, Any]:
        asked = {
            "is": "prepare",
            "starter": runtime.starter,
            "project": {"type": "Project", "id": runtime.project.id, "name": runtime.project.name},
            "engine": runtime.engine,
            "plugin_id": runtime.plugin_id,
            "configuration": runtime.configuration,
            "base": runtime.base,
            "host": self.host,
            "script": self.script,
            "key": self.key,
            "proxy": self.proxy,
            "home": home,
            "timeout": self.timeout,
            **more,
        }
        command = [runtime.python or "", "-c", _START, str(self.archive)]
        try:
            done = subprocess.run(  # noqa: S603 - the interpreter is configured, the archive is ours
                command, input=frames.encode(asked), capture_output=True, check=False, timeout=self.patience, env=dict(environ)
            )
        except subprocess.TimeoutExpired as late:
            said = f"it was not prepared within {self.patience:g} s, and that was ended. {_tail(late.stderr)}"
            raise self._error(runtime, "slow", said, "It is tried again; see what it downloads.") from late
        except OSError as error:
            said = f"the Python {runtime.python} can't be started: {error.strerror}."
            raise self._error(runtime, "interpreter", said, "Name one that can.", passing=False) from error
        answer = frames.read(BytesIO(done.stdout))
        if answer is None:
            said = f"the process that prepared it ended without an answer (exit code {done.returncode}). {_tail(done.stderr)}"
            raise self._error(runtime, "prepare-died", said, "It is tried again; see what it wrote.")
        if answer["is"] == "trouble":
            raise config_errors.of_agent(answer)
        return answer

    def _error(self, runtime: Runtime, kind: str, said: str, cure: str, *, passing: bool = True) -> Exception:
        return config_errors.error(kind, runtime.project, runtime.name, said, cure, passing=passing)

    @contextlib.contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Hold the lock of a configuration, against other threads and other processes of this machine."""
        self.locks.mkdir(parents=True, exist_ok=True)
        with _lock_of(key), (self.locks / f"{key}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the system gives it back, however this process ends
            yield


_locks: dict[str, threading.Lock] = {}
_locks_guard = threading.Lock()


def _lock_of(key: str) -> threading.Lock:
    with _locks_guard:
        return _locks.setdefault(key, threading.Lock())


def _tail(said: bytes | None) -> str:
    text = " ".join((said or b"").decode("utf-8", "replace").split())
    return f"It wrote: {text[-_SHOWN:]}" if text else "It wrote nothing."
