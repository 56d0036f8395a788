"""Toolkit for plugins: ``from callsheet.toolkit import session``.

Like ``callsheet`` itself this is in the archive that workers run, so it must not reach beyond ``callsheet.agent``.
"""

from callsheet.agent.toolkit.carrying import CarriedContext, CarryError
from callsheet.agent.toolkit.sessions import SessionError, SessionLost, SessionTimeout, ToolkitUnavailable, here, session
from callsheet.agent.toolkit.swap import import_sgtk

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
