"""Hooks: files of a configuration, each loaded as a module with a name that nobody can guess."""

import importlib.util
import os
import sys
import uuid

_loaded = {}


class Hook(object):
    """What hooks derive from."""

    def __init__(self, parent=None):
        self.parent = parent


def get_hook_baseclass():
    return Hook


def load_module(path):
    """The module of a file; loaded again once the file has changed, since the name says nothing."""
    key = (path, os.stat(path).st_mtime)
    if key not in _loaded:
        name = uuid.uuid4().hex
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        _loaded[key] = module
    return _loaded[key]


def execute(path, parent, method="execute", **values):
    module = load_module(path)
    found = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__]
    return getattr(found[0](parent), method)(**values)
