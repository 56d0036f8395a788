"""Which plugins stand in a site's folders, in which order, under which names.

A folder's plugins are its entries that end in ``.py`` and don't start with ``.``, by plain string order of the file name; folders
come in the order of the configuration. What can't be a plugin is left out with a reason, and a folder that can't be listed is said
to be missing: a vanished mount must not look like deleted plugins.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Stamp
from callsheet.domain.plugin import PluginFile
from callsheet.timed_io import TimedIo
from callsheet.wire.texts import storable

SUFFIX = ".py"

SETTLE = 0.5
"""Seconds for which a changed file must stay as it is before it is loaded: it may be half written."""

COARSE = 2.0
"""Seconds by which a file's time may be off on a network share: first the client's own, later what the server made of it, which
may count whole seconds. Within that, only the text tells whether the file has changed.
"""


class LeftOut(NamedTuple):
    """An entry that is named like a plugin and can't be one, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """One look at a site's folders. ``missing``: folders that could not be listed; what stood there is unknown, not gone.
    ``hanging``: those of them that did not answer.
    """

    plugins: list[PluginFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    missing: list[Path] = field(default_factory=list)
    hanging: list[Path] = field(default_factory=list)


class _Found(NamedTuple):
    path: str
    stem: str
    stamp: Stamp
    folder: int


@dataclass(slots=True)
class _Seen:
    stamp: Stamp | None
    at: float
    text: bytes = b""


class WatchedFile(Protocol):
    """A file that is watched: of a plugin, or of a module that plugins import. ``key`` tells it from others."""

    @property
    def key(self) -> Hashable: ...  # noqa: D102 - see above

    @property
    def path(self) -> str: ...  # noqa: D102 - see above

    @property
    def stamp(self) -> Stamp | None: ...  # noqa: D102 - see above


class Watch:
    """Tells which files are other ones than those that were loaded: newer or older, moved there, or reached by another link.

    A file that is touched counts as another one. What a network share makes of a file's time or inode does not, nor does one that
    still changes.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic, io: TimedIo | None = None) -> None:
        self._steady = steady
        self._io = io or TimedIo()
        self._loaded: dict[Hashable, _Seen] = {}
        self._changing: dict[Hashable, _Seen] = {}
        self.restless = False
        """A file has changed, and is to be looked at again in SETTLE seconds; whoever takes note of it unsets this."""

    def loaded(self, file: WatchedFile) -> None:
        """The file is loaded, as it is now; without a stamp: as it was before it became what it is now."""
        self._changing.pop(file.key, None)
        self._loaded[file.key] = _Seen(file.stamp, self._steady(), self._text_of(file) or b"")

    def gone(self, key: Hashable) -> bool:
        """The file was not found; whether that has lasted, so that it is not just being replaced."""
        if not self._has_settled(key, None):
            return False
        self._loaded.pop(key, None)
        return True

    def forget(self, key: Hashable) -> None:
        """The file is not watched any more."""
        self._loaded.pop(key, None)
        self._changing.pop(key, None)

    def is_another(self, file: WatchedFile) -> bool:
        """Whether it is to be loaded: it was not yet, or has changed since, and does not change any more."""
        loaded = self._loaded.get(file.key)
        if loaded is None or self._differs(file, loaded):
            return self._has_settled(file.key, file.stamp)
        loaded.stamp = file.stamp
        self._changing.pop(file.key, None)
        return False

    def _has_settled(self, key: Hashable, stamp: Stamp | None) -> bool:
        seen = self._changing.get(key)
        if seen is None or _written(seen.stamp) != _written(stamp):
            seen = self._changing[key] = _Seen(stamp, self._steady())
        if self._steady() - seen.at < SETTLE:
            self.restless = True
            return False
        del self._changing[key]
        return True

    def _differs(self, file: WatchedFile, loaded: _Seen) -> bool:
        before, now = loaded.stamp, file.stamp
        if now == before and self._steady() - loaded.at > 2 * COARSE:
            return False
        if before is None or now is None or now.real != before.real or abs(now.mtime - before.mtime) >= COARSE * 1e9:
            return now != before
        # The rights may have changed, or the text, with its old time put back; or twice within what a share counts as one moment.
        text = self._text_of(file)
        return text is not None and text != loaded.text

    def _text_of(self, file: WatchedFile) -> bytes | None:
        return _text_of(file, self._io)


def _written(stamp: Stamp | None) -> tuple[int, int, str] | None:
    """What of a stamp changes while a file is being written."""
    return stamp and (stamp.mtime, stamp.size, stamp.real)


def _text_of(file: WatchedFile, io: TimedIo) -> bytes | None:
    """What tells the file's text from another one; None while its folder hangs."""
    path = Path(file.path)
    try:
        return hashlib.sha256(io.call(path.parent, path.read_bytes)).digest()
    except TimeoutError:
        return None
    except OSError:
        return b""


def fingerprint(file: PluginFile, before: str, io: TimedIo) -> str:
    """What tells the file from another one, to be kept over restarts: ``before``, what was kept of it, if it is still that one.

    As within a life of the daemon, a file that was touched is another one, and what a share makes of its time is not.
    """
    stamp, text = file.stamp, _text_of(file, io)
    if stamp is None or text is None:
        return before
    now = f"{stamp.mtime} {text.hex()} {storable(stamp.real)}".replace("\n", " ")
    mtime, _, rest = before.partition("\n")[0].partition(" ")
    same = rest == now.partition(" ")[2] and abs(int(mtime) - stamp.mtime) < COARSE * 1e9
    return before if same else now


