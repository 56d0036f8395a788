"""Where the bundles are that environments name: looked for in the same folders, and in the same order, as a real core does."""

import os
import subprocess

from .errors import TankError

_CACHE = "SHOTGUN_BUNDLE_CACHE_PATH"
_LEGACY = {"app_store", "git", "manual"}


class TankDescriptorError(TankError):
    """A bundle can't be had."""


class Roots(object):
    """The bundle caches that a configuration reads, and the one of these, ``primary``, that is written."""

    def __init__(self, install, use_bundle_cache, fallbacks):
        """``install``: the folder of the associated core's root; used unless the metadata or the environment say otherwise."""
        home = os.path.expandvars(os.path.expanduser(os.environ.get("SHOTGUN_HOME") or "~/.shotgun"))
        named = os.environ.get(_CACHE)
        if named:
            self.primary = os.path.expanduser(os.path.expandvars(named))
        else:
            self.primary = os.path.join(os.path.abspath(home), "bundle_cache") if use_bundle_cache else install
        self.fallbacks = [os.path.expandvars(os.path.expanduser(one)) for one in fallbacks]


def path_of(kind, location, roots, config):
    """The folder of a bundle; None where it is not on disk. ``kind``: "engines" or "apps"."""
    for path in _candidates(kind, location, roots, config):
        if os.path.isdir(path) and _is_complete(path):
            return path
    return None


def download(location, roots):
    """Bring a bundle to the primary cache: from its repository, if it has one; there is no app store here."""
    if location["type"] != "git":
        raise TankDescriptorError("%s is in no bundle cache, and the app store can't be reached" % (location,))
    path = os.path.join(roots.primary, _below(location))
    command = ["git", "clone", "-q", "--branch", location["version"], location["path"], path]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise TankDescriptorError("%s can't be cloned: %s" % (location, done.stdout.decode("utf-8", "replace")))


def _candidates(kind, location, roots, config):
    if location["type"] in ("path", "dev"):
        path = location.get("path") or location["linux_path"]
        path = path.replace("{PIPELINE_CONFIG}", config).replace("{CONFIG_FOLDER}", os.path.join(config, "config"))
        return [os.path.normpath(os.path.expanduser(os.path.expandvars(path)))]
    below = _below(location)
    found = [os.path.join(root, below) for root in roots.fallbacks + [roots.primary]]
    if location["type"] in _LEGACY:  # as cores before v0.18 laid them out
        found.append(os.path.join(roots.primary, kind, below))
    return found


def _below(location):
    kind, version = location["type"], location["version"]
    if kind in ("git", "git_branch"):
        name = os.path.basename(location["path"].rstrip("/"))
        return os.path.join("git", name, version) if kind == "git" else os.path.join("gitbranch", name, version[:7])
    if kind == "github_release":
        return os.path.join("github", location["organization"], location["repository"], version)
    return os.path.join(kind, location["name"], version)


def _is_complete(path):
    metadata = os.path.join(path, "tk-metadata")
    return not os.path.isdir(metadata) or os.path.exists(os.path.join(metadata, "install_complete"))
