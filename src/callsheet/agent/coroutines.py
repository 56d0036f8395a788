"""Runs callbacks that are coroutines, and tells what a callback returned without having done its work.

The thread that executes a run waits for the coroutine: so order, slots, reports and deadlines are those of any callback. Plugins
that run on the main thread have the main thread's event loop, which also runs while the worker waits for orders, so that tasks
which they leave behind go on. Plugins with slots share a loop in a thread of its own.

asyncio is imported when a plugin needs it: it costs a worker 30 ms.
"""

import contextlib
import inspect
import os
import queue
import sys
import threading
import warnings
from collections.abc import AsyncGenerator, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from time import monotonic
from types import GeneratorType
from typing import Any, Awaitable, Callable, List, Optional, Set, Tuple

from callsheet.agent import stdio
from callsheet.agent.api import GiveUp, Retry, Skip, Timeout

EARLY, EARLIEST = 0.1, 1.0
"""How long before its deadline a coroutine is cancelled: this share of the timeout, at most so many seconds. At the deadline the
daemon kills the worker, with all that runs in it."""

THREADS = 64
"""Threads of a loop for ``asyncio.to_thread``, or as many as the plugin has slots if those are more: calls of the API block."""

FAREWELL = 2.0
"""Seconds that tasks which plugins left behind get to end, once they are cancelled at the end of the worker."""

_FRAMES = ("cr_frame", "gi_frame", "ag_frame")  # of coroutines and generators; None when they have ended

_threads_of_call: "ContextVar[Optional[Set[Future[Any]]]]" = ContextVar("threads_of_call", default=None)


class EventLoops:
    """The event loops of this process."""

    def __init__(self) -> None:
        self.has_main = False
        """Whether coroutines of the main thread run on it. If not, as where plugins run in another program, all share a loop."""
        self._main = None  # type: Any # asyncio's loops; it is not imported yet
        self._shared = None  # type: Any
        self._shared_thread = 0
        self._lock = threading.Lock()
        self._pid = 0

    def start(self, *, shared: bool, threads: int = 0) -> None:
        """Have the loop ready that a plugin needs, the ``shared`` one or that of the main thread, which calls this."""
        if shared:
            self._share(max(threads, THREADS))
        else:
            self.main_threads()

    def run(self, awaitable: Awaitable[Any], until: Optional[float]) -> Any:
        """Wait for it; returns its result. It is cancelled at the monotonic time ``until``. Raises what it raises, or Timeout."""
        import asyncio  # noqa: PLC0415 - as said above

        attended = self._attend(awaitable, until)
        if self.has_main and threading.current_thread() is threading.main_thread():
            loop = self.main_threads()
            result, error = _drive(loop, loop.create_task(attended))
        else:
            result, error = asyncio.run_coroutine_threadsafe(attended, self._share(THREADS)).result()
        try:
            if error is not None:
                raise error
        finally:
            del error  # it refers to this frame
        return result

    def runs_this_thread(self) -> bool:
        """Whether this is the thread of the shared loop."""
        return threading.get_ident() == self._shared_thread

    def main_threads(self) -> Any:
        """The main thread's loop, made if it has none."""
        if self._main is None or self._main.is_closed():
            self._main = _equipped(_current_loop(), THREADS)
        return self._main

    def existing(self) -> Any:
        """The main thread's loop; None if nobody has needed one so far."""
        return None if self._main is None or self._main.is_closed() else self._main

    def close(self) -> None:
        """Cancel what plugins left behind, and give it a moment to end. Called by the main thread at the end of the worker."""
        import asyncio  # noqa: PLC0415 - as said above

        with contextlib.suppress(Exception):
            if self.existing() is not None:
                _drive(self._main, self._main.create_task(_wind_up()))
        with contextlib.suppress(Exception):
            if self._shared is not None:
                asyncio.run_coroutine_threadsafe(_wind_up(), self._shared).result(2 * FAREWELL)

    def _share(self, threads: int) -> Any:
        import asyncio  # noqa: PLC0415 - as said above

        with self._lock:
            if self._shared is None:
                loop = asyncio.new_event_loop()
                if sys.version_info < (3, 10) and self.has_main and self._main is None:
                    # There, locks and queues that a module makes when it is imported belong to the main thread's loop.
                    loop, before = _current_loop(), loop
                    asyncio.set_event_loop(before)
                self._shared = _equipped(loop, threads)
                self._pid = os.getpid()
                thread = threading.Thread(target=self._serve_shared, name="callsheet-event-loop", daemon=True)
                thread.start()
                self._shared_thread = thread.ident or 0
            return self._shared

    def _serve_shared(self) -> None:
        import asyncio  # noqa: PLC0415 - as said above

        asyncio.set_event_loop(self._shared)
        _drive(self._shared, self._shared.create_future())

    async def _attend(self, awaitable: Awaitable[Any], until: Optional[float]) -> Tuple[Any, Optional[BaseException]]:
        """What it returned or raised. An exception is a value here: asyncio would let some of them out of the loop."""
        import asyncio  # noqa: PLC0415 - as said above

        task: Any = asyncio.current_task()
        threads: Set["Future[Any]"] = set()
        _threads_of_call.set(threads)
        late: List[bool] = []

        def cancel() -> None:
            late.append(True)
            task.cancel()

        timer = None if until is None else asyncio.get_event_loop().call_later(max(0.0, until - monotonic()), cancel)
        result: Any = None
        error: Optional[BaseException] = None
        try:
            result = await awaitable
        except BaseException as raised:  # noqa: BLE001 - it is raised again where the coroutine is waited for
            error = raised
        if timer is not None:
            timer.cancel()
        if late:
            # As long as a thread of its own works on, it is not over, and what is next in its lane must not begin.
            working = [asyncio.wrap_future(one) for one in list(threads) if not one.done()]
            if working:
                await asyncio.wait(working)
            error = error if isinstance(error, (Retry, GiveUp, Skip)) else _too_late(error)
        if self.runs_this_thread() and os.getpid() != self._pid:  # a process that the callback forked came back: it is no worker
            stdio.flush()
            os._exit(0)
        return result, error


