"""A worker's life: take the pipes, load plugins, describe them, run what comes, end when told or when the daemon is gone."""

import atexit
import contextlib
import logging
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, Callable, Dict, NoReturn, Optional, Set

from callsheet.agent import current_worker, loader, parent_death, stacks, stdio
from callsheet.agent.api import Rule
from callsheet.agent.coroutines import LOOPS, Orders
from callsheet.agent.failures import Secrets
from callsheet.agent.imports import Imports
from callsheet.agent.log_forwarding import RecordHandler, at_work, reach
from callsheet.agent.registration import LoadError, Plugin
from callsheet.agent.runner import Runner
from callsheet.wire import client_hook, frames
from callsheet.wire.frames import Message


class Worker:
    """Reads commands in a thread of its own. The main thread loads plugins, and runs those that expect to be alone on it; plugins
    that ask for slots have a pool of threads each.
    """

    def __init__(self, commands: BinaryIO, channel: stdio.Channel) -> None:
        self._commands = commands
        self._channel = channel
        self._orders = Orders()
        self._plugins: Dict[str, Plugin] = {}
        self._runners: Dict[str, Runner] = {}
        self._pools: Dict[str, ThreadPoolExecutor] = {}
        self._secrets = Secrets()
        self._imports = Imports()
        self._records = RecordHandler(channel.send, self._secrets)
        self._caller: Any = None
        self._caller_made = threading.Lock()
        self._toolkit: Any = None
        self._project: Optional[int] = None
        self._site = ""
        self._make_call: Callable[..., Message] = dict
        self._dropped: Set[int] = set()
        self._is_sound: Callable[[], bool] = lambda: True
        self._spoiled = False
        self._stopping = False
        self._pid = os.getpid()

    def serve(self) -> None:
        """Do all of it; returns when told to stop."""
        setup = frames.read(self._commands)
        if setup is None:
            return
        self._site = setup["site"]
        # From here on the daemon's end is noticed, also while a plugin is being imported.
        threading.Thread(target=_guarded, args=(self._listen,), name="callsheet-commands", daemon=True).start()
        socket.setdefaulttimeout(setup["timeout"])
        reach(self._records)
        loader.prepare(setup["argv0"], setup["helpers"])
        loader.lend_client(setup["client"])
        client_hook.install()
        if setup["toolkit"] is None:
            beside = os.path.dirname(os.path.abspath(setup["argv0"])) if setup["argv0"] else ""
            self._imports.watch([*setup["helpers"], beside])  # a session's plugins have a worker of their own beside it
            self._work(setup)
        else:
            self._host(setup)

    def caller(self) -> Any:
        """This worker's ``toolkit.sessions.Caller``, made when a plugin asks for a session."""
        from callsheet.agent.toolkit.session_client import Caller  # noqa: PLC0415 - most workers never need it

        with self._caller_made:  # of two that threads made at once, one would hear no answers
            if self._caller is None:
                self._caller = Caller(self._channel.send, self._owner, self._site, self._toolkit, self._project)
        return self._caller

    def _host(self, setup: Message) -> None:
        from callsheet.agent.toolkit import hosting  # noqa: PLC0415 - as above

        self._toolkit = hosting.open_session(setup["toolkit"], self._channel.send, self._secrets)
        if self._toolkit is None:
            return
        self._project = setup["toolkit"]["project"]["id"]
        self._make_call = hosting.make_call
        self._is_sound = hosting.watch(self._toolkit, self._channel.send)
        try:
            self._work(setup)
        finally:
            hosting.close_session(self._toolkit)

    def _work(self, setup: Message) -> None:
        while True:
            order = self._orders.get()
            if order is None:
                break
            if order["is"] == "load":
                self._load(setup, order)
            elif order["is"] == "call":
                self._call(order)
            else:
                self._run(order)
        for pool in self._pools.values():
            pool.shutdown()
        if any(plugin.awaits for plugin in self._plugins.values()):
            LOOPS.close()

    def _listen(self) -> None:
        while True:
            try:
                order = frames.read(self._commands)
            except (OSError, frames.BrokenFrameError) as error:
                stdio.complain(f"The worker hears nothing any more ({error}): a plugin closed a descriptor that was not its own.")
                os._exit(stdio.CUT_OFF)
            if order is None:
                os._exit(stdio.ORPHANED)
            if order["is"] == "stop":
                self._stop()
                continue
            if order["is"] == "answer":
                self.caller().answered(order)
                continue
            if order["is"] == "drop":
                self._dropped.add(order["call"])
                continue
            if order["is"] == "recall":
                self._runners[order["plugin"]].recalled.update(order["runs"])
                continue
            runner = self._runners.get(order["plugin"])
            if runner is not None and order["is"] == "run":
                runner.expect(order)
            pool = self._pools.get(order["plugin"]) if order["is"] == "run" else None
            if pool is None:
                self._orders.put(order)
            else:
                pool.submit(_guarded, self._run, order)

    def _stop(self) -> None:
        self._stopping = True
        for runner in list(self._runners.values()):
            runner.stopping = True
        self._orders.put(None)

    def _load(self, setup: Message, order: Message) -> None:
        if self._stopping:
            return
        name = order["plugin"]
        at_work.plugin = name
        self._records.plugins.append(name)
        plugin = self._plugins[name] = Plugin(setup, order, self._channel.send, self._secrets, self._toolkit)
        self._imports.folders.add(os.path.dirname(os.path.abspath(plugin.path)))
        try:
            plugin.load()
            self._imports.tell_all(self._channel.send, name)
            with plugin.describing() as manifest:
                frame = frames.encode(manifest)
                self._make_ready(name, plugin)
                self._channel.write(frame)
        except LoadError as trouble:
            self._imports.missing(trouble.missing)
            self._imports.tell_all(self._channel.send, name)
            self._channel.send(plugin.broken(trouble))
        except Exception as error:  # noqa: BLE001 - what it registered can't be looked at, or not be written down
            self._channel.send(plugin.broken(plugin.indescribable(error)))
        self._check()

    def _make_ready(self, name: str, plugin: Plugin) -> None:
        """What runs of it need must be there before the daemon hears that they can come."""
        runner = Runner(plugin, self._channel.write, self._secrets, alone=self._is_alone, check=self._check)
        if plugin.awaits:
            LOOPS.start(shared=plugin.slots > 1, threads=plugin.slots)
        if plugin.slots > 1:  # threads are started as runs come, and kept
            self._pools[name] = ThreadPoolExecutor(plugin.slots, thread_name_prefix=f"callsheet-{name}")
        self._runners[name] = runner
        runner.stopping = self._stopping

    def _run(self, order: Message) -> None:
        at_work.plugin = order["plugin"]
        self._runners[order["plugin"]].run(order)
        self._imports.tell_new(self._channel.send, order["plugin"])

    def _call(self, order: Message) -> None:
        if self._spoiled:
            return  # the daemon has it made by the next session
        if order["call"] in self._dropped:
            self._channel.send({"is": "answer", "call": order["call"], "value": None})  # nobody reads it
            return
        at_work.plugin, at_work.mark = order["plugin"], order["mark"]
        self._toolkit.mark(order["mark"])
        self._channel.send({"is": "called", "call": order["call"]})
        answer = self._make_call(order, self._plugins.get(order["plugin"]), self._toolkit, self._secrets)
        if self._is_alone():
            self._channel.send(answer)
            self._check()

    def _check(self) -> None:
        """End, once what was called is reported, if that has spoiled the Toolkit which all plugins of a session share."""
        if not self._spoiled and not self._is_sound():
            self._spoiled = True
            self._stop()

    def add_rule(self, rule: Rule) -> None:
        """Have a function called that ``on`` was told of while no plugin of this worker is being imported by the thread."""
        plugin = self._plugins.get(self._owner(rule.function))
        if plugin is not None:
            plugin.add_rule(rule)

    def _owner(self, function: Callable[..., Any]) -> str:
        """The plugin whose file the function stands in; else the one that this thread works for, else the first."""
        for name, plugin in self._plugins.items():
            if plugin.module is not None and function.__module__ == plugin.module.__name__:
                return name
        return at_work.plugin or next(iter(self._plugins), "")

    def _is_alone(self) -> bool:
        # A fork in a callback whose child came back from it: that child is not the worker.
        if os.getpid() == self._pid:
            return True
        stdio.flush()
        os._exit(0)


def main() -> NoReturn:
    """Be a worker. Ends the process without waiting for threads that the plugins left behind."""
    parent_death.tie()
    stacks.watch()
    commands, channel = stdio.take()
    LOOPS.has_main = True
    current_worker.worker = Worker(commands, channel)
    _guarded(current_worker.worker.serve)
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001 - plugins may have something to put away, and os._exit skips that
    stdio.flush()
    os._exit(0)


def _guarded(work: Callable[..., None], *arguments: Any) -> None:
    """Do the work; a mistake in the agent itself ends the worker, whichever thread it is in, so that no run waits for ever."""
    try:
        work(*arguments)
    except BaseException:
        logging.getLogger("engine").exception(
            "The worker failed. Where a signal handler of a plugin raised this, fix that. Else it is a mistake in Callsheet; "
            "please report it."
        )
        stdio.flush()
        os._exit(1)
