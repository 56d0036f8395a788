"""An app that fails to start where its folder says so."""

import os

import sgtk


class MiniApp(sgtk.platform.Application):
    def init_app(self):
        if os.path.exists(os.path.join(os.path.dirname(os.path.abspath(__file__)), "broken")):
            raise RuntimeError("this app is broken")
