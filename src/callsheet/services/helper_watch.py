"""Which modules plugins have imported, and which plugins are to be loaded anew since one of these has changed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from callsheet.discovery import Watch
from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Stamp
from callsheet.domain.plugin import ImportedFile, PluginImports
from callsheet.timed_io import TimedIo

ROUNDED = 1e-6
"""Seconds that a file's time may lose on its way from an import to here."""


class _Helper(NamedTuple):
    """A module's file as one plugin imported it; as a file is watched."""

    key: tuple[PluginKey, str]
    path: str
    stamp: Stamp | None


class HelperWatch:
    """The files of the modules that each plugin has imported since it was loaded. One that is gone says nothing: it may come back.

    ``imported`` may be called from any thread.
    """

    def __init__(self, folders: Mapping[str, Sequence[Path]], io: TimedIo, steady: Callable[[], float] = time.monotonic) -> None:
        """``folders``: those of the plugins, by site."""
        self._folders = folders
        self._io = io
        self._watch = Watch(steady, io)
        self._lock = threading.Lock()
        self._helpers: dict[PluginKey, dict[str, ImportedFile]] = {}
        self._fresh: list[tuple[PluginKey, ImportedFile]] = []

    @property
    def restless(self) -> bool:
        """Whether one has changed that is to be looked at again soon; looking resets it."""
        restless, self._watch.restless = self._watch.restless, False
        return restless

    def imported(self, imports: PluginImports) -> None:
        """Take note of modules that a plugin has imported."""
        with self._lock:
            mine = self._helpers.setdefault(imports.plugin, {})
            for file in imports.files:
                mine[file.path] = file
                self._fresh.append((imports.plugin, file))

    def newest(self, plugin: PluginKey) -> float:
        """When the youngest of its modules was written (epoch); 0 without one."""
        with self._lock:
            return max((file.mtime or 0.0 for file in self._helpers.get(plugin, {}).values()), default=0.0)

    def loading(self, plugin: PluginKey) -> None:
        """The plugin is loaded anew, or gone: what it had imported counts no more."""
        with self._lock:
            for path in self._helpers.pop(plugin, {}):
                self._watch.forget((plugin, path))
            self._fresh = [one for one in self._fresh if one[0] != plugin]

    def changed(self, site: str) -> dict[PluginKey, str]:
        """Look at all of that site: the plugins of which a module is another one than was imported, and does not change any more.

        Each with the module's path.
        """
        with self._lock:
            mine = {key: list(files) for key, files in self._helpers.items() if key.site == site}
            fresh, self._fresh = self._fresh, []
        stamps = self._stamps(site, {path for paths in mine.values() for path in paths})
        for key, file in fresh:
            if file.path in stamps:
                found = stamps[file.path]
                self._watch.loaded(_Helper((key, file.path), file.path, found if _is_as_imported(file, found) else None))
            else:
                with self._lock:
                    self._fresh.append((key, file))
        new = {(key, file.path) for key, file in fresh}
        changed = {}
        for key, paths in mine.items():
            for path in paths:
                stamp = stamps.get(path)
                if stamp is not None and (key, path) not in new and self._watch.is_another(_Helper((key, path), path, stamp)):
                    changed[key] = path
        return changed

    def _stamps(self, site: str, paths: set[str]) -> dict[str, Stamp | None]:
        """How each file is now, None for one that is not there; of a folder that hangs, none of them."""
        groups: dict[Path, list[str]] = {}
        for path in sorted(paths):
            root = next((folder for folder in self._folders.get(site, ()) if folder in Path(path).parents), Path(path).parent)
            groups.setdefault(root, []).append(path)
        found: dict[str, Stamp | None] = {}
        for root, some in groups.items():
            try:
                found |= self._io.call(root, lambda some=some: {path: _stamp(path) for path in some})  # type: ignore[misc]
            except OSError:
                continue
        return found


def _stamp(path: str) -> Stamp | None:
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return Stamp(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, os.path.realpath(path))


def _is_as_imported(file: ImportedFile, now: Stamp | None) -> bool:
    if now is None or file.mtime is None:
        return now is None and file.mtime is None
    return abs(now.mtime / 1e9 - file.mtime) < ROUNDED and now.size == file.size
