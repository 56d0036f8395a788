"""An engine that does nothing but be there."""

import sgtk


class ShellEngine(sgtk.platform.Engine):
    def init_engine(self):
        pass

    def destroy_engine(self):
        pass

    def _emit_log_message(self, handler, record):
        pass
