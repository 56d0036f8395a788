"""Run when a configuration is opened."""

from tank import Hook


class Opened(Hook):
    def execute(self, **kwargs):
        pass
