"""The kinds of values that name something on this machine: files, folders, programs, and where a secret is kept."""

from __future__ import annotations

import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from callsheet.config.kinds import ParseContext, Words
from callsheet.config.mistakes import BadValueError, shown, unfit
from callsheet.errors import in_words
from callsheet.settings import Secret

_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")


def expand(text: str, around: ParseContext) -> Path:
    """A path as written, with ``~`` and ``$VAR`` filled in, made absolute from the file's folder; links stay links.

    Raises BadValueError for a variable that isn't set; in a conf such a name stays as it is, since shotgunEvents fills in none.
    """

    def fill(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in around.environ and not around.conf:
            raise BadValueError(f'environment variable {name} in "{text}" is not set; export {name}=… before starting callsheet')
        return around.environ.get(name, match[0])

    if "\0" in text:
        raise BadValueError(f"a path can't have a NUL in it, as {shown(text)} has; correct it")
    filled = _VARIABLE.sub(fill, text.strip())
    if filled == "~" or filled.startswith("~/"):
        filled = around.environ.get("HOME", str(Path.home())) + filled[1:]
    return Path(os.path.normpath(around.base / filled))


@dataclass(frozen=True, slots=True)
class FilePath:
    """The path of a file or folder that need not be there yet."""

    expected: str = "a path"

    def of_text(self, text: str) -> object:
        """See Kind."""
        return text

    def parse(self, value: object, around: ParseContext) -> Path:
        """See Kind."""
        if not isinstance(value, str) or not value.strip():
            raise unfit(self.expected, value)
        return expand(value, around)


@dataclass(frozen=True, slots=True)
class File:
    """The path of a file that is there and can be read."""

    expected: str = "the path of a file"

    def of_text(self, text: str) -> object:
        """See Kind."""
        return text

    def parse(self, value: object, around: ParseContext) -> Path:
        """See Kind."""
        path: Path = FilePath(self.expected).parse(value, around)
        if not path.is_file():
            raise BadValueError(f"there is no file {path}; name the file, or remove this")
        if not os.access(path, os.R_OK):
            raise BadValueError(f"file {path} can't be read; fix its permissions for the user who runs callsheet")
        return path


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders, which may be away for now; a list of paths, comma-separated in a conf."""

    expected: str = 'a list of folders such as ["plugins/"]'

    def of_text(self, text: str) -> object:
        """See Kind."""
        return Words().of_text(text)

    def parse(self, value: object, around: ParseContext) -> tuple[Path, ...]:
        """See Kind."""
        folders = [expand(word, around) for word in Words(self.expected).parse(value, around)]
        wrong = [f"{one} is a file, expected a folder of plugins; name the folder it stands in" for one in folders if _is_file(one)]
        if wrong:
            raise BadValueError(*wrong)
        # No mistake of this file: a share may be away, and the other plugins are to run meanwhile.
        around.remarks += [text for folder in folders if (text := _trouble(folder))]
        return tuple(dict.fromkeys(folders))


def _is_file(folder: Path) -> bool:
    try:
        return not stat.S_ISDIR(folder.stat().st_mode)
    except OSError:
        return False


def _trouble(folder: Path) -> str | None:
    try:
        folder.stat()
    except FileNotFoundError:
        what = "does not exist; create it, or correct the path"
    except OSError as error:
        what = f"can't be read: {in_words(error).rstrip('.')}"
    else:
        if os.access(folder, os.R_OK | os.X_OK):
            return None
        what = "can't be read; correct its permissions"
    return f"folder {folder} {what}. The daemon starts all the same, and looks for it every second"


@dataclass(frozen=True, slots=True)
class Group:
    """A group of users of this machine, by name or number; its number."""

    expected: str = "the name of a group of this machine"

    def of_text(self, text: str) -> object:
        """See Kind."""
        return text

    def parse(self, value: object, around: ParseContext) -> int:  # noqa: ARG002 - all kinds have one signature
        """See Kind."""
        import grp  # noqa: PLC0415 - not on every system

        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            raise unfit(self.expected, value)
        name = value.strip()
        try:
            return grp.getgrnam(name).gr_gid
        except (KeyError, ValueError):  # ValueError: a NUL in it
            pass
        try:
            return grp.getgrgid(int(name)).gr_gid
        except (KeyError, ValueError, OverflowError):
            raise BadValueError(f"there is no group {shown(name)} on this machine; create it, or name another one") from None


@dataclass(frozen=True, slots=True)
class Program:
    """A Python interpreter: a path, or a command that is looked up in PATH."""

    expected: str = "a Python interpreter, as a path or a command"

    def of_text(self, text: str) -> object:
        """See Kind."""
        return text

    def parse(self, value: object, around: ParseContext) -> str:
        """See Kind."""
        if not isinstance(value, str) or not value.strip():
            raise unfit(self.expected, value)
        command = value.strip()
        sought = str(expand(command, around)) if any(one in command for one in "/~$") else command
        found = shutil.which(sought, path=around.environ.get("PATH"))
        if found is None:
            raise BadValueError(f"{shown(command)} is no program that can be run; name a Python interpreter by its full path")
        return found


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A secret that stands in the environment or in a file of its own. A conf carries it (or ``%(ENV)s``) as its text."""

    variable: str
    """The variable that messages and examples name."""

    @property
    def expected(self) -> str:
        """See Kind."""
        return f'{{ env = "{self.variable}" }} or {{ file = "path" }}'

    def of_text(self, text: str) -> object:
        """See Kind."""
        return Secret(text.strip())

    def parse(self, value: object, around: ParseContext) -> Secret:
        """See Kind."""
        if isinstance(value, Secret):
            if not value.reveal():
                raise BadValueError(f"expected the secret, found nothing; write it here, or %({self.variable})s and export that")
            return value
        if isinstance(value, str):
            raise BadValueError(
                "a secret must not stand in this file, since such files get shared; "
                f'export it and write {{ env = "{self.variable}" }}, or keep it in a file of its own and write {{ file = "path" }}'
            )
        if not isinstance(value, dict):
            raise BadValueError(f"expected {self.expected}; found something else")
        match sorted(value.items()):
            case [("env", str() as name)] if name.strip():
                return _from_environ(name, around)
            case [("file", str() as path)] if path.strip():
                return _from_file(expand(path, around), around)
            case [("env", _), ("file", _)]:
                raise BadValueError("expected either env or file, found both; keep one of them")
        raise BadValueError(
            f"expected {self.expected}, found a table with {', '.join(sorted(value)) or 'nothing in it'}; write one of them"
        )


def _from_environ(name: str, around: ParseContext) -> Secret:
    environ = around.environ
    if name not in environ:
        raise BadValueError(f"environment variable {name} is not set; export {name}=… for the user who runs callsheet")
    if not environ[name].strip():
        raise BadValueError(f"environment variable {name} is empty; export {name}=… for the user who runs callsheet")
    around.secrets.add(name)
    return Secret(environ[name].strip())


def _from_file(path: Path, around: ParseContext) -> Secret:
    try:
        text = path.read_text(encoding="utf-8").strip()
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise BadValueError(f"file {path} does not exist; create it with the secret as its only line, and chmod 600 it") from None
    except UnicodeDecodeError:
        raise BadValueError(f"file {path} is not text; expected the secret as its only line") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) else error
        raise BadValueError(f"file {path} can't be read ({why}); fix it for the user who runs callsheet") from None
    lines = text.splitlines()
    if len(lines) != 1:
        raise BadValueError(f"file {path} has {len(lines)} lines, expected the secret as its only line")
    if mode & stat.S_IROTH:
        around.remarks.append(f"every user of this machine can read {path}; chmod 600 it")
    return Secret(text)
