"""The connection, made when it is first asked for."""

import os


def create_sg_connection(config_path=None):
    """As the configuration's own script user if it has one, else as whoever is set."""
    from tank_vendor.shotgun_api3 import Shotgun

    from ..errors import TankError
    from ..users import get_authenticated_user
    from . import load_yaml

    own = config_path and os.path.join(config_path, "config", "core", "shotgun.yml")
    if own and os.path.exists(own):
        data = load_yaml(own)
        if data.get("api_script"):
            return Shotgun(data["host"], script_name=data["api_script"], api_key=data["api_key"])
    user = get_authenticated_user()
    if user is None:
        raise TankError("%s names no script user, and nobody is logged in" % own)
    return user.create_sg_connection()
