"""The family of errors."""


class TankError(Exception):
    """Their head."""


class TankInitError(TankError):
    """A configuration can't be opened with this core."""


class TankFileDoesNotExistError(TankError):
    """A file that says where something is isn't there."""


class TankInvalidCoreLocationError(TankError):
    """It is there, and says nonsense."""


class TankInvalidInterpreterLocationError(TankError):
    """It is there, and the interpreter isn't."""


class TankNotPipelineConfigurationError(TankError):
    """A folder is no configuration."""
