"""Logging beside what is logged: in order, without waiting for what hangs, and saying what was left out."""

from __future__ import annotations

import logging
import threading
import time

from callsheet.logs.background import BackgroundLog
from callsheet.telemetry import recording


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("engine", logging.INFO, "x.py", 1, text, None, None)


class Paper:
    """Takes one record after another, while it is not held."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.free, self.touched = threading.Event(), threading.Event()

    def __call__(self, record: logging.LogRecord) -> None:
        self.touched.set()
        assert self.free.wait(30)
        if record.msg == "odd":
            raise ValueError("odd")
        self.texts.append(record.msg)


def test_records_are_written_in_order_and_an_odd_one_ends_nothing() -> None:
    paper = Paper()
    paper.free.set()
    log = BackgroundLog("the log", paper)
    for number in range(1000):
        log.emit(record("odd" if number == 500 else str(number)))
    assert log.end(30)
    assert paper.texts == [str(number) for number in range(1000) if number != 500]


def test_nobody_waits_for_what_hangs_and_what_was_left_out_is_counted() -> None:
    paper = Paper()
    log = BackgroundLog("the log", paper, most=10)
    with recording("log.dropped") as recorder:
        # When far more is logged than may wait, while nothing is written
        log.emit(record("0"))
        assert paper.touched.wait(30)
        began = time.monotonic()
        for number in range(1, 1000):
            log.emit(record(str(number)))
        assert time.monotonic() - began < 10
        assert not log.wait(0.05)

        # Then, once it goes on, the first are written, and the others are told
        paper.free.set()
        dropped = recorder.wait_for("log.dropped").facts
        assert log.wait(30)
        assert paper.texts == [str(number) for number in range(10)]
        assert dropped == {"log": "the log", "count": 990}

        # And what comes later is written as ever
        log.emit(record("later"))
        assert log.end(30)
        assert paper.texts[-1] == "later"
    assert len(recorder.signals) == 1


def test_huge_records_take_no_more_memory_than_many_small_ones() -> None:
    paper = Paper()
    log = BackgroundLog("the log", paper)
    with recording("log.dropped") as recorder:
        for _ in range(100):
            log.emit(record("x" * (1 << 20)))
        paper.free.set()
        assert recorder.wait_for("log.dropped").facts["count"] > 50
        assert log.end(30)
    assert 10 < len(paper.texts) < 50


def test_a_slow_log_that_goes_on_loses_nothing() -> None:
    paper = Paper()
    paper.free.set()
    slow = threading.Event()

    def write(one: logging.LogRecord) -> None:
        slow.wait(0.002)
        paper(one)

    log = BackgroundLog("the log", write, most=5)
    with recording("log.dropped") as recorder:
        for number in range(200):
            log.emit(record(str(number)))
        assert log.end(30)
    assert paper.texts == [str(number) for number in range(200)]
    assert recorder.signals == []


def test_the_end_does_not_wait_for_what_hangs() -> None:
    paper = Paper()
    log = BackgroundLog("the log", paper)
    log.emit(record("0"))
    assert not log.end(0.05)
    paper.free.set()
