"""The connection, made when it is first asked for."""

import os


def create_sg_connection(config_path=None):
    """As whoever is logged in; if nobody is, as the script user that the configuration names."""
    from tank_vendor.shotgun_api3 import Shotgun

    from ..errors import TankError
    from ..users import get_authenticated_user
    from . import load_yaml

    user = get_authenticated_user()
    if user is not None:
        return user.create_sg_connection()
    own = config_path and os.path.join(config_path, "config", "core", "shotgun.yml")
    data = load_yaml(own) if own and os.path.exists(own) else {}
    if not data.get("api_script"):
        raise TankError("%s names no script user, and nobody is logged in" % own)
    return Shotgun(data["host"], script_name=data["api_script"], api_key=data["api_key"])
