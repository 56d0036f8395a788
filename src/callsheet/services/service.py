"""What all services are: a thread with a loop around one ``step()``."""

from __future__ import annotations

import threading
import traceback

from callsheet import telemetry
from callsheet.errors import CallsheetError, of_system

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds of pause after an unexpected error in a step; doubled while it goes on."""


class Service:
    """Calls ``step`` again and again, waiting as long as it says, and ``finish`` at the end. Errors are told; the loop goes on."""

    name = "service"

    def __init__(self) -> None:
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
            try:
                delay = self.step()
                pause = FIRST_PAUSE
            except Exception as error:  # noqa: BLE001 - whatever it is, a daemon tells it and goes on: all state is in the ledger
                self._step_failed(error, pause)
                delay, pause = pause, min(pause * 2, LONGEST_PAUSE)
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
        told = machine or str(error) if known else "".join(traceback.format_exception(error))
        telemetry.emit("service.failed", service=self.name, error=told, retry_in=pause, defect=not known)
