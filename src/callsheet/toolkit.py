"""Toolkit for plugins: ``from callsheet.toolkit import import_sgtk``.

Like ``callsheet`` itself this is in the archive that workers run, so it must not reach beyond ``callsheet.agent``.
"""

from callsheet.agent.toolkit.carrying import CarriedContext, CarryError
from callsheet.agent.toolkit.swap import import_sgtk

__all__ = ["CarriedContext", "CarryError", "import_sgtk"]
