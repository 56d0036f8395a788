"""Callsheet: the event daemon for Flow Production Tracking.

What a plugin imports is here, and only that: this file also opens the archive that workers run, on Python 3.7 and with the
standard library alone, so it must not reach beyond ``callsheet.agent``.
"""

from callsheet.agent.api import GiveUp, Retry, Skip, on
from callsheet.agent.context import Context
from callsheet.version import __version__

__all__ = ["Context", "GiveUp", "Retry", "Skip", "__version__", "on"]
