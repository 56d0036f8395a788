"""Signals and who listens to them."""

from __future__ import annotations

import sys

import pytest

from callsheet import telemetry
from callsheet.telemetry import Signal, emit, subscribe, unsubscribe


@pytest.fixture
def loud(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been complained about lately."""
    monkeypatch.setattr(telemetry, "_quiet_until", 0.0)


def test_a_listener_that_fails_at_one_signal_hears_the_next(loud: None, capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[object] = []
    others: list[object] = []

    def listen(signal: Signal) -> None:
        if signal.facts["error"] == "odd":
            raise ValueError("never")
        heard.append(signal.facts["error"])

    def listen_too(signal: Signal) -> None:
        others.append(signal.facts["error"])

    for one in (listen, listen_too):
        subscribe(one, "mail.failed")
    try:
        for error in ("odd", "well", "odd", "well"):
            emit("mail.failed", server="mx", error=error, waiting=0)
    finally:
        for one in (listen, listen_too):
            unsubscribe(one)
    assert heard == ["well", "well"]
    assert others == ["odd", "well", "odd", "well"]
    told = capsys.readouterr().err
    assert told.count("a listener of mail.failed failed") == 1  # once a minute
    assert "ValueError: never" in told


def test_a_listener_may_fail_where_nobody_can_be_told(loud: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def listen(_: Signal) -> None:
        raise ValueError("never")

    monkeypatch.setattr(sys, "stderr", None)
    subscribe(listen, "mail.failed")
    try:
        emit("mail.failed", server="mx", error="refused", waiting=0)
    finally:
        unsubscribe(listen)
