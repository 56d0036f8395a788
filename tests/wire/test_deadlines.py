"""A request as a whole ends in time, and what comes after it is left alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from callsheet.wire import deadlines
from callsheet.wire.deadlines import Deadline

SHORT = 0.02 / deadlines.LONGEST


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(30)
        yield ours, theirs


def waits(sock: socket.socket, *, late: socket.socket | None = None) -> Deadline:
    """Wait for a socket that says nothing, until the deadline; then for ``late``, if there is one."""
    with Deadline(SHORT) as deadline:
        deadline.follow(sock)
        assert sock.recv(1) == b""
        if late is not None:
            deadline.follow(late)
        raise ValueError("whatever the client makes of that")


def test_who_waits_is_let_go_with_a_time_out(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(TimeoutError, match=r"timed out: not over after 0\.02 seconds") as caught:
        waits(pair[0])
    assert isinstance(caught.value.__cause__, ValueError)


def test_the_next_request_is_left_alone(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    with Deadline(SHORT) as over:
        over.follow(ours)
    other = socket.socketpair()
    with other[0], other[1], pytest.raises(TimeoutError):  # it passes after the first would have
        waits(other[0])
    theirs.send(b"x")
    assert ours.recv(1) == b"x"


def test_one_within_another_has_its_own(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    with Deadline(60) as outer:
        outer.follow(theirs)
        with pytest.raises(TimeoutError):
            waits(ours)
        assert deadlines.current() is outer
    assert deadlines.current() is None
    assert not outer.passed


def test_a_large_transfer_may_take_longer() -> None:
    with Deadline(60) as deadline:
        before = deadline.due
        deadline.allow(1024 * deadlines.SLOWEST)
        assert deadline.due == before + 1024
        deadline.allow(None)
        assert deadline.due == before + 1024 + deadlines.UNSIZED


def test_a_socket_that_comes_too_late_is_refused(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(TimeoutError) as caught:
        waits(pair[0], late=pair[1])
    assert isinstance(caught.value.__cause__, TimeoutError)


def tries_again(first: socket.socket, second: socket.socket) -> None:
    """As httplib2 does when a connection ends before its answer."""
    opened = [first]
    with Deadline(SHORT, lambda: opened):
        assert first.recv(1) == b""
        opened.append(second)
        assert second.recv(1) == b""


def test_what_is_opened_behind_it_is_cut_too(pair: tuple[socket.socket, socket.socket]) -> None:
    other = socket.socketpair()
    with other[0], other[1], pytest.raises(TimeoutError):
        tries_again(pair[0], other[0])
