"""A place of work."""


class Context(object):
    """Project, entity, step, task, user."""

    def __init__(self, tk, project=None, entity=None, step=None, task=None, user=None, **more):
        self.tank = self.sgtk = tk
        self.project = project
        self.entity = entity
        self.step = step
        self.task = task
        self.user = user

    def __repr__(self):
        return "<Sgtk Context: %r>" % self.to_dict()

    def __eq__(self, other):
        return isinstance(other, Context) and other.to_dict() == self.to_dict()

    def to_dict(self):
        return {name: getattr(self, name) for name in ("project", "entity", "step", "task", "user")}

    @classmethod
    def from_dict(cls, tk, data):
        return cls(tk, **data)
