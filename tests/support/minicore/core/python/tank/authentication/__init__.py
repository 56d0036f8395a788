"""Script users, and the question for a password that a service must never be asked."""


class AuthenticationError(Exception):
    """Nobody is logged in."""


class ShotgunUser(object):
    """A script user."""

    def __init__(self, script, key, host, http_proxy):
        self.login = None
        self.script = script
        self.host = host
        self.http_proxy = http_proxy
        self._key = key

    def create_sg_connection(self):
        from tank_vendor.shotgun_api3 import Shotgun

        return Shotgun(self.host, script_name=self.script, api_key=self._key, http_proxy=self.http_proxy)


class ShotgunAuthenticator(object):
    """Makes users."""

    def create_script_user(self, api_script, api_key, host=None, http_proxy=None):
        return ShotgunUser(api_script, api_key, host.rstrip("/"), http_proxy)

    def get_user(self):
        raise AuthenticationError("prompted for a password; in a service nobody answers")
