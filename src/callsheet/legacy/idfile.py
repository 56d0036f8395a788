"""Reads and writes the id file of shotgunEvents, and says where each plugin goes on by its rules.

The file is a pickle (protocol 5 at most) ``{folder: {plugin: (last_id | None, {id: expiry})}}`` with naive local datetimes, or,
of an early version, an integer on the first line. It is read with an unpickler that knows ``datetime`` and nothing else: nothing in
the file may execute. A daemon that was killed leaves it empty; that is said, and is no error.
"""

from __future__ import annotations

import datetime as dt
import io
import os
import pickle
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from callsheet.errors import StateError

LARGEST = 256 * 1024 * 1024
"""Bytes. A daemon with 200,000 missing ids for each of 50 plugins writes less."""

PYTHON_2 = 2
"""The highest pickle protocol that Python 2 wrote: up to it, texts may be bytes."""

_CURE = (
    "restore it from a backup, start with `callsheet run --from ID` to begin at that event, or move it away to begin at the newest"
)


class Waiting(NamedTuple):
    """An id that a plugin still waits for, and for how many seconds more."""

    id: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where one plugin stands: ``last`` is the last event it had (None: none yet); ``backlog`` are the missing ids it waits for."""

    last: int | None
    backlog: tuple[Waiting, ...] = ()


@dataclass(frozen=True, slots=True)
class IdFile:
    """An id file. ``folders``: folder as configured → plugin → place. ``single``: of an old file, where all plugins stand."""

    path: Path
    folders: Mapping[str, Mapping[str, Place]] = field(default_factory=dict)
    single: int | None = None
    problem: str | None = None
    """Why nothing can be taken from it though it is there: it is empty."""


def present(path: Path) -> bool:
    """Whether there is anything at ``path``, even a link that leads nowhere. StateError where that can't be told."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error.strerror) from None
    return True


def read(path: Path) -> IdFile:
    """The id file at ``path``. Raises StateError when it is missing, damaged, or no id file.

    Seconds left are counted from when the file was written: a daemon that was down for an hour has not waited in that time.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for ever
            raise _unreadable(path, "it is no file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
            written = dt.datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime)  # noqa: DTZ006 - naive local, as the expiries are
    except OSError as error:
        raise _unreadable(path, error.strerror) from None
    if len(data) > LARGEST:
        raise _unreadable(path, f"it is larger than {LARGEST >> 20} MB")
    if not data.strip():
        problem = f"id file {path} is empty, as an old daemon leaves it when killed while writing: no place to go on from; {_CURE}"
        return IdFile(path, problem=problem)
    first = data.split(b"\n", 1)[0].strip()
    if re.fullmatch(rb"\d{1,18}", first):
        if not int(first):
            raise _misshapen(path, "the id of an event", 0)
        return IdFile(path, single=int(first))
    folders = _shape(path, _unpickled(path, data), written)
    if data[:1] != b"\x80" or data[1] <= PYTHON_2:
        folders = {_utf8(folder): {_utf8(name): one for name, one in names.items()} for folder, names in folders.items()}
    return IdFile(path, folders=folders)


def write(path: Path, folders: Mapping[str, Mapping[str, tuple[int, Mapping[int, dt.datetime]]]]) -> None:
    """Write an id file that any shotgunEvents reads, whole or not at all: folder → plugin → last id, {id: local expiry}.

    StateError where that can't be done, or ``path`` is something else than an id file.
    """
    try:
        if present(path) and path.stat().st_size:
            read(path)
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.write_bytes(pickle.dumps({folder: dict(plugins) for folder, plugins in folders.items()}, protocol=PYTHON_2))
        new.replace(path)
    except OSError as error:
        raise StateError(f"{path} can't be written: {error.strerror}. Name another place.") from None


def plan(idfile: IdFile, plugins: Sequence[tuple[Path, str]], base: Path | None = None) -> dict[tuple[Path, str], Place]:
    """Where each of ``plugins`` (its folder, its file's name without ``.py``) goes on. ``Place(None)``: at the newest event.

    The place under the plugin's own folder; else, of plugins of that name in other folders, the place furthest on; else none.
    Folders in the file that are relative are taken from ``base``.
    """
    if idfile.single is not None:
        return {plugin: Place(idfile.single) for plugin in plugins}
    own = {os.path.normpath((base or Path()) / folder): places for folder, places in idfile.folders.items()}
    best: dict[str, Place] = {}
    for places in idfile.folders.values():
        for name, place in places.items():
            if place.last is not None and (name not in best or place.last > (best[name].last or 0)):
                best[name] = place
    return {
        (folder, name): own.get(os.path.normpath(folder), {}).get(name) or best.get(name, Place(None)) for folder, name in plugins
    }


class _DataOnly(pickle.Unpickler):
    """Builds dicts, tuples, numbers and texts; of classes it knows ``datetime.datetime`` alone."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("datetime", "datetime"):
            return dt.datetime
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes the bytes in a datetime for protocols 0 to 2
            return _Bytes()
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which an id file never holds")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError(f"it refers to {type(pid).__name__} data kept elsewhere")


class _Bytes:
    """``_codecs.encode`` for latin-1 alone. An instance without ``__dict__``, so that a pickle can't leave anything on it."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise pickle.UnpicklingError("it asks for an encoding that an id file never needs")
        return text.encode("latin-1")


def _unpickled(path: Path, data: bytes) -> Any:
    try:
        # latin1: how a datetime that Python 2 wrote has to be read.
        return _DataOnly(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # noqa: BLE001 - damaged pickles raise nearly anything
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise StateError(f"id file {path} is damaged or no id file: {said}; {_CURE}") from None


def _shape(path: Path, data: Any, written: dt.datetime) -> dict[str, dict[str, Place]]:
    """The unpickled data, checked value by value. Raises StateError."""
    if not isinstance(data, dict):
        raise _misshapen(path, "a dict of folders", data)
    folders: dict[str, dict[str, Place]] = {}
    for folder, plugins in data.items():
        if not isinstance(folder, str) or not isinstance(plugins, dict):
            raise _misshapen(path, "folder → dict of plugins", plugins)
        places = {}
        for name, state in plugins.items():
            if not isinstance(name, str):
                raise _misshapen(path, "plugin names", name)
            places[name] = _place(path, state, written)
        folders[folder] = places
    return folders


def _place(path: Path, state: Any, written: dt.datetime) -> Place:
    if _is_id(state):  # what a daemon writes for a plugin that moved to a folder it didn't know
        return Place(state)
    match state:
        case (last, dict() as backlog) if last is None or _is_id(last):
            pass
        case _:
            raise _misshapen(path, "(last id, backlog)", state)
    waiting = []
    for event_id, expiry in sorted(backlog.items(), key=repr):
        if not _is_id(event_id) or not isinstance(expiry, dt.datetime):
            raise _misshapen(path, "id → expiry in a backlog", expiry)
        seconds = (expiry.replace(tzinfo=None) - written).total_seconds()
        if seconds > 0:
            waiting.append(Waiting(event_id, seconds))
    return Place(last, tuple(sorted(waiting)))


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63


def _unreadable(path: Path, why: str | None) -> StateError:
    return StateError(f"id file {path} can't be read ({why}); name the eventIdFile of the old daemon, or {_CURE}")


def _misshapen(path: Path, expected: str, found: Any) -> StateError:
    return StateError(f"id file {path} is no id file: expected {expected}, found {type(found).__name__}; {_CURE}")


def _utf8(text: str) -> str:
    """A text that Python 2 wrote as bytes, read as latin-1, as the UTF-8 it was; others stay what they are."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
