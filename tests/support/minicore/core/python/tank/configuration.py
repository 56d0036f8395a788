"""A configuration on disk: where it says it is, whose core it has."""

import os
import sys

from .errors import (
    TankError,
    TankFileDoesNotExistError,
    TankInvalidCoreLocationError,
    TankInvalidInterpreterLocationError,
    TankNotPipelineConfigurationError,
)
from .descriptors import Roots, path_of
from .hook import execute
from .util import is_older, load_yaml, version_of

SYSTEM = {"linux": "Linux", "darwin": "Darwin"}.get(sys.platform, "Windows")
OWN = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def core_root_of(config):
    """The folder whose ``install/core`` is the core of a configuration."""
    if os.path.exists(os.path.join(config, "install", "core", "_core_upgrader.py")):
        return config
    linked = os.path.join(config, "install", "core", "core_%s.cfg" % SYSTEM)
    if not os.path.exists(linked):
        raise TankFileDoesNotExistError("%s has no core of its own, and no %s says whose it shares" % (config, linked))
    with open(linked) as file:
        root = os.path.expanduser(os.path.expandvars(file.read().strip()))
    if root in ("None", "undefined") or not os.path.exists(root):
        raise TankInvalidCoreLocationError("%s names %s, where no core is" % (linked, root))
    return root


def get_core_python_path_for_config(config):
    return os.path.join(core_root_of(config), "install", "core", "python")


def get_python_interpreter_for_config(config):
    path = os.path.join(core_root_of(config), "config", "core", "interpreter_%s.cfg" % SYSTEM)
    if not os.path.exists(path):
        raise TankFileDoesNotExistError("%s is not there to say which Python it is" % path)
    with open(path) as file:
        found = os.path.expanduser(os.path.expandvars(file.read().strip()))
    if not os.path.exists(found):
        raise TankInvalidInterpreterLocationError("%s names the Python %s, which is not there" % (path, found))
    return found


class Descriptor(object):
    """Where a configuration came from."""

    def __init__(self, described, path):
        self._described = described
        self._path = path

    def get_dict(self):
        return dict(self._described)

    def get_path(self):
        return self._path

    @property
    def python_interpreter(self):
        return get_python_interpreter_for_config(self._path)


class PipelineConfiguration(object):
    """An open configuration."""

    def __init__(self, path):
        self._path = path
        wanted = version_of(os.path.join(core_root_of(path), "install", "core"))
        running = version_of(OWN)
        if "HEAD" not in (wanted, running) and is_older(running, wanted):
            raise TankError(
                "You are running Toolkit %s from %s, and %s wants %s or higher, as in %s"
                % (running, OWN, path, wanted, core_root_of(path))
            )
        self._told = load_yaml(os.path.join(path, "config", "core", "pipeline_configuration.yml"))
        described = self._told.get("source_descriptor") or {"type": "path", "path": path}
        self._descriptor = Descriptor(described, path)
        install = os.path.join(core_root_of(path), "install")
        self.roots = Roots(install, self._told.get("use_bundle_cache"), self._told.get("bundle_cache_fallback_roots") or [])
        self.run_hook("pipeline_configuration_init", self)

    def get_path(self):
        return self._path

    def bundle_path(self, kind, location):
        return path_of(kind, location, self.roots, self._path)

    def get_name(self):
        return self._told.get("pc_name")

    def get_project_id(self):
        return self._told.get("project_id")

    def get_project_disk_name(self):
        return self._told.get("project_name")

    def get_shotgun_id(self):
        return self._told.get("pc_id")

    def get_configuration_descriptor(self):
        return self._descriptor

    def run_hook(self, name, parent, **values):
        own = os.path.join(self._path, "config", "core", "hooks", name + ".py")
        path = own if os.path.exists(own) else os.path.join(OWN, "hooks", name + ".py")
        return execute(path, parent, **values)


def registered(path):
    """Where a configuration says that it is, which is what gets opened."""
    if not os.path.isdir(os.path.join(path, "config")):
        raise TankNotPipelineConfigurationError("%s holds no configuration" % path)
    told = load_yaml(os.path.join(path, "config", "core", "install_location.yml"))
    found = told.get(SYSTEM)
    if found in (None, "undefined"):
        raise TankError("%s does not say where it is on %s" % (path, SYSTEM))
    return found
