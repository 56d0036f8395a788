"""Code run in a process of its own, with what a worker has: the agent's archive, and the environment of one with a Toolkit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsheet.agent.toolkit.environment import environment
from callsheet.workers import agent_archive

_HEAD = "import json, logging, sys; sys.path.insert(0, sys.argv[1]); told = json.load(sys.stdin); logging.basicConfig()\n"
_MARK = "\x1eTOLD "


@dataclass(frozen=True)
class AgentProcess:
    """``ask`` runs code that finds ``told`` and calls ``say`` with data for an answer."""

    archive: Path
    home: Path
    python: str = sys.executable

    @classmethod
    def in_folder(cls, folder: Path, python: str = sys.executable) -> AgentProcess:
        return cls(agent_archive.build(folder / "state"), folder / "home", python)

    @property
    def environ(self) -> dict[str, str]:
        return environment(os.environ, home=str(self.home), byte_code=str(self.home / "byte-code"))

    def ask(self, code: str, told: Any = None, environ: Mapping[str, str] | None = None) -> Any:
        """What the code said last. AssertionError with all its output if it failed, or said nothing."""
        say = f"def say(data): print({_MARK!r} + json.dumps(data), flush=True)\n"
        done = subprocess.run(
            [self.python, "-c", _HEAD + say + code, str(self.archive)],
            input=json.dumps(told),
            capture_output=True,
            text=True,
            check=False,
            env={**self.environ, **(environ or {})},
        )
        answers = [line.removeprefix(_MARK) for line in done.stdout.split("\n") if line.startswith(_MARK)]
        assert done.returncode == 0, done.stderr
        assert answers, done.stdout + done.stderr
        return json.loads(answers[-1])
