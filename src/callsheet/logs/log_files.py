"""Where log lines go: files that rotate at midnight, and stderr.

Records find their file by the plugin they came from, not by the logger's name: a plugin may be called ``a.b``, and then
``plugin.a.b`` is no child of plugin ``a``. So nothing is registered with ``logging``'s global tree, save one handler on the root
logger for what libraries inside the daemon say; ``close`` takes it away again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import stat
import sys
import time
from collections.abc import Callable
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

from callsheet.errors import ConfigError, in_words
from callsheet.logs.background import BackgroundLog
from callsheet.settings import LogSettings
from callsheet.state_folder import OWN_FILE
from callsheet.wire.texts import printable

LINE = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
STDERR_LINE = "%(asctime)s %(levelname)s:%(name)s:%(message)s"
LEGACY_STDERR_LINE = "%(levelname)s:%(name)s:%(message)s"
DATED = r"\d{4}-\d\d-\d\d"
"""How a line begins that has its time, as a pattern."""
KEPT = 10
"""Rotated files that are kept of each, whether they were rotated by day or by size."""
GRACE = 2.0
"""Seconds that what waits to be written gets at the end."""
QUIET = 60.0
"""Seconds between two complaints of one handler that it can't write."""

_COLOURS = {logging.DEBUG: "2", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}
_LONGEST_NAME = 200  # bytes; file systems allow 255, and rotation adds a date


def setup(settings: LogSettings, *, foreground: bool, stderr: TextIO | None = None, group: int | None = None) -> LogFiles:
    """Open what ``settings`` name, creating the folder. Raises ConfigError when the log file can't be written.

    ``group``: number of the group that may read the files, besides their owner.
    """
    return LogFiles(settings, foreground=foreground, stderr=stderr or sys.stderr, group=group)


class LogFiles:
    """The open log files. ``write`` may be called from any thread, and never waits for a file or a terminal that hangs."""

    def __init__(self, settings: LogSettings, *, foreground: bool, stderr: TextIO, group: int | None = None) -> None:
        self._group = group
        self._settings = settings
        self._folder = settings.path or Path()
        self._open: dict[Path, DailyFile] = {}
        self._by_plugin: dict[str, tuple[logging.Handler, ...]] = {}
        self._everywhere = (
            (_stderr_handler(stderr, LEGACY_STDERR_LINE if settings.legacy else STDERR_LINE),)
            if foreground or settings.file is None
            else ()
        )
        self._engine = self._everywhere
        if settings.file is not None:
            try:
                self._engine = (self._file(settings.file), *self._everywhere)
            except OSError as error:
                raise ConfigError([_cannot_write(self._folder / settings.file, error)]) from error
        self._queue = BackgroundLog("the log", self._deliver)
        self._strays = _Strays(self.write)
        logging.getLogger().addHandler(self._strays)

    def write(self, record: logging.LogRecord, plugin: str | None = None) -> None:
        """Write ``record`` where lines of ``plugin`` (None: of the engine) go. The caller has decided on the level."""
        record.plugin = plugin
        self._queue.emit(record)

    def open_for(self, plugin: str) -> None:
        """Open the plugin's own file, where it has one. If that can't be written, its lines go to the engine's, which says so."""
        self._queue.emit(logging.makeLogRecord({"plugin": plugin, "opens": True}))

    def reopen(self) -> None:
        """Close all files and open them again, once what was said so far is written. Returns at once."""
        self._queue.emit(logging.makeLogRecord({"plugin": None, "reopens": True}))

    def flush(self, grace: float) -> bool:
        """Wait until all is written, for up to ``grace`` seconds; whether it is."""
        return self._queue.wait(grace)

    def _deliver(self, record: logging.LogRecord) -> None:
        if "reopens" in record.__dict__:
            for file in self._open.values():
                file.reopen()
            return
        plugin: str | None = record.__dict__["plugin"]
        handlers = self._engine if plugin is None else self._by_plugin.get(plugin) or self._open_for(plugin)
        if "opens" not in record.__dict__:
            for handler in handlers:
                handler.handle(record)

    def _open_for(self, plugin: str) -> tuple[logging.Handler, ...]:
        handlers = self._engine
        if self._settings.mode == 1 and self._settings.file is not None:
            name = plugin_file_name(plugin)
            try:
                handlers = (self._file(name), *self._everywhere)
            except OSError as error:
                self._by_plugin[plugin] = handlers
                text = f"{_cannot_write(self._folder / name, error)} Until then the plugin's lines go to this log."
                for handler in self._engine:
                    handler.handle(logging.LogRecord("engine", logging.ERROR, __file__, 0, text, None, None, "open_for"))
        self._by_plugin[plugin] = handlers
        return handlers

    def close(self, grace: float = GRACE) -> bool:
        """Write what waits, for up to ``grace`` seconds; close all files; give the root logger back as it was.

        False if a file or a terminal hangs: closing it would hang as well, so it stays open.
        """
        logging.getLogger().removeHandler(self._strays)
        self._strays.close()
        if not self._queue.end(grace):
            return False
        for handler in (*self._open.values(), *self._everywhere):
            handler.close()
        return True

    def _file(self, name: str) -> DailyFile:
        """The one handler of that file: two that rotate the same file would destroy it."""
        path = self._folder / name
        if path not in self._open:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open[path] = rotating_file(path, self._group, self._settings.size)
        return self._open[path]


