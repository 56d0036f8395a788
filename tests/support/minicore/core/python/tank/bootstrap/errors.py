"""What goes wrong before there is a configuration."""

from ..errors import TankError


class TankBootstrapError(TankError):
    """A configuration can't be brought here."""
