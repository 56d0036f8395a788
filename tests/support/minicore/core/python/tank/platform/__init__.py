"""Engines and apps: one engine at a time in a process."""

import logging
import os

from ..errors import TankError
from ..hook import load_module
from ..log import LogManager
from ..util import load_yaml

_engine = []
_log = LogManager.get_logger("platform")


class TankEngineInitError(TankError):
    """The engine does not start."""


class TankMissingEngineError(TankError):
    """The environment has no such engine."""


class Bundle(object):
    """What engines and apps share."""

    def __init__(self, name, settings, folder):
        self.name = name
        self.settings = settings
        self.disk_location = folder

    def init_app(self):
        pass

    def destroy_app(self):
        pass


class Application(Bundle):
    """An app."""

    def __init__(self, engine, name, settings, folder):
        Bundle.__init__(self, name, settings, folder)
        self.engine = engine
        self.sgtk = engine.sgtk
        self.context = engine.context


class Engine(Bundle):
    """An engine."""

    def __init__(self, tk, context, name, settings, folder):
        Bundle.__init__(self, name, settings, folder)
        self.sgtk = self.tank = tk
        self.context = context
        self.apps = {}

    @property
    def shotgun(self):
        return self.sgtk.shotgun

    def init_engine(self):
        pass

    def destroy_engine(self):
        pass

    def change_context(self, context):
        self.context = context

    def destroy(self):
        for app in self.apps.values():
            app.destroy_app()
        self.destroy_engine()
        _engine[:] = []

    def start_apps(self):
        for name, settings in self.settings.get("apps", {}).items():
            folder = self.sgtk.pipeline_configuration.bundle_path("apps", settings["location"])
            if folder is None:
                _log.error("%s is left out: %s is not there on disk", name, settings["location"])
                continue
            try:
                app = _class(folder, "app.py", Application)(self, name, settings, folder)
                app.init_app()
            except Exception:
                _log.exception("%s did not come up, and is left out", name)
            else:
                self.apps[name] = app


def get_logger(name):
    return logging.getLogger("sgtk").getChild(name)


def current_engine():
    return _engine[0] if _engine else None


def start_engine(engine_name, tk, context):
    if _engine:
        raise TankError("%s is up, and there is room for one engine: destroy it first" % _engine[0].name)
    configuration = tk.pipeline_configuration
    environment = configuration.run_hook("pick_environment", tk, context=context)
    path = os.path.join(configuration.get_path(), "config", "env", environment + ".yml")
    if not os.path.exists(path):
        raise TankError("%s, which the context asks for, is not there" % path)
    engines = load_yaml(path).get("engines") or {}
    if engine_name not in engines:
        raise TankMissingEngineError("%s has no %s among its engines" % (path, engine_name))
    settings = engines[engine_name]
    folder = configuration.bundle_path("engines", settings["location"])
    if folder is None:
        raise TankEngineInitError("Cannot start it: %s does not exist on disk" % (settings["location"],))
    engine = _class(folder, "engine.py", Engine)(tk, context, engine_name, settings, folder)
    try:
        engine.init_engine()
    except Exception as error:
        raise TankEngineInitError("%s did not come up: %s" % (engine_name, error))
    _engine.append(engine)
    engine.start_apps()
    return engine


def _class(folder, file, base):
    return next(
        one
        for one in vars(load_module(os.path.join(folder, file))).values()
        if isinstance(one, type) and issubclass(one, base) and one is not base
    )
