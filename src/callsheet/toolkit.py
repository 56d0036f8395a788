"""Toolkit for plugins: ``from callsheet.toolkit import session``.

Like ``callsheet`` itself this is in the archive that workers run, so it must not reach beyond ``callsheet.agent``.
"""

from callsheet.agent.toolkit.import_swap import import_sgtk
from callsheet.agent.toolkit.serialization import CarriedContext, CarryError
from callsheet.agent.toolkit.session_client import SessionError, SessionLost, SessionTimeout, ToolkitUnavailable, here, session

__all__ = [
    "CarriedContext",
    "CarryError",
    "SessionError",
    "SessionLost",
    "SessionTimeout",
    "ToolkitUnavailable",
    "here",
    "import_sgtk",
    "session",
]