def renewed(kept: str, now: float) -> str:
    """The fingerprint ``kept`` of a file that counts as another one from ``now`` on (epoch): a module that it imports is one."""
    return f"{kept.partition(chr(10))[0]}\n{now}"


def kept_path(path: str) -> Path | None:
    """The file or folder whose path, as ``texts.storable`` has it, is ``path``; None if it is not there. Raises OSError."""
    asked = Path(path)
    if asked.exists():
        return asked
    parent = kept_path(str(asked.parent)) if "\\" in path else None
    return next((one for one in parent.iterdir() if storable(one.name) == asked.name), None) if parent else None


def find_plugins(folder: Path) -> tuple[list[Path], list[LeftOut]]:
    """The plugin files of one folder, in loading order, and what is left out. Raises OSError when it can't be listed."""
    found, left_out = _look(folder, 0)
    return [Path(one.path) for one in found], left_out


def discover(site: str, folders: Sequence[Path], known: Mapping[str, str] | None = None, io: TimedIo | None = None) -> Discovery:
    """Look into all folders of ``site``. With the same ``io``, one that hangs is waited for once.

    ``known``: path → plugin name as given before (the ledger's, which keeps paths as ``texts.storable`` has them, or the last
    look's). A file keeps its name for as long as it is there, so that a plugin's place in the event log doesn't go to another one
    when a file appears in, or a mount vanishes from, an earlier folder.
    """
    result = Discovery()
    io = io or TimedIo()
    folders = list(dict.fromkeys(folders))
    found: list[_Found] = []
    for number, folder in enumerate(folders):
        try:
            files, left_out = io.call(folder, partial(_look, folder, number))
        except OSError as error:
            result.missing.append(folder)
            if isinstance(error, TimeoutError):
                result.hanging.append(folder)
            continue
        found += files
        result.left_out.extend(left_out)
    names = plugin_names(found, _tags(folders), _kept(found, result.missing, known or {}))
    result.plugins.extend(
        PluginFile(PluginKey(site, name), one.path, ordinal, one.stamp.mtime / 1e9, stamp=one.stamp)
        for ordinal, (one, name) in enumerate(zip(found, names, strict=True))
    )
    return result


def plugin_names(found: Sequence[_Found], tags: Sequence[str], kept: Mapping[str, str]) -> list[str]:
    """The names of ``found``, one by one: the file's without ``.py``; where an earlier one has that name, ``name@folder``.

    A name is storable, whatever bytes the file's is made of. ``tags`` are the folders' short names; ``kept`` is (storable) path →
    name for files that have one already.
    """
    taken = set(kept.values())
    names = []
    for one in found:
        name = kept.get(storable(one.path))
        if name is None:
            name = storable(one.stem)
            if name in taken:
                name = storable(f"{one.stem}@{tags[one.folder]}")
            while name in taken:  # two files in one folder whose names differ only in how their odd letters are written
                name += "+"
            taken.add(name)
        names.append(name)
    return names


def _look(folder: Path, number: int) -> tuple[list[_Found], list[LeftOut]]:
    found, left_out = [], []
    real = Path(os.path.realpath(folder))  # unlike Path.resolve, it raises nothing over links in a circle
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            if not entry.name.endswith(SUFFIX) or entry.name.startswith("."):
                continue
            try:
                status = entry.stat()
            except OSError as error:
                left_out.append(LeftOut(Path(entry.path), _unreadable(entry, error)))
                continue
            if stat.S_ISREG(status.st_mode):
                lies = os.path.realpath(entry.path) if entry.is_symlink() else real / entry.name
                stamp = Stamp(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, str(lies))
                found.append(_Found(entry.path, entry.name[: -len(SUFFIX)], stamp, number))
            else:
                left_out.append(LeftOut(Path(entry.path), _other(status.st_mode)))
    return found, left_out


def _unreadable(entry: os.DirEntry[str], error: OSError) -> str:
    if entry.is_symlink():
        return "a link whose target is missing; fix the link or remove it"
    return f"can't be read ({error.strerror}); fix its permissions"


def _other(mode: int) -> str:
    kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
    return f"{kind}, though its name ends in {SUFFIX}; rename it"


def _tags(folders: Sequence[Path]) -> list[str]:
    """For each folder the shortest end of its path that no other has; joined by dots, since log files carry it in their names."""
    parts = [[part for part in folder.parts if part != folder.anchor] for folder in folders]
    tags = []
    for own in parts:
        for length in range(1, len(own) + 1):
            same = [other for other in parts if other[-length:] == own[-length:]]
            if len(same) == 1:
                break
        else:
            length = len(own)
        tags.append(".".join(own[-length:]))
    return tags


def _kept(found: Sequence[_Found], missing: Sequence[Path], known: Mapping[str, str]) -> dict[str, str]:
    present = {storable(one.path) for one in found}
    away = {storable(str(folder)) for folder in missing}
    paths = ((storable(path), name) for path, name in known.items())
    return {path: name for path, name in paths if path in present or str(Path(path).parent) in away}
