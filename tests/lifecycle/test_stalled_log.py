"""stderr that nobody reads: a paused pager, Ctrl-S, a log driver that is stuck."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.running import CALLSHEET
from tests.support.studio import Studio
from tests.support.traces import noting


@contextmanager
def full_pipe(path: Path) -> Iterator[int]:
    """A named pipe that takes not a byte more, until somebody reads from the descriptor."""
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            while True:
                os.write(pipe, b"." * 4096)
        with suppress(BlockingIOError):
            while True:
                os.write(pipe, b".")
        yield pipe
    finally:
        os.close(pipe)


def test_a_stderr_that_takes_nothing_holds_up_no_plugin_no_heartbeat_and_no_stop(studio: Studio) -> None:
    studio.write("plugin", noting("print('a line')"))
    into_pipe = ("sh", "-c", f'exec "$0" "$@" 2> {studio.folder / "stderr"}', *CALLSHEET)
    with full_pipe(studio.folder / "stderr"), studio.launch(command=into_pipe) as daemon:
        # When all that the daemon says waits
        daemon.until(lambda: studio.site().cursor is not None)
        events = studio.sandbox.add_events(20)

        # Then plugins get their events, the heart beats, and SIGTERM ends it in order
        daemon.until(lambda: studio.trace.events("plugin") == list(events))
        daemon.until(lambda: studio.states() == {"done": 20})
        assert studio.status()["daemon"]["running"]
        assert daemon.stop(timeout=20) == 0
        assert not studio.status()["daemon"]["running"]
        assert studio.status()["daemon"]["stopped_at"] is not None
