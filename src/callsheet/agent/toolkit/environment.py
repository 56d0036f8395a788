"""The environment of a process that has a Toolkit: made from a list, since a core believes what it finds there."""

import os
import sys
from typing import Dict, Mapping, Optional

DROPPED = (
    "TANK_CURRENT_PC",  # whose core this is: the core's own import finds out, unless somebody has said so
    "TK_BOOTSTRAP_CONFIG_OVERRIDE",  # another configuration than the one that was decided on
    "SHOTGUN_PIPELINE_CONFIGURATION_ID",
    "SHOTGUN_SITE",
    "SGTK_EXT_CONFIG_DATA",
    "PYTHONPATH",  # another core may be in there, or a library that the core brings itself
    "PYTHONHOME",
)
_DROPPED_FAMILIES = ("SHOTGUN_ENTITY_",)
_CACHE = "SHOTGUN_BUNDLE_CACHE_PATH"
_FALLBACKS = "SHOTGUN_BUNDLE_CACHE_FALLBACK_PATHS"


def environment(
    base: Mapping[str, str],
    *,
    home: str,
    downloads: Optional[str] = None,
    use_bundle_cache: bool = False,
    byte_code: Optional[str] = None,
    app_store: bool = True,
) -> Dict[str, str]:
    """All of a process's environment: ``base`` without what would mislead a core, and what keeps it apart from its likes.

    ``home``: a folder for this process alone; several that prepare a configuration in one home break each other's work.
    ``downloads``: the bundle cache to which the bundles of a distributed configuration are downloaded; the user's is read as well.
    ``use_bundle_cache``: a centralized configuration whose bundles are there, and not in ``install`` beside its core.
    A ``SHOTGUN_BUNDLE_CACHE_PATH`` of ``base`` stays as it is, and is never set without need: a core puts it before all else.
    ``byte_code``: where Python keeps compiled modules, for all of one interpreter; a core on a share that can't be written is
    compiled at each start otherwise. ``app_store``: False to never ask it.
    """
    made = {name: value for name, value in base.items() if name not in DROPPED and not name.startswith(_DROPPED_FAMILIES)}
    made["SHOTGUN_HOME"] = home
    if not made.get(_CACHE):
        if downloads:
            made[_CACHE] = downloads
            made[_FALLBACKS] = os.pathsep.join([one for one in (made.get(_FALLBACKS), user_bundle_cache(base)) if one])
        elif use_bundle_cache:
            made[_CACHE] = user_bundle_cache(base)
    if byte_code:
        made["PYTHONPYCACHEPREFIX"] = byte_code
        made.pop("PYTHONDONTWRITEBYTECODE", None)
    if not app_store:
        made["SHOTGUN_DISABLE_APPSTORE_ACCESS"] = "1"
    return made


def user_bundle_cache(base: Mapping[str, str]) -> str:
    """Where a core keeps bundles for a user with this environment: below ``SHOTGUN_HOME``, else where the system has its caches."""
    home = base.get("HOME") or os.path.expanduser("~")
    named = base.get("SHOTGUN_HOME")
    if named:
        return os.path.join(os.path.abspath(os.path.expanduser(os.path.expandvars(named))), "bundle_cache")
    return os.path.join(home, *(("Library", "Caches", "Shotgun") if sys.platform == "darwin" else (".shotgun",)), "bundle_cache")