LOOPS = EventLoops()


class Orders:
    """A queue that the main thread reads; while it waits, its event loop runs, if it has one."""

    def __init__(self) -> None:
        self._orders: "queue.SimpleQueue[Any]" = queue.SimpleQueue()
        self._arrival = None  # type: Any

    def put(self, order: Any) -> None:
        """Hand over an order, from any thread."""
        self._orders.put(order)
        arrival = self._arrival
        if arrival is not None:
            with contextlib.suppress(RuntimeError):  # the plugin closed the loop
                arrival.get_loop().call_soon_threadsafe(_arrive, arrival)

    def get(self) -> Any:
        """The next order."""
        loop = LOOPS.existing()
        if loop is not None:
            arrival = self._arrival = loop.create_future()
            with contextlib.suppress(RuntimeError):  # as above
                if self._orders.empty():
                    _drive(loop, arrival)
            self._arrival = None
        return self._orders.get()


def cancelled_at(began: float, timeout: Optional[float]) -> Optional[float]:
    """The monotonic time at which a coroutine is cancelled whose call began at ``began``; None: never."""
    return None if timeout is None else began + timeout - min(EARLIEST, timeout * EARLY)


def undone(returned: Any) -> str:
    """Why what a function returned means that its work is not done; empty if it doesn't. The object is of no use afterwards."""
    kind = type(returned)  # not its __class__, which an object may make up as it likes
    by_yield = kind is GeneratorType and returned.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE
    if issubclass(kind, Coroutine) or by_yield:
        why = "a coroutine that nobody awaited: declare the callback with async def or await it"
    elif issubclass(kind, AsyncGenerator):
        why = "an asynchronous generator, whose code nobody ran: go through it with async for, and return nothing"
    elif issubclass(kind, Generator):
        why = "a generator, whose code nobody ran: go through it, and return nothing"
    elif hasattr(kind, "_asyncio_future_blocking") and not returned.done() and not returned.get_loop().is_running():
        return "a task that nobody awaited: declare the callback with async def and await it"
    else:
        return ""
    if any(getattr(returned, frame, frame) is None for frame in _FRAMES):
        return ""  # it has been gone through to its end
    with contextlib.suppress(Exception):
        returned.close()  # else Python says of a coroutine once more, at some time, that nobody awaited it
    return why


class _Threads(ThreadPoolExecutor):
    """The threads behind ``asyncio.to_thread``; what a call has at work in them is known."""

    def submit(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> "Future[Any]":  # type: ignore[override] # as 3.9
        # In the context of the task, so that whose code it is can be told there; to_thread does so by itself.
        future = super().submit(copy_context().run, work, *arguments, **named)
        mine = _threads_of_call.get()
        if mine is not None:
            mine.add(future)
            future.add_done_callback(mine.discard)
        return future


def _equipped(loop: Any, threads: int) -> Any:
    if getattr(loop, "_default_executor", None) is None:  # the plugin may have set one
        loop.set_default_executor(_Threads(threads, thread_name_prefix="callsheet-to-thread"))
    return loop


def _current_loop() -> Any:
    """The main thread's current event loop, as plugins see it that ask for it themselves."""
    import asyncio  # noqa: PLC0415 - as said above

    with warnings.catch_warnings(), contextlib.suppress(RuntimeError):
        warnings.simplefilter("ignore", DeprecationWarning)
        loop = asyncio.get_event_loop()
        if not loop.is_closed():
            return loop
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def _drive(loop: Any, future: Any) -> Any:
    """Run the loop until the future is done, whatever else happens in it; returns the result."""
    future.add_done_callback(lambda _: loop.stop())
    while not future.done():
        # asyncio lets these two out of the loop, when a task raises them that nobody waits for; and plugins may stop it.
        with contextlib.suppress(SystemExit, KeyboardInterrupt):
            loop.run_forever()
    return future.result()


def _arrive(arrival: Any) -> None:
    if not arrival.done():
        arrival.set_result(None)


def _too_late(error: Optional[BaseException]) -> Timeout:
    import asyncio  # noqa: PLC0415 - as said above

    late = Timeout("It took longer than its timeout.")
    if error is not None:
        late.__traceback__ = error.__traceback__  # where it was when it was cancelled
        late.__cause__ = None if isinstance(error, asyncio.CancelledError) else error
    return late


async def _wind_up() -> None:
    import asyncio  # noqa: PLC0415 - as said above

    mine = asyncio.current_task()
    left = [one for one in asyncio.all_tasks() if one is not mine]
    for one in left:
        one.cancel()
    if left:
        await asyncio.wait(left, timeout=FAREWELL)
    await asyncio.get_event_loop().shutdown_asyncgens()
