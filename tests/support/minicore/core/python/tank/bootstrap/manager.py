"""The manager: finds a project's configuration on the site, and copies it into this user's folder."""

import fnmatch
import json
import os
import shutil
import sys

from .. import users
from ..configuration import Descriptor, PipelineConfiguration, get_core_python_path_for_config
from ..descriptors import Roots, TankDescriptorError, download, path_of
from ..log import LogManager
from ..util import load_yaml
from .errors import TankBootstrapError

_log = LogManager.get_logger("bootstrap")
_FIELDS = ["code", "project", "plugin_ids", "linux_path", "descriptor"]


class ToolkitManager(object):
    """Knows centralized ones, and of distributed ones those that a path names."""

    def __init__(self, sg_user=None):
        if sg_user is None:
            raise TankBootstrapError("prompted for a password; in a service nobody answers")
        self._user = sg_user
        self.plugin_id = None
        self.pipeline_configuration = None
        self.base_configuration = None
        self.allow_config_overrides = True
        self.do_shotgun_config_lookup = True
        self.caching_policy = None
        self.bundle_cache_fallback_paths = []
        self.progress_callback = None

    def resolve_descriptor(self, project):
        found = self._find(project)
        return self._descriptor_of(found)

    def prepare_engine(self, engine_name, entity):
        path, descriptor = self._bring(entity)
        self._download(PipelineConfiguration(path), engine_name)
        return path, descriptor

    def bootstrap_engine(self, engine_name, entity=None):
        """In this very process: the core that the configuration wants takes the place of this one."""
        path, _ = self._bring(entity)
        for name in [one for one in sys.modules if one.split(".")[0] in ("tank", "sgtk", "tank_vendor")]:
            sys.modules["%032x%s" % (id(self), name)] = sys.modules.pop(name)
        sys.path.insert(0, get_core_python_path_for_config(path))
        import tank

        user = self._user
        tank.set_authenticated_user(
            tank.authentication.ShotgunAuthenticator().create_script_user(user.script, user._key, user.host, user.http_proxy)
        )
        tk = tank.sgtk_from_path(path)
        return tank.platform.start_engine(engine_name, tk, tk.context_from_entity(entity["type"], entity["id"]))

    def _bring(self, entity):
        found = self._find(entity)
        descriptor = self._descriptor_of(found)
        if found and found["linux_path"]:
            return descriptor.get_path(), descriptor
        return self._install(descriptor, found, entity), descriptor

    def _download(self, configuration, engine_name):
        """All bundles of the engine, in whatever environment; one that can't be had is left out."""
        folder = os.path.join(configuration.get_path(), "config", "env")
        for file in sorted(os.listdir(folder)):
            engine = load_yaml(os.path.join(folder, file))["engines"].get(engine_name)
            wanted = [("engines", engine)] + [("apps", one) for one in engine["apps"].values()] if engine else []
            for kind, one in wanted:
                if configuration.bundle_path(kind, one["location"]) is None:
                    try:
                        download(one["location"], configuration.roots)
                    except TankDescriptorError:
                        _log.exception("a bundle is left out")

    def _find(self, entity):
        sg = self._user.create_sg_connection()
        project = sg.find_one("Project", [["id", "is", entity["id"]]], ["name"])
        self._project = project["name"]
        if not self.do_shotgun_config_lookup:
            return None
        found = sg.find("PipelineConfiguration", [["project", "is", {"type": "Project", "id": entity["id"]}]], _FIELDS)
        wanted = self.pipeline_configuration
        found = [one for one in found if wanted in (None, one["code"], one["id"])]
        found = [one for one in found if one["linux_path"] or self._plugs(one["plugin_ids"])]
        # A later one wins, so that a sandbox is taken for the Primary by whoever names none.
        return found[-1] if found else None

    def _plugs(self, patterns):
        return any(fnmatch.fnmatch(self.plugin_id or "", one.strip()) for one in (patterns or "").split(","))

    def _descriptor_of(self, found):
        if found and found["linux_path"]:
            return Descriptor({"type": "path", "path": found["linux_path"]}, found["linux_path"])
        described = found["descriptor"] if found else self.base_configuration
        if not described:
            raise TankBootstrapError("neither the site nor the caller names a configuration")
        if isinstance(described, str):
            described = dict(
                [part.split("=", 1) for part in described.split("?", 1)[1].split("&")], type=described.split("?")[0].split(":")[-1]
            )
        roots = Roots("", True, _fallbacks())
        if path_of("configs", described, roots, "") is None:
            try:
                download(described, roots)
            except TankDescriptorError as error:
                raise TankBootstrapError("Configuration could not be installed: %s" % error)
        return Descriptor(described, path_of("configs", described, roots, ""))

    def _install(self, descriptor, found, entity):
        home = os.environ.get("SHOTGUN_HOME") or os.path.expanduser("~/.shotgun")
        folder = os.path.join(home, "mini", "p%sc%s" % (entity["id"], found["id"] if found else 0))
        path, fresh = os.path.join(folder, "cfg"), os.path.join(folder, "cfg.new")
        if not os.path.isdir(folder):
            os.makedirs(folder)
        os.mkdir(fresh)  # two who prepare the same one in the same home get in each other's way
        shutil.copytree(descriptor.get_path(), os.path.join(fresh, "config"))
        fallbacks = _fallbacks()
        location = load_yaml(os.path.join(fresh, "config", "core", "core_api.yml"))["location"]
        core = path_of("cores", location, Roots("", True, fallbacks), path)
        if core is None:
            raise TankBootstrapError("Configuration could not be installed: its core %s is in no bundle cache" % (location,))
        shutil.copytree(core, os.path.join(fresh, "install", "core"))
        told = {
            "pc_id": found["id"] if found else None,
            "pc_name": found["code"] if found else None,
            "project_id": entity["id"],
            "project_name": self._project,
            "plugin_id": self.plugin_id,
            "use_bundle_cache": True,
            "bundle_cache_fallback_roots": fallbacks,
            "source_descriptor": descriptor.get_dict(),
        }
        _write(os.path.join(fresh, "config", "core", "pipeline_configuration.yml"), told)
        _write(os.path.join(fresh, "config", "core", "install_location.yml"), {"Linux": path, "Darwin": path, "Windows": path})
        if os.path.isdir(path):
            shutil.rmtree(path)
        os.rename(fresh, path)
        return path


def _fallbacks():
    return [one for one in os.environ.get("SHOTGUN_BUNDLE_CACHE_FALLBACK_PATHS", "").split(os.pathsep) if one]


def _write(path, data):
    with open(path, "w") as file:
        json.dump(data, file)
