"""Frames between the daemon and a worker: cut from what has come so far, at a cost that grows with their size alone."""

from __future__ import annotations

import os
import threading

import pytest

from callsheet.agent.stdio import Channel
from callsheet.wire import frames

PIECE = 1 << 16


class Counted(bytearray):
    """A buffer that counts the bytes that are decoded from it."""

    decoded = 0

    def decode(self, *how: str) -> str:
        self.decoded += len(self)
        return super().decode(*how)


@pytest.mark.parametrize("pieces", [1, 7, PIECE])
def test_frames_come_whole_however_they_are_cut(pieces: int) -> None:
    said = [{"is": "record", "message": "x" * size} for size in (0, 10, 3000)]
    stream = b"".join(map(frames.encode, said))

    buffer, got = bytearray(), []
    for at in range(0, len(stream), pieces):
        buffer += stream[at : at + pieces]
        got += list(frames.split(buffer))

    assert got == said
    assert not buffer


def test_a_large_frame_is_decoded_once_and_not_with_each_piece() -> None:
    large = {"is": "record", "message": "x" * (64 * PIECE)}
    stream = frames.encode({"is": "begun", "run": 1}) + frames.encode(large)

    buffer, got = Counted(), []
    for at in range(0, len(stream), PIECE):
        buffer += stream[at : at + PIECE]
        got += list(frames.split(buffer))

    assert [one["is"] for one in got] == ["begun", "record"]
    assert buffer.decoded < 2 * len(stream)


def test_a_length_that_is_garbage_is_refused_before_anything_comes_behind_it() -> None:
    with pytest.raises(frames.BrokenFrameError, match="something else wrote"):
        list(frames.split(bytearray(b"\xff\xff\xff\xff")))


def test_a_large_report_is_written_without_being_copied_for_each_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    copied: list[object] = []
    write = os.write

    def noting(descriptor: int, data: bytes | memoryview) -> int:
        copied.append(type(data))
        return write(descriptor, data[:PIECE])

    monkeypatch.setattr(os, "write", noting)
    came: list[bytes] = []
    reader = threading.Thread(target=lambda: came.extend(iter(lambda: os.read(reading, PIECE), b"")))
    reader.start()
    frame = frames.encode({"is": "record", "message": "x" * (10 * PIECE)})
    Channel(writing).write(frame)
    os.close(writing)
    reader.join(30)
    os.close(reading)

    assert b"".join(came) == frame
    assert set(copied) == {memoryview}
