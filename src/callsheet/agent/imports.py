"""Which files plugins import modules from, as each import found them: the daemon loads a plugin anew when one of them changes."""

import os
import sysconfig
from importlib.machinery import SourceFileLoader
from typing import Any, Callable, Iterable, List, Mapping, Optional, Set, Tuple

from callsheet.wire.frames import Message

ImportedFile = Tuple[str, Optional[float], Optional[int]]
"""Path, time and size. None: there was no such file, and a plugin can't be loaded for want of it."""

_LONGEST = 1000
"""Letters of the name of a module that is missing."""

_INSTALLED = ("site-packages", "dist-packages")


class Imports:
    """All that was imported from below ``folders`` since ``watch``, but for packages that are installed there."""

    def __init__(self) -> None:
        self.folders: Set[str] = set()
        self.files: List[ImportedFile] = []
        """Grows, from any thread."""
        self._told = 0
        paths = sysconfig.get_paths()
        self._library = tuple(_below(paths[name]) for name in ("stdlib", "platstdlib"))

    def watch(self, folders: Iterable[str]) -> None:
        """From now on, note what is imported: the time and size are those of the very text that the import reads."""
        self.folders.update(os.path.abspath(folder) for folder in folders if folder)
        stats = SourceFileLoader.path_stats

        def path_stats(loader: SourceFileLoader, path: Any) -> Any:
            found = stats(loader, path)
            self._note(path, found)
            return found

        setattr(SourceFileLoader, "path_stats", path_stats)  # noqa: B010 - nothing else sees what an import has read

    def missing(self, module: object) -> None:
        """An import failed for want of that module: note where it may appear."""
        if not isinstance(module, str) or not 0 < len(module) <= _LONGEST:  # whoever raises an ImportError says what it names
            return
        for folder in self.folders:
            start = os.path.join(folder, *module.split("."))
            self.files += [(f"{start}.py", None, None), (os.path.join(start, "__init__.py"), None, None)]

    def tell_all(self, say: Callable[[Message], None], plugin: str) -> None:
        """Tell the daemon of all, as of those of a plugin that was loaded: it may use what another one had imported before."""
        self._told = len(self.files)
        if self.files:
            say({"is": "imported", "plugin": plugin, "files": self.files[: self._told]})

    def tell_new(self, say: Callable[[Message], None], plugin: str) -> None:
        """Tell the daemon of those that came since it was told, while the plugin was called."""
        if self._told < len(self.files):
            told, self._told = self._told, len(self.files)
            say({"is": "imported", "plugin": plugin, "files": self.files[told : self._told]})

    def _note(self, path: Any, found: Mapping[str, Any]) -> None:
        file = os.path.abspath(os.fsdecode(path))
        if any(part in _INSTALLED for part in file.split(os.sep)) or file.startswith(self._library):
            return
        if any(file.startswith(_below(folder)) for folder in list(self.folders)):
            self.files.append((file, found["mtime"], found["size"]))


def _below(folder: str) -> str:
    return folder.rstrip(os.sep) + os.sep
