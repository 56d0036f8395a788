"""Which environment a context has."""

from tank import Hook


class Pick(Hook):
    def execute(self, context, **kwargs):
        return "shot" if context.entity and context.entity["type"] == "Shot" else "project"