def plugin_file_name(plugin: str) -> str:
    """``plugin.<name>``, with what a file name can't hold replaced."""
    name = "plugin." + re.sub(r"[/\\\x00-\x1f]", "_", plugin)
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:12]
    return encoded[: _LONGEST_NAME - 13].decode("utf-8", "ignore") + "-" + digest


def rotating_file(path: Path, group: int | None = None, size: int | None = None) -> DailyFile:
    """A handler for ``path`` that rotates at midnight, and at ``size`` bytes; ten are kept. Raises OSError when it can't be opened.

    A log holds what plugins say, and their locals: others may not read it, whatever the umask; the ``group`` of that number may.
    """
    handler = DailyFile(path, group, size, when="midnight", backupCount=KEPT, encoding="utf-8", errors="backslashreplace")
    handler.target = str(path)
    handler.setFormatter(_Formatter(LINE, DATED))
    return handler


class _SaysItOnce(logging.Handler):
    """Says on stderr that it can't write, once a minute: a full disk must not turn every line into a traceback."""

    target = ""
    _quiet_until = 0.0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - logging's signature
        self.complain(f"can't write {self.target}: {sys.exc_info()[1]}. Its lines are lost until this is fixed")

    def complain(self, what: str) -> None:
        """Say it on stderr, unless something was said within the last minute."""
        now = time.monotonic()
        if now < self._quiet_until:
            return
        self._quiet_until = now + QUIET
        with contextlib.suppress(OSError, ValueError):  # stderr itself is gone: nobody is left to tell
            sys.stderr.write(f"callsheet: {printable(what)}.\n")


