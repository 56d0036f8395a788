"""Threads that read an event log beside each other, each over a connection of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue

from callsheet.ports import EventLog, Page


@dataclass(frozen=True, slots=True)
class Answer:
    """A page, and the monotonic time at which it came."""

    page: Page
    at: float


Question = Callable[[EventLog], Page]


class ReaderPool:
    """``count`` threads, started with the first question.

    Not a ThreadPoolExecutor: a process waits for the threads of one before it ends, and the daemon must end in time while a site
    says nothing.
    """

    def __init__(self, connect: Callable[[], EventLog], count: int) -> None:
        self._connect = connect
        self._count = count
        self._questions: SimpleQueue[tuple[Future[Answer], Question] | None] = SimpleQueue()
        self._started = False

    def ask(self, question: Question) -> Future[Answer]:
        """Have a thread ask its log. The future can be cancelled for as long as no thread has taken it up."""
        if not self._started:
            self._started = True
            for number in range(self._count):
                threading.Thread(target=self._read, name=f"read-ahead-{number + 1}", daemon=True).start()
        future: Future[Answer] = Future()
        self._questions.put((future, question))
        return future

    def close(self) -> None:
        """Let the threads end once they have their answers; nobody waits for them."""
        self._questions.put(None)

    def _read(self) -> None:
        log: EventLog | None = None
        while (asked := self._questions.get()) is not None:
            future, question = asked
            if not future.set_running_or_notify_cancel():
                continue
            try:
                log = log or self._connect()
                page = question(log)
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever takes the answer
                future.set_exception(error)
            else:
                future.set_result(Answer(page, time.monotonic()))
        self._questions.put(None)  # for the next thread
        if log is not None:
            log.close()
