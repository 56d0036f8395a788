"""What all services are: a thread with a loop around one ``step()``."""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import dataclass

from callsheet import telemetry
from callsheet.domain.overview import ServiceHealth
from callsheet.errors import CallsheetError, of_system

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds of pause after an unexpected error in a step; doubled while it goes on."""

FAILS_FOR = 3.0
"""Seconds after its last failure for which a service counts as failing though a step went well: it may fail in every second one."""

MOST_TOLD = 2000
"""Letters of an error that each beat carries."""


@dataclass(slots=True)
class _Failing:
    """Why steps fail: the last error, when it was, and when the first of them was. Times are of ``time.monotonic``."""

    error: str
    at: float
    since: float
    last: bool = True

    def lasts(self, now: float) -> bool:
        return self.last or now - self.at < FAILS_FOR


class Service:
    """Calls ``step`` again and again, waiting as long as it says, and ``finish`` at the end. Errors are told; the loop goes on."""

    name = "service"
    limit = 10.0
    """Seconds within which a step ends, or gets on; one that takes longer hangs."""

    def __init__(self) -> None:
        self._busy_since: float | None = None
        self._stepped_at: float | None = None
        self._failing: _Failing | None = None
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._abandoned = False

    def step(self) -> float:
        """Do what is due now; returns the seconds until there may be more."""
        raise NotImplementedError

    def finish(self) -> None:
        """Do what is left to do once the loop has ended; called in its thread, so never beside a step."""

    def start(self) -> None:
        """Run the loop in a thread of its own."""
        self._thread = threading.Thread(target=self._loop, name=self.name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Let the next step begin at once."""
        self._woken.set()

    def stop(self) -> None:
        """Begin no further step."""
        self._stopping.set()
        self._woken.set()

    def got_on(self) -> None:
        """A part of a long step is done: the limit begins anew."""
        if self._busy_since is not None:
            self._busy_since = time.monotonic()

    def service_health(self, now: float) -> ServiceHealth:
        """How the service is at ``now`` (epoch)."""
        off = now - time.monotonic()
        busy, stepped, failing = self._busy_since, self._stepped_at, self._failing
        failing = failing if failing is not None and failing.lasts(now - off) else None
        return ServiceHealth(
            self.name,
            self.limit,
            stepped_at=None if stepped is None else stepped + off,
            busy_since=None if busy is None else busy + off,
            error=failing.error[:MOST_TOLD] if failing else None,
            error_since=failing.since + off if failing else None,
            ended=self._thread is not None and not self._thread.is_alive() and not self.stopping,
        )

    def join(self, timeout: float) -> bool:
        """Wait for the loop to end; False if it is still in a step (a site that says nothing can hold one up).

        Whatever goes wrong in such a step from then on is not told: what it works on is being closed.
        """
        if self._thread is None:
            return True
        self._thread.join(timeout)
        self._abandoned = self._thread.is_alive()
        return not self._abandoned

    @property
    def stopping(self) -> bool:
        """Whether the loop has been asked to end."""
        return self._stopping.is_set()

    def _loop(self) -> None:
        pause = FIRST_PAUSE
        while not self.stopping:
            self._woken.clear()
            self._busy_since = time.monotonic()
            try:
                delay = self.step()
                pause = FIRST_PAUSE
                if self._failing is not None:
                    self._failing.last = False
            except Exception as error:  # noqa: BLE001 - whatever it is, a daemon tells it and goes on: all state is in the ledger
                self._step_failed(error, pause)
                delay, pause = pause, min(pause * 2, LONGEST_PAUSE)
            self._busy_since, self._stepped_at = None, time.monotonic()
            if delay > 0:
                self._woken.wait(delay)
        try:
            self.finish()
        except Exception as error:  # noqa: BLE001 - as above; the other services end all the same
            self._step_failed(error, 0.0)

    def _step_failed(self, error: Exception, pause: float) -> None:
        if self._abandoned:
            return
        # What we raise on purpose names its cure, and would only be buried by a traceback.
        # So does what comes from a disk or a limit of the machine.
        machine = of_system(error)
        known = isinstance(error, CallsheetError) or machine is not None
        gist = machine or (str(error) if known else f"{type(error).__name__}: {error}")
        told = gist if known else "".join(traceback.format_exception(error))
        now, before = time.monotonic(), self._failing
        since = before.since if before is not None and before.lasts(now) else now
        self._failing = _Failing(gist, now, since)
        telemetry.emit("service.failed", service=self.name, error=told, retry_in=pause, defect=not known)
