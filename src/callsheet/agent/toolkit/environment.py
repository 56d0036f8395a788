"""The environment of a process that has a Toolkit: made from a list, since a core believes what it finds there."""

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


def environment(
    base: Mapping[str, str],
    *,
    home: str,
    bundle_cache: Optional[str] = None,
    byte_code: Optional[str] = None,
    app_store: bool = True,
) -> Dict[str, str]:
    """All of a process's environment: ``base`` without what would mislead a core, and what keeps it apart from its likes.

    ``home``: a folder for this process alone; several that prepare a configuration in one home break each other's work.
    ``bundle_cache``: where downloaded apps are kept, for all. ``byte_code``: where Python keeps compiled modules, for all of one
    interpreter; a core on a share that can't be written is compiled at each start otherwise. ``app_store``: False to never ask it.
    """
    made = {name: value for name, value in base.items() if name not in DROPPED and not name.startswith(_DROPPED_FAMILIES)}
    made["SHOTGUN_HOME"] = home
    if bundle_cache:
        made["SHOTGUN_BUNDLE_CACHE_PATH"] = bundle_cache
    if byte_code:
        made["PYTHONPYCACHEPREFIX"] = byte_code
        made.pop("PYTHONDONTWRITEBYTECODE", None)
    if not app_store:
        made["SHOTGUN_DISABLE_APPSTORE_ACCESS"] = "1"
    return made
