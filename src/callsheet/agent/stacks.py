"""Stacks for the daemon to keep with a failure: of all threads when it asks at a deadline, of the thread that broke at a crash.

``faulthandler`` writes them from a signal handler in C, so they come from a worker that hangs in an extension as well.
"""

import faulthandler
import os
import signal
import sys

SIGNAL = getattr(signal, "SIGRTMAX", getattr(signal, "SIGUSR2", 0)) - (1 if hasattr(signal, "SIGRTMAX") else 0)
"""What the daemon sends to ask for stacks; one that plugins have no use for, where the system has such."""


def watch() -> None:
    """Have stacks written to the descriptor that the command line names. Without one, as in tests of the agent alone, to none."""
    if len(sys.argv) < 2:  # noqa: PLR2004 - the program's name, and the descriptor
        return
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - its form
    faulthandler.enable(descriptor)
    if hasattr(faulthandler, "register"):  # not on Windows
        faulthandler.register(SIGNAL, descriptor)
