"""Reading the files of a configuration."""

import os
import re

from ..errors import TankError
from . import shotgun


def load_yaml(path):
    from tank_vendor import yaml

    try:
        with open(path) as file:
            data = yaml.safe_load(file)
        if data is None:
            raise ValueError("it is empty")
    except Exception as error:
        raise TankError("a config file is corrupt: %s (%s)" % (path, error))
    return data


def version_of(folder):
    """``version`` of the ``info.yml`` in a folder, as it stands there now."""
    return str(load_yaml(os.path.join(folder, "info.yml")).get("version", "unknown"))


def is_older(one, other):
    return _numbers(one) < _numbers(other)


def _numbers(version):
    return [int(part) for part in re.findall(r"\d+", version)]
