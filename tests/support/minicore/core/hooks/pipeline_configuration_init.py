"""Run when a configuration is opened."""

from tank import Hook


class PipelineConfigurationInit(Hook):
    def execute(self, **kwargs):
        pass
