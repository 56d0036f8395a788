"""Recognises the one failure that the how-to's own ``import_sgtk`` always has on Python 3, and names the cure."""

from typing import Optional

_CURE = (
    " (This function removes modules from sys.modules while it walks through it, which Python 3 does not allow. Call"
    " callsheet.toolkit.import_sgtk in its place: from callsheet.toolkit import import_sgtk. Better still, have the plugin run in"
    " its projects' own sessions, where import sgtk is the right one: [plugins.NAME] toolkit = true.)"
)


def cure_for(error: BaseException) -> str:
    """What to add to the error's text; "" for any other error."""
    if type(error) is not RuntimeError or not str(error).startswith("dictionary changed size during iteration"):
        return ""
    frames = error.__traceback__
    names: Optional[object] = None
    while frames is not None:
        names = frames.tb_frame.f_code.co_names
        frames = frames.tb_next
    return _CURE if isinstance(names, tuple) and {"sys", "modules", "pop"} <= set(names) else ""
