"""Everything Callsheet raises on purpose. Messages say what happened, to what, and what to do next."""

from __future__ import annotations

import errno


class CallsheetError(Exception):
    """Base of all errors that a user may meet; the command line prints it without a traceback and exits 2."""


class ConfigError(CallsheetError):
    """The configuration can't be used. ``problems`` holds one ready-to-print line per mistake."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class StateError(CallsheetError):
    """The ledger, the state folder or an id file to import can't be used."""


class LedgerLostError(StateError):
    """The ledger's file was removed, replaced or emptied while the daemon ran."""


class SiteError(CallsheetError):
    """A site did not answer, or answered with an error. Usually passes; the daemon tries again."""


class SiteRefusedError(SiteError):
    """The site answered and said no: a wrong script name or key, or no permission. Trying again will not help."""


class ProtocolError(CallsheetError):
    """A worker and the daemon do not understand each other."""


class ToolkitError(CallsheetError):
    """A project's Toolkit can't be had. Its text names the project, the configuration, the file or folder, and the cure.

    ``kind``: one word for the sort of trouble. ``passing``: it may go away by itself, as a share that isn't mounted. ``file``: what
    to look at, where that is a file or a folder. ``traceback``: of the process that met it, if that was another one.
    """

    def __init__(
        self, kind: str, problem: str, cure: str, *, passing: bool = False, file: str | None = None, traceback: str = ""
    ) -> None:
        super().__init__(f"{problem} {cure}")
        self.kind = kind
        self.problem = problem
        self.cure = cure
        self.passing = passing
        self.file = file
        self.traceback = traceback
        self.project = ""
        """The project's name, where it is known."""
        self.configuration = ""
        """What its configuration is called, where that is known."""


_OS_CURES = {
    errno.ENOSPC: "Free some space on that disk",
    errno.EDQUOT: "Free some space within this user's quota",
    errno.EROFS: "That disk is mounted read-only: mount it for writing, or name another place",
    errno.ENOTDIR: "A part of that path is a file: correct the path",
    errno.EISDIR: "That is a folder: name a file in it",
    errno.EEXIST: "There is a file where a folder is needed: correct the path, or move the file away",
    errno.ENOENT: "See that it is there, and that links on the way lead somewhere, or correct the path",
    errno.ELOOP: "Links on that path lead in a circle: correct them, or the path",
    errno.ENAMETOOLONG: "Shorten that path",
    errno.EIO: "The disk reported an error: see the system's log",
    errno.ESTALE: "The share was mounted anew, or its server restarted: mount it again",
    errno.EMFILE: "Raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "This machine has too many open files: end what holds them",
    errno.ENOMEM: "This machine is out of memory",
}
_DENIED = "Give the user that runs Callsheet the right to read and write there"


def in_words(error: OSError) -> str:
    """What the system says of a path that can't be used, and what to do: two sentences without the last full stop."""
    return f"{error.strerror or error}. {_OS_CURES.get(error.errno or 0, _DENIED)}"


def of_system(error: BaseException) -> str | None:
    """One line with the cure for an error that comes from a path or the machine; None for what may be a mistake of ours."""
    if not isinstance(error, OSError) or not (error.filename or error.errno in _OS_CURES):
        return None
    where = f"{error.filename!s}: " if error.filename else ""
    return f"{where}{in_words(error)}."
