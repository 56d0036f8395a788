"""Whether a session is still the Toolkit that was opened: callbacks share one process, and one can spoil it for all others.

A callback that ends the engine, bootstraps another project or swaps cores leaves a process in which the next one would get the
wrong core and no error. That can't be undone; what can (the engine's context, who is logged in, the environment) is set back.
"""

import os
import sys
from typing import Any, Dict, List, Optional, Tuple

_CURRENT = "TANK_CURRENT_PC"
_MODULES = ("sgtk", "tank", "tank_vendor")


class Integrity:
    """What a Toolkit was when it was opened."""

    def __init__(self, toolkit: Any) -> None:
        self._toolkit = toolkit
        self._modules: Dict[str, Any] = {name: sys.modules.get(name) for name in _MODULES}
        self._path = list(sys.path)
        self._context = getattr(toolkit.engine, "context", None)
        self._current = os.environ.get(_CURRENT)
        self._user = toolkit.sgtk.get_authenticated_user()

    def check(self) -> Tuple[Optional[str], List[str]]:
        """How it was spoiled for good, None if it was not; and what was changed and has been set back. To be read after "it"."""
        try:
            spoiled = self._core() or self._path_changed() or self._engine()
            return spoiled, [] if spoiled else self._set_back()
        except Exception as error:  # noqa: BLE001 - what can't even be looked at is spoiled
            return f"left a Toolkit that fails with {type(error).__name__}: {error}", []

    def _core(self) -> Optional[str]:
        for name, module in self._modules.items():
            now = sys.modules.get(name)
            if now is not module:
                return "swapped cores: import {} gives {}".format(name, getattr(now, "__file__", None) or "nothing")
        return None

    def _path_changed(self) -> Optional[str]:
        if sys.path == self._path:
            return None
        core = self._toolkit.core
        for folder in sys.path:
            if folder == core:
                self._path = list(sys.path)
                return None
            if folder not in self._path and os.path.isdir(os.path.join(folder, "sgtk")):
                return f"put another core, {folder}, in front of that of the project"
        return f"took the core, {core}, out of sys.path"

    def _engine(self) -> Optional[str]:
        now = self._toolkit.sgtk.platform.current_engine()
        if now is self._toolkit.engine:
            return None
        if now is None:
            return "ended the engine, which others need as well"
        return f"left the engine {now.name} running" if self._toolkit.engine is None else f"put the engine {now.name} in its place"

    def _set_back(self) -> List[str]:
        back = []
        if os.environ.get(_CURRENT) != self._current:
            back.append(f"changed {_CURRENT}")
            os.environ.pop(_CURRENT, None)
            if self._current is not None:
                os.environ[_CURRENT] = self._current
        if self._toolkit.sgtk.get_authenticated_user() is not self._user:
            back.append("logged in as somebody else")
            self._toolkit.sgtk.set_authenticated_user(self._user)
        engine = self._toolkit.engine
        if engine is not None and engine.context != self._context:
            back.append(f"left the engine in the context {engine.context}")
            engine.change_context(self._context)
        return back
