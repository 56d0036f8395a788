"""Reads the small files of configurations and cores: YAML, and files that hold one path."""

from __future__ import annotations

import os
import sys
from typing import Any

import yaml

from callsheet.domain.toolkit_entities import Project
from callsheet.errors import ToolkitError
from callsheet.runtimes import config_errors

SYSTEM = {"darwin": "Darwin", "win32": "Windows"}.get(sys.platform, "Linux")
NOWHERE = ("", "None", "undefined")
"""What such a file says for a system that is not served."""


class Reader:
    """Reads for one project's configuration, and says so in its errors. ``place``: what that is called."""

    def __init__(self, project: Project, place: str) -> None:
        self.project = project
        self.place = place
        self.read: list[str] = []
        """All that was looked at, whether it was there or not."""

    def yaml(self, path: str) -> dict[str, Any]:
        """The mapping in a YAML file. Raises ToolkitError, also where the file is not there."""
        text = self.text(path)
        if text is None:
            raise self.error(
                "broken-file", f"{path} does not exist.", "Restore it, or set the configuration up anew.", file=path, absent=path
            )
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise self._broken(path, f"is not valid YAML: {' '.join(str(error).split())}") from error
        if not isinstance(data, dict):
            raise self._broken(path, "holds nothing that could be used")
        return data

    def path(self, path: str) -> str | None:
        """The path that a file holds, with ``~`` and variables filled in; None without the file, one of NOWHERE as it stands."""
        text = self.text(path)
        return None if text is None else os.path.expanduser(os.path.expandvars(text.strip()))

    def text(self, path: str) -> str | None:
        """All of a file; None where it does not exist."""
        self.read.append(path)
        try:
            with open(path, encoding="utf-8") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except UnicodeDecodeError as error:
            raise self._broken(path, "is not text") from error
        except OSError as error:
            raise config_errors.unreadable(self.project, self.place, path, error) from error

    def error(
        self, kind: str, problem: str, cure: str, *, file: str | None = None, absent: str | None = None, named_in: str = ""
    ) -> ToolkitError:
        """An error of this configuration. ``absent``: the path that is not there, and ``named_in`` who names it: where that seems
        to be on a share that is away, the error says so.
        """
        gone = None if absent is None else config_errors.emptied(absent)
        if absent is not None and gone is not None:
            return config_errors.unmounted(self.project, self.place, absent, gone, named_in or self.place)
        return config_errors.error(kind, self.project, self.place, problem, cure, file=file)

    def _broken(self, path: str, how: str) -> ToolkitError:
        return self.error("broken-file", f"{path} {how}.", "Fix it, or restore it.", file=path)
