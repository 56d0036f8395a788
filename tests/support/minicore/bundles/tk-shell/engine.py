"""An engine that does nothing but be there."""

import sgtk


class ShellEngine(sgtk.platform.Engine):
    @property
    def context_change_allowed(self):
        return True

    def init_engine(self):
        pass

    def destroy_engine(self):
        pass

    def _emit_log_message(self, handler, record):
        pass
