"""Which environment a context has."""

from tank import Hook


class PickEnvironment(Hook):
    def execute(self, context, **kwargs):
        return "shot" if context.entity and context.entity["type"] == "Shot" else "project"
