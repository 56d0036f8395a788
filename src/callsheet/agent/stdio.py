"""Takes the standard descriptors away from the plugin, and gives it others.

A worker is started with the pipe of commands as descriptor 0 and the pipe of reports as 1. Both move to private, uninheritable
descriptors before any plugin code runs; 0 becomes the null device and 1 a copy of 2, the pipe of what plugins print. So neither
``print`` nor a C library can write into the protocol, and a plugin that closes descriptor 1 or replaces ``sys.stdout`` harms
nobody.
"""

import contextlib
import io
import os
import sys
import threading
from typing import BinaryIO, Tuple

from callsheet.wire.frames import Message, encode

ORPHANED = 113
"""Exit code of a worker whose daemon is gone. Nobody reads it, save those who look at a process list in wonder."""

CUT_OFF = 114
"""Exit code of a worker in which a plugin closed the pipes to the daemon."""


class Channel:
    """The worker's end of the pipe of reports. ``send`` may be called from any thread; a message is one write."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._turn = threading.Lock()
        self._forked = False
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._leave)

    def send(self, message: Message) -> None:
        """Write a message. In a process that the plugin forked, log records become printed lines, and the rest is dropped."""
        if self._forked:
            _print(message)
        else:
            self.write(encode(message))

    def write(self, data: bytes) -> None:
        """Write a frame that is encoded already. Ends the process when the daemon is gone."""
        if self._forked:
            return
        try:
            with self._turn:
                left = memoryview(data)  # a pipe takes large frames in pieces
                while left:
                    left = left[os.write(self._descriptor, left) :]
        except BrokenPipeError:
            os._exit(ORPHANED)
        except OSError as error:
            complain(f"The worker can't reach the daemon any more ({error}): a plugin closed a descriptor that was not its own.")
            os._exit(CUT_OFF)

    def _leave(self) -> None:
        # A forked child must not speak for the worker, nor keep the pipe open after its death. The lock may have been held by
        # another thread at the fork, so it is new.
        self._turn = threading.Lock()
        self._forked = True
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


def take() -> Tuple[BinaryIO, Channel]:
    """Move the pipes out of the plugin's reach. Returns the stream of commands and the channel for reports."""
    commands = os.dup(0)  # os.dup gives descriptors that children do not inherit
    reports = os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Lines show when they are printed, and no character that a plugin prints can fail it.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    return open(commands, "rb"), Channel(reports)


def flush() -> None:
    """Let out what plugins printed without a line end. What they did to the streams may make that fail; no matter."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def complain(text: str) -> None:
    """Say why the worker ends, past all that plugins may have done to logging and to the streams."""
    flush()
    with contextlib.suppress(OSError):
        os.write(2, f"{text}\n".encode("utf-8", "backslashreplace"))


def _print(message: Message) -> None:
    if message["is"] == "record":
        line = f"{message['levelname']}:{message['name']}:{message['message']}\n"
        with contextlib.suppress(OSError):
            os.write(2, line.encode("utf-8", "backslashreplace"))
