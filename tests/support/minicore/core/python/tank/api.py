"""The door: ``sgtk_from_path``."""

import os
import threading

from .configuration import OWN, PipelineConfiguration, registered
from .context import Context
from .errors import TankError, TankInitError
from .util import load_yaml, version_of
from .util.shotgun import create_sg_connection


class Sgtk(object):
    """A configuration's Toolkit."""

    def __init__(self, path):
        self.pipeline_configuration = path if isinstance(path, PipelineConfiguration) else PipelineConfiguration(registered(path))
        self._mine = threading.local()

    @property
    def shotgun(self):
        """One for each thread."""
        if not hasattr(self._mine, "sg"):
            self._mine.sg = create_sg_connection(self.pipeline_configuration.get_path())
        return self._mine.sg

    @property
    def version(self):
        return version_of(OWN)

    @property
    def configuration_descriptor(self):
        return self.pipeline_configuration.get_configuration_descriptor()

    @property
    def configuration_name(self):
        return self.pipeline_configuration.get_name()

    @property
    def configuration_id(self):
        return self.pipeline_configuration.get_shotgun_id()

    @property
    def project_path(self):
        return os.path.join("/mnt/projects", self.pipeline_configuration.get_project_disk_name())

    def context_empty(self):
        return Context(self)

    def context_from_entity(self, entity_type, entity_id):
        link = {"type": entity_type, "id": entity_id}
        if entity_type == "Project":
            found = self.shotgun.find_one("Project", [["id", "is", entity_id]], ["name"])
            return Context(self, project=dict(link, name=found["name"]))
        found = self.shotgun.find_one(entity_type, [["id", "is", entity_id]], ["project", "code", "content", "entity", "step"])
        if entity_type == "Task":
            return Context(self, found["project"], found["entity"], found["step"], dict(link, name=found["content"]))
        return Context(self, found["project"], dict(link, name=found["code"]))

    def context_from_entity_dictionary(self, entity):
        return self.context_from_entity(entity["type"], entity["id"])

    def create_filesystem_structure(self, entity_type, entity_id, engine=None):
        """The entity's folder below the primary storage; how many were made."""
        (path,) = self._folders(entity_type, entity_id)
        if os.path.isdir(path):
            return 0
        os.makedirs(path)
        return 1

    def paths_from_entity(self, entity_type, entity_id):
        return [path for path in self._folders(entity_type, entity_id) if os.path.isdir(path)]

    def _folders(self, entity_type, entity_id):
        config = self.pipeline_configuration
        roots = load_yaml(os.path.join(config.get_path(), "config", "core", "roots.yml"))
        found = self.shotgun.find_one(entity_type, [["id", "is", entity_id]], ["code"])
        if found is None:
            raise TankError("%s %s is not on the site" % (entity_type, entity_id))
        name = config.get_project_disk_name()
        return [os.path.join(roots["primary"]["linux_path"], name, entity_type.lower() + "s", found["code"])]


def sgtk_from_path(path):
    return Sgtk(path)


def sgtk_from_entity(entity_type, entity_id):
    """Takes the Primary only, and only what this very core is of."""
    sg = create_sg_connection(os.environ.get("TANK_CURRENT_PC"))
    project = {"type": "Project", "id": entity_id}
    if entity_type != "Project":
        project = sg.find_one(entity_type, [["id", "is", entity_id]], ["project"])["project"]
    found = sg.find("PipelineConfiguration", [["project", "is", project]], ["linux_path", "code"])
    paths = {one["linux_path"]: one["id"] for one in found if one["linux_path"]}
    if not paths:
        raise TankInitError(
            "%s %s has a configuration without a path at most: use the Bootstrap API instead" % (entity_type, entity_id)
        )
    mine = os.environ.get("TANK_CURRENT_PC")
    if mine and mine not in paths:
        raise TankInitError(
            "You are loading the Toolkit platform from %s, and %s %s belongs to %s"
            % (mine, entity_type, entity_id, ", ".join(paths))
        )
    return Sgtk(mine or sorted(paths)[0])


Tank = Sgtk
tank_from_path = sgtk_from_path
