"""A worker's life: take the pipes, load the plugin, describe it, run what comes, end when told or when the daemon is gone."""

import atexit
import contextlib
import logging
import os
import queue
import socket
import threading
from typing import BinaryIO, Callable, NoReturn, Optional

from callsheet.agent import lifeline, loader, protocol, stdio
from callsheet.agent.failures import Secrets
from callsheet.agent.plugin import Plugin, Trouble
from callsheet.agent.protocol import Message
from callsheet.agent.records import RecordHandler
from callsheet.agent.runner import Runner


class Worker:
    """Reads commands in a thread of its own, and runs them on the main thread (and on others, if the plugin asks for slots)."""

    def __init__(self, commands: BinaryIO, channel: stdio.Channel) -> None:
        self._commands = commands
        self._channel = channel
        self._runs: "queue.SimpleQueue[Optional[Message]]" = queue.SimpleQueue()
        self._runner: Optional[Runner] = None
        self._stopping = False
        self._pid = os.getpid()

    def serve(self) -> None:
        """Do all of it; returns when told to stop, and when the plugin can't be used."""
        setup = protocol.read(self._commands)
        if setup is None:
            return
        # From here on the daemon's end is noticed, also while the plugin is being imported.
        threading.Thread(target=self._listen, name="callsheet-commands", daemon=True).start()
        secrets = Secrets()
        socket.setdefaulttimeout(setup["timeout"])
        logging.getLogger().addHandler(RecordHandler(self._channel.send, secrets))
        loader.prepare(setup["argv0"], setup["path"])
        plugin = Plugin(setup, self._channel.send, secrets)
        try:
            plugin.load()
        except Trouble as trouble:
            self._channel.send(plugin.broken(trouble))
            return
        self._runner = Runner(plugin, self._channel.write, secrets, alone=self._is_alone)
        self._runner.stopping = self._stopping
        self._channel.send(plugin.manifest())
        others = [threading.Thread(target=_guarded, args=(self._work,), name=f"callsheet-{n}") for n in range(2, plugin.slots + 1)]
        for other in others:
            other.start()
        self._work()
        for other in others:
            other.join()

    def _listen(self) -> None:
        while True:
            message = protocol.read(self._commands)
            if message is None:
                os._exit(stdio.ORPHANED)
            if message["is"] == "stop":
                self._stopping = True
                if self._runner is not None:
                    self._runner.stopping = True
                self._runs.put(None)
            else:
                self._runs.put(message)

    def _work(self) -> None:
        assert self._runner is not None
        while True:
            message = self._runs.get()
            if message is None:
                self._runs.put(None)  # for the next thread
                return
            self._runner.run(message)

    def _is_alone(self) -> bool:
        # A fork in a callback whose child came back from it: that child is not the worker.
        if os.getpid() == self._pid:
            return True
        stdio.flush()
        os._exit(0)


def main() -> NoReturn:
    """Be a worker. Ends the process without waiting for threads that the plugin left behind."""
    lifeline.tie()
    commands, channel = stdio.take()
    _guarded(Worker(commands, channel).serve)
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001 - plugins may have something to put away, and os._exit skips that
    stdio.flush()
    os._exit(0)


def _guarded(work: Callable[[], None]) -> None:
    """Do the work; a mistake in the agent itself ends the worker, whichever thread it is in, so that no run waits for ever."""
    try:
        work()
    except BaseException:
        logging.getLogger("engine").exception("The worker failed. This is a mistake in Callsheet; please report it.")
        stdio.flush()
        os._exit(1)
