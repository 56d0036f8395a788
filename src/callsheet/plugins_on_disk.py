"""Which plugins stand in a site's folders, in which order, under which names.

A folder's plugins are its entries that end in ``.py`` and don't start with ``.``, by plain string order of the file name; folders
come in the order of the configuration. What can't be a plugin is left out with a reason, and a folder that can't be listed is said
to be missing: a vanished mount must not look like deleted plugins.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from callsheet.model import PluginFile, PluginKey
from callsheet.texts import storable

SUFFIX = ".py"


class LeftOut(NamedTuple):
    """An entry that is named like a plugin and can't be one, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """One look at a site's folders. ``missing``: folders that could not be listed; what stood there is unknown, not gone."""

    plugins: list[PluginFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    missing: list[Path] = field(default_factory=list)


class _Found(NamedTuple):
    path: str
    stem: str
    mtime: float
    folder: int


def find_plugins(folder: Path) -> tuple[list[Path], list[LeftOut]]:
    """The plugin files of one folder, in loading order, and what is left out. Raises OSError when it can't be listed."""
    found, left_out = _look(folder, 0)
    return [Path(one.path) for one in found], left_out


def discover(site: str, folders: Sequence[Path], known: Mapping[str, str] | None = None) -> Discovery:
    """Look into all folders of ``site``.

    ``known``: path → plugin name as given before (the ledger's, which keeps paths as ``texts.storable`` has them, or the last
    look's). A file keeps its name for as long as it is there, so that a plugin's place in the event log doesn't go to another one
    when a file appears in, or a mount vanishes from, an earlier folder.
    """
    result = Discovery()
    folders = list(dict.fromkeys(folders))
    found: list[_Found] = []
    for number, folder in enumerate(folders):
        try:
            files, left_out = _look(folder, number)
        except OSError:
            result.missing.append(folder)
            continue
        found += files
        result.left_out.extend(left_out)
    names = plugin_names(found, _tags(folders), _kept(found, result.missing, known or {}))
    result.plugins.extend(
        PluginFile(PluginKey(site, name), one.path, ordinal, one.mtime)
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
                found.append(_Found(entry.path, entry.name[: -len(SUFFIX)], status.st_mtime, number))
            else:
                left_out.append(LeftOut(Path(entry.path), _other(status.st_mode)))
    return found, left_out


def _unreadable(entry: os.DirEntry[str], error: OSError) -> str:
    if entry.is_symlink():
        return "a link whose target is missing; mend the link or remove it"
    return f"can't be read ({error.strerror}); mend its permissions"


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