class DailyFile(_SaysItOnce, TimedRotatingFileHandler):
    """Goes on with the old file when rotating fails; the standard handler would lose every line from then on. Whoever else moves or
    removes the file (logrotate) need not say so: the next line opens it anew.
    """

    def __init__(self, path: Path, group: int | None, size: int | None, **options: Any) -> None:
        self._group = group
        self._most = size
        super().__init__(path, **options)

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=self._opened)

    def _opened(self, path: str, flags: int) -> int:
        descriptor = os.open(path, flags, OWN_FILE)
        with contextlib.suppress(PermissionError):  # another user's file, who has seen to that, or a group that we are not in
            if self._group is not None:
                os.fchown(descriptor, -1, self._group)
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            os.fchmod(descriptor, mode & ~0o007 | (stat.S_IRGRP if self._group is not None else 0))
        return descriptor

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record to what stands at the path now."""
        if self._is_another():
            self.reopen()
        super().emit(record)

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - logging's name
        """Whether the day is over, or the file is large enough."""
        if super().shouldRollover(record):
            return True
        return self._most is not None and self.stream is not None and os.fstat(self.stream.fileno()).st_size >= self._most

    def rotation_filename(self, default_name: str) -> str:
        """``<file>.<day>``; the next ones of that day have ``.001`` and so on behind it."""
        same_day = [number for name, number in self._rotated() if name == default_name]
        return f"{default_name}.{max(same_day) + 1:03d}" if same_day else default_name

    def getFilesToDelete(self) -> list[str]:  # noqa: N802 - logging's name
        """All but the newest ones."""
        return [f"{name}.{number:03d}" if number else name for name, number in sorted(self._rotated())[: -self.backupCount]]

    def _rotated(self) -> list[tuple[str, int]]:
        """The rotated files that there are: path with the day, and number."""
        path = Path(self.baseFilename)
        wanted = re.compile(re.escape(path.name) + r"\.\d{4}-\d\d-\d\d(?:\.(\d{3,}))?")
        found = ((name, wanted.fullmatch(name)) for name in os.listdir(path.parent))  # noqa: PTH208 - names are what is needed
        return [(str(path.with_name(name.removesuffix(f".{one[1]}"))), int(one[1] or 0)) for name, one in found if one]

    def _is_another(self) -> bool:
        try:
            return self.stream is not None and not os.path.samestat(os.fstat(self.stream.fileno()), Path(self.baseFilename).stat())
        except FileNotFoundError:
            return True
        except (OSError, ValueError):  # a share that is away says nothing of the file
            return False

    def reopen(self) -> None:
        """Close the file; the next line opens what stands at its path then."""
        with self.lock or contextlib.nullcontext():
            stream, self.stream = self.stream, None
            if stream is None:
                return
            try:
                stream.close()
            except OSError as error:
                self.complain(f"can't write {self.target}: {error}. Its last lines are lost")

    def close(self) -> None:
        """Close the file, also where its last lines can't be written."""
        try:
            super().close()
        except OSError as error:  # a full disk: what was buffered is lost, and the file is closed all the same
            self.complain(f"can't write {self.target}: {error}. Its last lines are lost")

    def doRollover(self) -> None:  # noqa: N802 - logging's name
        """Rotate, or go on with the file as it is."""
        try:
            super().doRollover()
        except OSError as error:
            self.complain(f"can't rotate {self.target}: {error}. It grows on, and rotating is tried again tomorrow")
            self.rolloverAt = self.computeRollover(int(time.time()))


class _Stderr(_SaysItOnce, logging.StreamHandler[TextIO]):
    target = "the log on stderr"


class _Strays(logging.Handler):
    """Brings what libraries log inside the daemon (warnings of shotgun_api3) to the engine's lines.

    Plugins' records are left out: those of workers never pass here, and an inline executor sends its own as signals.
    """

    def __init__(self, write: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("plugin."):
            self._write(record)


class _Formatter(logging.Formatter):
    """Writes what anybody may have put into a record so that it steers no terminal and forges no line.

    A text of several lines keeps them, but one of them that reads like the beginning of a record is set in.
    """

    def __init__(self, layout: str, beginning: str) -> None:
        super().__init__(layout)
        self._beginning = re.compile(rf"\n(?={beginning})")

    def format(self, record: logging.LogRecord) -> str:
        record.name, record.levelname = printable(record.name), printable(record.levelname)
        return self._beginning.sub("\n    ", printable(super().format(record), lines=True))


class _ColourFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        colour = _COLOURS.get(record.levelno)
        if colour is None:
            return text
        return text.replace(f"{record.levelname}:", f"\x1b[{colour}m{record.levelname}\x1b[0m:", 1)


def _stderr_handler(stream: TextIO, line: str) -> logging.Handler:
    handler = _Stderr(stream)
    colours = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    handler.setFormatter((_ColourFormatter if colours else _Formatter)(line, "[A-Z]+:" if line == LEGACY_STDERR_LINE else DATED))
    return handler


def _cannot_write(path: Path, error: OSError) -> str:
    elsewhere = "Or name another place (logPath and logFile in a .conf, [log] in TOML)."
    return f"log file {path}: can't be written: {in_words(error)}. {elsewhere}"
