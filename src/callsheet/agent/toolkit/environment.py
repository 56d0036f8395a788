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
    "PYTHONHOME",
)
_DROPPED_FAMILIES = ("SHOTGUN_ENTITY_",)
_PREFERENCES = ("SGTK_PREFERENCES_LOCATION", "SGTK_DESKTOP_CONFIG_LOCATION")
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

    ``home``: a folder for this process alone; several that prepare a configuration in one home break each other's work. What the
    user has in the place of that (``toolkit.ini``) is named. Of ``PYTHONPATH`` only what has a core in it is left out.
    ``downloads``: the bundle cache to which the bundles of a distributed configuration are downloaded; the user's is read as well.
    ``use_bundle_cache``: a centralized configuration whose bundles are there, and not in ``install`` beside its core.
    A ``SHOTGUN_BUNDLE_CACHE_PATH`` of ``base`` stays as it is, and is never set without need: a core puts it before all else.
    ``byte_code``: where Python keeps compiled modules, for all of one interpreter; a core on a share that can't be written is
    compiled at each start otherwise. ``app_store``: False to never ask it.
    """
    made = {name: value for name, value in base.items() if name not in DROPPED and not name.startswith(_DROPPED_FAMILIES)}
    made["SHOTGUN_HOME"] = home
    searched = [one for one in base.get("PYTHONPATH", "").split(os.pathsep) if one and not _has_core(one)]
    made.pop("PYTHONPATH", None)
    if searched:
        made["PYTHONPATH"] = os.pathsep.join(searched)
    preferences = None if any(base.get(name) for name in _PREFERENCES) else _preferences(base)
    if preferences:
        made[_PREFERENCES[0]] = preferences
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
    """Where a core keeps bundles for a user with this environment."""
    return os.path.join(_of_user(base, "Caches"), "bundle_cache")


def _preferences(base: Mapping[str, str]) -> Optional[str]:
    """The user's ``toolkit.ini``, or what went before it; None where there is none."""
    below = "preferences" if sys.platform != "darwin" or base.get("SHOTGUN_HOME") else ""
    places = [os.path.join(_of_user(base, "Preferences"), below, "toolkit.ini")]
    places.append(os.path.join(_of_user({**base, "SHOTGUN_HOME": ""}, "Caches"), "desktop", "config", "config.ini"))
    return next((one for one in places if os.path.exists(one)), None)


def _of_user(base: Mapping[str, str], library: str) -> str:
    """The folder of Toolkit's things: ``SHOTGUN_HOME``, else what the system has for a user; on macOS one in each ``library``."""
    named = base.get("SHOTGUN_HOME")
    if named:
        return os.path.abspath(os.path.expanduser(os.path.expandvars(named)))
    home = base.get("HOME") or os.path.expanduser("~")
    return os.path.join(home, "Library", library, "Shotgun") if sys.platform == "darwin" else os.path.join(home, ".shotgun")


def _has_core(folder: str) -> bool:
    return any(os.path.exists(os.path.join(folder, name + end)) for name in ("sgtk", "tank", "tank_vendor") for end in ("", ".py"))
